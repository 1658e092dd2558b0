package slipway_test

import (
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/onnx"
	"slipway/onnx/convert"
)

// The tutorial's commands run as they are written: with pictures of 32 pixels, and a small
// network in the place of one that has learned from photographs.
func TestFineTuningTutorial(t *testing.T) {
	text, err := os.ReadFile("docs/fine-tuning.md")
	if err != nil {
		t.Fatal(err)
	}
	run := commands(t)
	folder := t.TempDir()
	for part, count := range map[string]int{"train": 20, "val": 6} {
		for class, name := range []string{"ants", "bees"} {
			writeSpots(t, filepath.Join(folder, "photos", part, name), count, class)
		}
	}
	writePretrained(t, filepath.Join(folder, "pretrained.onnx"))

	outputs := make(map[string]string)
	number := 0
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	for _, block := range blocks {
		for command := range strings.SplitSeq(strings.TrimSpace(block[1]), "\n") {
			words := strings.Fields(strings.Replace(command, "-resize 224", "-resize 32", 1))
			name, ours := strings.CutPrefix(words[0], "bin/")
			if !ours {
				t.Fatalf("%q is not a command of this program", command)
			}
			output, code := run(folder, name, words[1:]...)
			if code != 0 {
				t.Fatalf("%s: exit %d: %s", command, code, output)
			}
			number++
			outputs[name] += output
		}
	}
	if number != 4 {
		t.Errorf("the page promises four commands and has %d", number)
	}
	for name, wants := range map[string][]string{
		"train": {"head: layer fc, drawn anew, tells 2 classes apart in place of 7",
			"features: what flatten gives is computed once for each image, up to epoch 5: " +
				"8 values"},
		"infer": {"ants", "bees", "Accuracy = "},
	} {
		for _, want := range wants {
			if !strings.Contains(outputs[name], want) {
				t.Errorf("%s says nothing of %q:\n%s", name, want, outputs[name])
			}
		}
	}
}

// writeSpots writes pictures whose upper half, of class 0, or lower half is bright.
func writeSpots(t *testing.T, dir string, count, class int) {
	t.Helper()
	source := rand.New(rand.NewPCG(uint64(count), uint64(class)))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range count {
		picture := image.NewRGBA(image.Rect(0, 0, 40, 36))
		for y := range 36 {
			for x := range 40 {
				shade := source.IntN(90)
				if y/18 == class {
					shade += 120
				}
				picture.Set(x, y, color.RGBA{uint8(shade), uint8(shade / 2), uint8(source.IntN(60)),
					255})
			}
		}
		file, err := os.Create(filepath.Join(dir, string(rune('a'+i))+".png"))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(file, picture); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// writePretrained writes a small network with batch normalisation, of seven classes.
func writePretrained(t *testing.T, path string) {
	t.Helper()
	network, err := builder.New("pretrained", builder.Shape{3, 32, 32},
		builder.Conv2D{Name: "conv", Filters: 8, Kernel: builder.Square(3),
			Stride: builder.Square(2)},
		builder.BatchNorm{Name: "bn"}, builder.ReLU{Name: "relu"},
		builder.GlobalAvgPool{Name: "pool"},
		builder.Flatten{Name: "flatten"}, builder.Dense{Name: "fc", Units: 7})
	if err != nil {
		t.Fatal(err)
	}
	model, err := convert.FromNetwork(network, network.InitialWeights(1), onnx.TrainingRecord{},
		convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := model.Write(path); err != nil {
		t.Fatal(err)
	}
}
