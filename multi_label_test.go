package slipway_test

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The page's commands run as they are written, on pictures of shapes; what they come to is more
// than 95 % of the pictures with all labels right, and the same to the picture in every runtime.
func TestMultiLabelPage(t *testing.T) {
	text, err := os.ReadFile("docs/multi-label.md")
	if err != nil {
		t.Fatal(err)
	}
	run := commands(t)
	folder := t.TempDir()
	writeShapes(t, filepath.Join(folder, "shapes"), "train", 600)
	writeShapes(t, filepath.Join(folder, "shapes"), "test", 120)
	network := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	if err := os.WriteFile(filepath.Join(folder, "shapes.yaml"), network[1], 0o666); err != nil {
		t.Fatal(err)
	}
	outputs := make(map[string]string)
	number := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(text, -1) {
		for command := range strings.SplitSeq(strings.TrimSpace(string(block[1])), "\n") {
			words := strings.Fields(command)
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
	if number != 6 {
		t.Errorf("the page has %d commands", number)
	}
	for name, wants := range map[string][]string{
		"dataset": {"labels: any of 3 labels an image", "  disc\n", "without any"},
		"train":   {"600 images 3×24×24, any of 3 labels each", "loss: binary", "going on from"},
		"export":  {"trainer: Subset accuracy = ", "0 labels differ"},
		"infer":   {"hamming loss", "recorded by the trainer", "\tnone\n", "report.html"},
	} {
		for _, want := range wants {
			if !strings.Contains(outputs[name], want) {
				t.Errorf("%s says nothing of %q:\n%s", name, want, outputs[name])
			}
		}
	}
	accuracies := regexp.MustCompile(`Subset accuracy = ([0-9.]+) %`).FindAllStringSubmatch(
		outputs["export"]+outputs["infer"], -1)
	if len(accuracies) < 4 { // the trainer, two runtimes, infer
		t.Fatalf("accuracies %v", accuracies)
	}
	// A score near the threshold may fall to either side by its rounding: of one picture of 120.
	const one = 100.0/120 + 0.011
	first, err := strconv.ParseFloat(accuracies[0][1], 64)
	if err != nil || first <= 95 {
		t.Fatalf("the trainer's accuracy is %s: %v", accuracies[0][1], err)
	}
	for _, accuracy := range accuracies {
		if value, err := strconv.ParseFloat(accuracy[1], 64); err != nil || math.Abs(value-first) > one {
			t.Errorf("accuracies %v, the first is %s", accuracy[1], accuracies[0][1])
		}
	}
	if strings.Contains(outputs["infer"], "DISAGREES") {
		t.Error(outputs["infer"])
	}
	right := 0
	for line := range strings.Lines(outputs["infer"]) {
		words := strings.Split(strings.TrimSpace(line), "\t")
		if !strings.HasPrefix(words[0], filepath.Join("shapes", "test")+string(filepath.Separator)) {
			continue
		}
		told := make(map[string]bool)
		for _, word := range words[1:] {
			name, _, _ := strings.Cut(word, " ")
			told[name] = name != "none"
		}
		delete(told, "none")
		if fmt.Sprint(told) == fmt.Sprint(labelsIn(t, filepath.Join(folder, "shapes", "test.csv"),
			filepath.Base(words[0]))) {
			right++
		}
	}
	if got := 100 * float64(right) / 120; math.Abs(got-first) > one {
		t.Errorf("single pictures: %d of 120 have the labels of the list, -data says %v %%", right, first)
	}
}

// labelsIn reads the labels of a picture out of a list.
func labelsIn(t *testing.T, list, name string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	labels := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), name+","); ok && rest != "" {
			for label := range strings.SplitSeq(rest, "|") {
				labels[label] = true
			}
		}
	}
	return labels
}

// writeShapes writes pictures of 24×24 pixels with a red square, a blue disc and a green stripe,
// each there or not, on a dim ground, and their list.
func writeShapes(t *testing.T, dir, part string, count int) {
	t.Helper()
	source := rand.New(rand.NewPCG(7, uint64(count)))
	if err := os.MkdirAll(filepath.Join(dir, part), 0o777); err != nil {
		t.Fatal(err)
	}
	list := "file,label\n"
	for i := range count {
		picture := image.NewRGBA(image.Rect(0, 0, 24, 24))
		fill := func(shade color.RGBA, inside func(x, y int) bool) {
			for y := range 24 {
				for x := range 24 {
					if inside(x, y) {
						picture.SetRGBA(x, y, shade)
					}
				}
			}
		}
		for y := range 24 {
			for x := range 24 {
				shade := func() uint8 { return uint8(source.IntN(70)) }
				picture.SetRGBA(x, y, color.RGBA{shade(), shade(), shade(), 255})
			}
		}
		var labels []string
		left, top, size := source.IntN(15), source.IntN(15), 6+source.IntN(3)
		row, column, radius := 5+source.IntN(14), 5+source.IntN(14), 3+source.IntN(2)
		line, thick := source.IntN(21), 2+source.IntN(2)
		// The stripe first: it leaves the others whole.
		stripe, square, disc := source.IntN(2) == 1, source.IntN(2) == 1, source.IntN(2) == 1
		if stripe {
			fill(color.RGBA{60, 200, 60, 255}, func(_, y int) bool { return y >= line && y < line+thick })
		}
		if square {
			labels = append(labels, "square")
			fill(color.RGBA{220, 40, 40, 255}, func(x, y int) bool {
				return x >= left && x < left+size && y >= top && y < top+size
			})
		}
		if disc {
			labels = append(labels, "disc")
			fill(color.RGBA{40, 60, 230, 255}, func(x, y int) bool {
				return (x-column)*(x-column)+(y-row)*(y-row) <= radius*radius
			})
		}
		if stripe {
			labels = append(labels, "stripe")
		}
		name := fmt.Sprintf("%03d.png", i)
		file, err := os.Create(filepath.Join(dir, part, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(file, picture); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		list += name + "," + strings.Join(labels, "|") + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, part+".csv"), []byte(list), 0o666); err != nil {
		t.Fatal(err)
	}
}
