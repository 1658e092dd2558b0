package experiment

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/cli"
	"slipway/internal/study"
)

// writeOwnPictures writes pictures of several sizes, dark ones and bright ones, to train on
// and to test on; the test part lacks a class.
func writeOwnPictures(t *testing.T, dir string) {
	t.Helper()
	for i := range 24 {
		part, class := []string{"train", "train", "test"}[i%3], []string{"bright", "dark", "grey"}[i/3%3]
		if part == "test" && class == "bright" {
			continue
		}
		drawn := image.NewGray(image.Rect(0, 0, 9+i%4, 8+i%5))
		for p := range drawn.Pix {
			drawn.Pix[p] = uint8(i + map[string]int{"bright": 220, "dark": 5, "grey": 120}[class])
		}
		drawn.SetGray(0, 0, color.Gray{255})
		var file bytes.Buffer
		if err := png.Encode(&file, drawn); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, part, class, strings.Repeat("x", i+1)+".png")
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// A study of pictures of several sizes, augmented or not, is run and reported.
func TestAStudyOfPictures(t *testing.T) {
	dir, runs, output := t.TempDir(), t.TempDir(), t.TempDir()
	writeOwnPictures(t, dir)
	text := `question: Does augmentation help?
data: ` + dir + `
resize: 6x7
fit: pad
networks:
  tiny:
    input: [1, 6, 7]
    layers:
    - flatten
    - dense: {units: 3}
base: tiny
fixed: {epochs: 2, batch_size: 4, pixels: measured}
grid: {augmentation: [[], "random-resized-crop,flip", [flip, {shift: 2}]]}
`
	path := writeStudy(t, text)
	code, out, errs := runExperiment(t, "run", "-runs", runs, path)
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	results, err := study.Read(filepath.Join(runs, "tiny"))
	if err != nil || len(results) != 3 {
		t.Fatalf("%d results: %v", len(results), err)
	}
	for _, r := range results {
		if r.Sets.Training.Sizing != "resize 6×7 pad bilinear" || r.Sets.Test == nil ||
			r.Sets.Test.Classes != 3 {
			t.Errorf("%s: sets %+v", r.Setting, r.Sets)
		}
	}
	if code, out, errs := runExperiment(t, "report", "-runs", runs, "-o", output,
		path); code != cli.ExitOK {
		t.Fatalf("report: exit %d: %s%s", code, out, errs)
	}
	for want, change := range map[string]string{
		"give a resize":                      strings.Replace(text, "resize: 6x7\n", "", 1),
		"resize \"6by7\" is neither":         strings.Replace(text, "6x7", "6by7", 1),
		"is 8×9 pixels (height × width)":     strings.Replace(text, "resize: 6x7\nfit: pad\n", "", 1),
		"taken from the working folder":      strings.Replace(text, "data: "+dir, "data: nowhere", 1),
		"crop, pad and squash are known":     strings.Replace(text, "fit: pad", "fit: cut", 1),
		"a shift by up to 6 pixels":          strings.Replace(text, "shift: 2", "shift: 6", 1),
		"network tiny takes 1×6×7, the imag": strings.Replace(text, "resize: 6x7", "resize: 6", 1),
	} {
		code, out, errs := runExperiment(t, "run", "-runs", t.TempDir(), writeStudy(t, change))
		if code == cli.ExitOK || !strings.Contains(errs, want) {
			t.Errorf("want %q: exit %d: %s%s", want, code, out, errs)
		}
	}
}
