package export

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/dataset/picture"
	"slipway/train"
)

// pictureSet writes pictures of several sizes, three of each class, and returns the folder.
func pictureSet(t *testing.T, classes ...string) string {
	t.Helper()
	dir := t.TempDir()
	for c, class := range classes {
		for i := range 3 {
			drawn := image.NewNRGBA(image.Rect(0, 0, 9+i, 12-i))
			for p := range (9 + i) * (12 - i) {
				drawn.Set(p%(9+i), p/(9+i), color.NRGBA{uint8(80 * c), uint8(20 * i), uint8(3 * p), 255})
			}
			var file bytes.Buffer
			if err := png.Encode(&file, drawn); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, class, fmt.Sprint(i, ".png"))
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// A run on pictures that was tested on nothing is verified on a folder: at the size of the
// run's pictures, with its classes in the run's order.
func TestARunOnPicturesIsVerifiedOnAFolder(t *testing.T) {
	own := pictureSet(t, "ant", "bee", "cat")
	set, err := dataset.Open(t.Context(), own,
		dataset.Options{Sizing: &picture.Sizing{Height: 8, Width: 8}})
	if err != nil {
		t.Fatal(err)
	}
	network, err := builder.New("own", builder.Shape{3, 8, 8}, builder.Flatten{},
		builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := train.New(network, set, train.Config{Epochs: 1, Pixels: train.PixelsUnit}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	run := filepath.Join(t.TempDir(), "own")
	dir, _, err := train.CreateRun(run)
	if err != nil {
		t.Fatal(err)
	}
	if err := trainer.Fit(t.Context(), train.Callbacks{Save: func() error {
		_, err := dir.WriteCheckpoint(trainer.Checkpoint())
		return err
	}}); err != nil {
		t.Fatal(err)
	}
	graph := filepath.Join(t.TempDir(), "own.onnx")
	code, out, errs := runExport("-run", run, "-o", graph, "-verify", "native", "-data",
		pictureSet(t, "bee", "cat"))
	if code != 0 || !strings.Contains(out, "0 labels differ") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	code, out, errs = runExport("-run", run, "-o", graph, "-verify", "native", "-data", own)
	if code != 0 || !strings.Contains(out, "note: the test set is the training set") {
		t.Errorf("on what it was trained on: exit %d: %s%s", code, out, errs)
	}
	code, _, errs = runExport("-run", run, "-o", graph+".onnx", "-data", pictureSet(t, "bee", "dog"))
	if _, err := os.Stat(graph + ".onnx"); code != 1 ||
		!strings.Contains(errs, `there is no class "dog"`) || err == nil {
		t.Errorf("another class: exit %d: %s", code, errs)
	}
}
