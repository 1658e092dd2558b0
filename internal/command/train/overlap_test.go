package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/cli"
)

// A run says which test images it is trained on, once, and trains.
func TestTestImagesInTheTrainingSet(t *testing.T) {
	dir := t.TempDir()
	write := func(part string, labels []byte, firsts ...byte) {
		t.Helper()
		images := make([]byte, 64*len(firsts))
		for i, first := range firsts {
			images[64*i] = first
		}
		writeIDX(t, filepath.Join(dir, part+"-images-idx3-ubyte"), []int{len(firsts), 8, 8}, images)
		writeIDX(t, filepath.Join(dir, part+"-labels-idx1-ubyte"), []int{len(firsts)}, labels)
	}
	tiny := read(t, filepath.Join(fixture(t), "tiny.json"))
	if err := os.WriteFile(filepath.Join(dir, "tiny.json"), tiny, 0o666); err != nil {
		t.Fatal(err)
	}
	train := []byte{1, 2, 3, 4, 5, 6, 7, 8}
	write("train", []byte{0, 1, 2, 3, 0, 1, 2, 3}, train...)
	for _, test := range []struct {
		firsts []byte
		want   string
	}{
		{[]byte{9, 10}, ""},
		{[]byte{9, 2},
			"note: 1 of 2 test images is in the training set, too: image 1; dataset show lists them\n"},
		{[]byte{2, 9, 1, 8, 8},
			"note: 4 of 5 test images are in the training set, too: image 0, image 2, image 3, …; dataset show"},
	} {
		write("t10k", make([]byte, len(test.firsts)), test.firsts...)
		code, out, errs := runTrain(t, "-data", dir, "-network", dir+"/tiny.json", "-runs",
			t.TempDir(), "-epochs", "1", "-batch", "4")
		if code != cli.ExitOK || strings.Count(out, "training set, too") != strings.Count(test.want,
			"training set, too") ||
			!strings.Contains(out, test.want) {
			t.Errorf("%v: exit %d\n%s%s, want %q", test.firsts, code, out, errs, test.want)
		}
	}
}
