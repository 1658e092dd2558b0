package dataset

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Of pictures with any number of labels it is told how many have each, and how many have none.
func TestShowLabels(t *testing.T) {
	dir := t.TempDir()
	list := "file,label\n"
	for i, label := range []string{"ant|bee", "", "ant", "ant|cat|bee", "ant"} {
		name := string(rune('a'+i)) + ".png"
		writePicture(t, filepath.Join(dir, name), 8, 8, uint8(40*i))
		list += name + "," + label + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "own.csv"), []byte(list), 0o666); err != nil {
		t.Fatal(err)
	}
	sheet := filepath.Join(dir, "sheet.png")
	for _, more := range [][]string{nil, {"-augment", "shift=1"}} {
		var stdout, stderr bytes.Buffer
		args := append([]string{"show", "-data", dir, "-multi-label", "-o", sheet}, more...)
		if code := run(t.Context(), args, &stdout, &stderr); code != 0 {
			t.Fatal(stderr.String())
		}
		for _, want := range []string{"labels: any of 3 labels an image\n",
			"    0       4  80.00 %  ant\n", "    1       2  40.00 %  bee\n",
			"    2       1  20.00 %  cat\n",
			"an image: 1.40 labels on average; 1 image (20.00 %) without any\n",
			"note: 1 class has a single image: cat\n"} {
			if !strings.Contains(stdout.String(), want) {
				t.Errorf("output lacks %q:\n%s", want, stdout.String())
			}
		}
		file, err := os.Open(sheet)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := png.Decode(file); err != nil {
			t.Error(err)
		}
		file.Close()
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"pack", "-multi-label", "-o", filepath.Join(dir, "own.tar"),
		dir}, &stdout, &stderr); code != 1 ||
		!strings.Contains(stderr.String(), "what is packed has one each") {
		t.Errorf("packed: %s%s", stdout.String(), stderr.String())
	}
}
