package infer

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/onnx"
)

// digitPNG writes a test image as a PNG of another size, which small.onnx does not take.
func digitPNG(t *testing.T, path string, index, zoom int) {
	t.Helper()
	set, err := dataset.Open(t.Context(), string(dataset.Test), dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	drawn := image.NewGray(image.Rect(0, 0, 28*zoom, 28*zoom))
	for y := range 28 * zoom {
		for x := range 28 * zoom {
			drawn.SetGray(x, y, color.Gray{set.Image(index)[y/zoom*28+x/zoom]})
		}
	}
	var file bytes.Buffer
	if err := png.Encode(&file, drawn); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// Single pictures are told apart: files, folders, in lines, as JSON, and as a table.
func TestClassify(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"a.png", "sub/b.png", "sub/.hidden.png"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777); err != nil {
			t.Fatal(err)
		}
		digitPNG(t, filepath.Join(dir, name), i, 1)
	}
	model := modelThatRecords(t,
		onnx.TrainingRecord{ClassLabels: strings.Fields(
			"zero one two three four five six seven eight nine")})
	code, out, errs := runCommand(t, "-model", model, "-runtime", "native", "-top", "2", dir)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 2 || len(strings.Split(lines[0], "\t")) != 3 ||
		!strings.HasPrefix(lines[1], filepath.Join(dir, "sub", "b.png")+"\t") {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	table := filepath.Join(dir, "answers.csv")
	code, out, errs = runCommand(t, "-model", model, "-runtime", "native", "-json", "-o", table,
		filepath.Join(dir, "a.png"))
	var said struct {
		File string
		Top  []struct {
			Class       int
			Name        string
			Probability float64
		}
	}
	if err := json.Unmarshal([]byte(out), &said); err != nil || code != 0 {
		t.Fatalf("exit %d: %v: %s%s", code, err, out, errs)
	}
	if p := said.Top[0].Probability; len(said.Top) != 1 || p <= 0 || p > 1 ||
		!strings.HasPrefix(lines[0], said.File+"\t"+said.Top[0].Name+" ") {
		t.Errorf("%+v, and in lines %s", said, lines[0])
	}
	if raw, err := os.ReadFile(table); err != nil ||
		!strings.HasPrefix(string(raw), "file,rank,class,name,probability\n"+said.File+",1,") {
		t.Errorf("%v: %s", err, raw)
	}
}

// What does not go with single pictures, or cannot be read as one, is said.
func TestClassifyBadUse(t *testing.T) {
	dir := t.TempDir()
	large, text := filepath.Join(dir, "large.png"), filepath.Join(dir, "text.png")
	digitPNG(t, large, 0, 3)
	if err := os.WriteFile(text, []byte("GIF? no"), 0o666); err != nil {
		t.Fatal(err)
	}
	lines := filepath.Join(dir, "text\n2.png")
	if err := os.WriteFile(lines, []byte("no"), 0o666); err != nil {
		t.Skip("this system has no such names:", err)
	}
	model := modelThatRecords(t, onnx.TrainingRecord{Epochs: 1})
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"with a set": {[]string{"-data", "t10k", large}, 2, "-data is of a set with labels"},
		"a set's word": {[]string{"fashion"}, 2,
			`unexpected argument "fashion": a set is named with -data`},
		"no top":         {[]string{"-top", "0", large}, 2, "-top 0"},
		"top of a set":   {[]string{"-top", "2", "-data", "t10k"}, 2, "-top is of pictures"},
		"not there":      {[]string{"nowhere.png"}, 1, `there is no picture or folder "nowhere.png"`},
		"another size":   {[]string{large}, 1, "-resize brings pictures to the model's size"},
		"resized":        {[]string{"-resize", "28", large}, 0, "large.png\t"},
		"no picture":     {[]string{"-resize", "28", text, large}, 1, "1 of 2 files could not be read"},
		"it is left out": {[]string{"-resize", "28", "-skip-damaged", text, large}, 0, "large.png\t"},
		"none is left": {[]string{"-resize", "28", "-skip-damaged", lines}, 1,
			"text\uFFFD2.png: no picture: "},
		"nothing said": {[]string{"-resize", "28", "-skip-damaged", text}, 1,
			"none of the 1 file could be read"},
		"a bad size":  {[]string{"-resize", "big", large}, 2, `-resize "big" is neither`},
		"a fit alone": {[]string{"-fit", "pad", large}, 2, "give a -resize"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := runCommand(t, append([]string{"-model", model, "-runtime", "native"},
				test.args...)...)
			if code != test.code || !strings.Contains(out+errs, test.says) {
				t.Errorf("exit %d: %s%s", code, out, errs)
			}
		})
	}
}
