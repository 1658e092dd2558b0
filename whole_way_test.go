package slipway_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/infer"
	"slipway/internal/display"
)

// commands builds the commands, and returns a function that runs one in a folder.
func commands(t *testing.T) func(folder, name string, args ...string) (output string, code int) {
	t.Helper()
	command := buildCommands(t)
	return func(folder, name string, args ...string) (string, int) {
		t.Helper()
		c := command(folder, name, args...)
		output, _ := c.CombinedOutput() // the exit code says it
		return string(output), c.ProcessState.ExitCode()
	}
}

// buildCommands builds the commands, and returns a function that prepares one for a folder.
func buildCommands(t *testing.T) func(folder, name string, args ...string) *exec.Cmd {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the commands and trains with them")
	}
	library, err := infer.FindLibrary("", false)
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Abs(library.Path)
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for _, step := range [][]string{
		{"go", "build", "-o", filepath.Join(bin, "slipway"), "./cmd/slipway"},
		{"scripts/link-commands", bin},
	} {
		if output, err := exec.Command(step[0], step[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", step, err, output)
		}
	}
	return func(folder, name string, args ...string) *exec.Cmd {
		command := exec.CommandContext(t.Context(), filepath.Join(bin, name), args...)
		command.Dir = folder
		command.Env = append(os.Environ(), infer.LibraryVariable+"="+path)
		return command
	}
}

// stripes writes a pair of files of n images with as many classes, that of an image
// being where it is bright. Labels are bytes where they fit, and int32 elsewhere.
func stripes(t *testing.T, dir string, part dataset.Part, n, classes, channels, side int) {
	t.Helper()
	source := rand.New(rand.NewPCG(uint64(len(part)), uint64(classes)))
	size := channels * side * side
	images, labels := make([]byte, n*size), make([]byte, 0, 4*n)
	kind := dataset.Uint8
	if classes > 256 {
		kind = dataset.Int32
	}
	for i := range n {
		label := source.IntN(classes)
		if kind == dataset.Int32 {
			labels = binary.BigEndian.AppendUint32(labels, uint32(label))
		} else {
			labels = append(labels, byte(label))
		}
		image := images[i*size:][:size]
		for p := range image {
			image[p] = byte(source.IntN(40))
			if p%side*classes/side == label || classes > side && p*classes/size == label {
				image[p] += 200
			}
		}
	}
	shape := []int{n, side, side}
	if channels > 1 {
		shape = []int{n, channels, side, side}
	}
	for name, x := range map[string]*dataset.IDX{
		fmt.Sprintf("images-idx%d", len(shape)): {Type: dataset.Uint8, Shape: shape, Data: images},
		"labels-idx1":                           {Type: kind, Shape: []int{n}, Data: labels},
	} {
		var file bytes.Buffer
		if err := dataset.WriteIDX(&file, x); err != nil {
			t.Fatal(err)
		}
		name = strings.Replace(name, "idx4", "idx3", 1) // the usual name, whatever the rank
		if err := os.WriteFile(filepath.Join(dir, string(part)+"-"+name+"-ubyte"), file.Bytes(),
			0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// writeNetwork writes a small network for such images.
func writeNetwork(t *testing.T, path string, classes, channels, side int) {
	t.Helper()
	network, err := builder.New("small", builder.Shape{channels, side, side},
		builder.Conv2D{Filters: 4, Kernel: builder.Square(5), Stride: builder.Square(2)}, builder.ReLU{},
		builder.Flatten{}, builder.Dense{Units: classes})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(network)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o666); err != nil {
		t.Fatal(err)
	}
}

// Sets of any number of classes and any image shape are trained on, gone on with,
// exported, varied, evaluated and studied, and every step tells the same accuracy of
// the same set.
func TestAnySetGoesTheWholeWay(t *testing.T) {
	run := commands(t)
	for _, test := range []struct{ classes, channels, side int }{
		{2, 1, 16}, {3, 3, 32}, {27, 1, 28}, {200, 3, 64}, {1000, 1, 40},
	} {
		t.Run(fmt.Sprintf("%d classes of %d×%d×%d", test.classes, test.channels, test.side, test.side),
			func(t *testing.T) {
				dir := t.TempDir()
				own := filepath.Join(dir, "own")
				if err := os.Mkdir(own, 0o777); err != nil {
					t.Fatal(err)
				}
				images := max(120, test.classes)
				stripes(t, own, dataset.Train, images, test.classes, test.channels, test.side)
				stripes(t, own, dataset.Test, images/2, test.classes, test.channels, test.side)
				writeNetwork(t, filepath.Join(dir, "small.json"), test.classes, test.channels, test.side)
				must := func(name string, args ...string) string {
					t.Helper()
					output, code := run(dir, name, args...)
					if code != 0 {
						t.Fatalf("%s %s: exit %d: %s", name, strings.Join(args, " "), code, output)
					}
					if strings.Contains(output, "MNIST") {
						t.Errorf("%s takes the set for MNIST:\n%s", name, output)
					}
					return output
				}
				output := must("train", "-data", "own", "-network", "small.json", "-pixels", "0-1", "-epochs",
					"1")
				if first, _, _ := strings.Cut(output, "\n"); !strings.HasPrefix(first,
					fmt.Sprintf("trained on own:train, %s", display.Thousands(images)+" images")) ||
					!strings.Contains(first,
						fmt.Sprintf("; tested on own:t10k, %s", display.Thousands(images/2)+" images")) {
					t.Errorf("the run begins with %q", first)
				}
				output = must("train", "-resume", "-name", "small", "-epochs", "2")
				trained := output[strings.LastIndex(output, "Accuracy = "):]
				trained, _, _ = strings.Cut(trained, "\n")
				output = must("export", "-run", "runs/small", "-o", "small.onnx", "-verify", "native",
					"-variant", "float16,int8", "-max-loss", "50")
				if !strings.Contains(output, "trainer: "+trained) ||
					!strings.Contains(output, "): "+trained+", 0 labels differ") {
					t.Errorf("the trainer said %q, export %s", trained, output)
				}
				output = must("infer", "-model", "small.onnx", "-data", "own", "-runtime", "native", "-json")
				var said struct {
					Accuracy, Recorded float64
					Correct, Images    int
					Classes            []struct{ Name string }
				}
				if err := json.Unmarshal([]byte(output), &said); err != nil {
					t.Fatal(err)
				}
				if got := fmt.Sprintf("Accuracy = %.2f %%", 100*said.Accuracy); got != trained ||
					len(said.Classes) != test.classes || said.Images != images/2 {
					t.Errorf("infer says %s of %d images and %d classes, the trainer %s", got, said.Images,
						len(said.Classes), trained)
				}
				must("infer", "compare", "small.onnx", "-runtimes", "native,onnxruntime", "-data", "own")
				card, err := os.ReadFile(filepath.Join(dir, "small", "README.md"))
				if err != nil || bytes.Contains(card, []byte("MNIST")) ||
					!bytes.Contains(card, []byte("test images of `own:t10k`")) {
					t.Errorf("%v, the card says\n%s", err, card)
				}
				if bytes.Contains(card, []byte(dir)) {
					t.Errorf("the card tells of this machine:\n%s", card)
				}
				study := fmt.Sprintf(
					"data: own\nnetworks:\n  n:\n    input: [%d, %d, %d]\n    layers: [conv2d: {filters: 2, kernel: 5, stride: 3}, relu, flatten, dense: {units: %d}]\n"+
						"base: n\nfixed: {epochs: 1}\ngrid: {learning_rate: [0.001, 0.01]}\nseeds: 2\n", test.channels,
					test.side, test.side, test.classes)
				if err := os.WriteFile(filepath.Join(dir, "mine.yaml"), []byte(study), 0o666); err != nil {
					t.Fatal(err)
				}
				must("experiment", "run", "mine.yaml")
				must("experiment", "report", "mine.yaml")
			})
	}
}

// pictures writes a folder of pictures of several sizes for each of three classes, which
// differ in where they are bright.
func pictures(t *testing.T, dir string, n int, classes []string) {
	t.Helper()
	source := rand.New(rand.NewPCG(7, uint64(n)))
	for label, class := range classes {
		for i := range n {
			height, width := 20+source.IntN(15), 20+source.IntN(15)
			drawn := image.NewNRGBA(image.Rect(0, 0, width, height))
			for y := range height {
				for x := range width {
					v := uint8(source.IntN(40))
					if x*3/width == label {
						v += 180
					}
					drawn.SetNRGBA(x, y, color.NRGBA{v, v / 2, 255 - v, 255})
				}
			}
			path := filepath.Join(dir, class, fmt.Sprintf("%03d.png", i))
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			if err := png.Encode(&file, drawn); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Folders of pictures are trained on, gone on with, exported and evaluated, and single
// pictures get the answers that they have in the evaluation.
func TestPicturesGoTheWholeWay(t *testing.T) {
	run := commands(t)
	dir := t.TempDir()
	classes := []string{"left", "middle", "right"}
	pictures(t, filepath.Join(dir, "own", "train"), 30, classes)
	pictures(t, filepath.Join(dir, "own", "val"), 11, classes)
	odd := filepath.Join(dir, "own", "val", "left", "odd.jpg")
	if err := os.WriteFile(odd, []byte("%PDF-1.4"), 0o666); err != nil {
		t.Fatal(err)
	}
	writeNetwork(t, filepath.Join(dir, "small.json"), 3, 3, 16)
	must := func(name string, args ...string) string {
		t.Helper()
		output, code := run(dir, name, args...)
		if code != 0 || strings.Contains(output, "MNIST") {
			t.Fatalf("%s %s: exit %d: %s", name, strings.Join(args, " "), code, output)
		}
		return output
	}
	training := []string{"-data", "own", "-network", "small.json", "-resize", "16", "-fit", "squash",
		"-pixels", "0.5,0.25", "-epochs", "2"}
	if output, code := run(dir, "train", training...); code != 1 ||
		!strings.Contains(output, "odd.jpg") || !strings.Contains(output, "begins as a PDF") ||
		!strings.Contains(output, "-skip-damaged leaves it out") {
		t.Errorf("with a file that is no picture: exit %d: %s", code, output)
	}
	output := must("train", append(training, "-skip-damaged")...)
	if !strings.Contains(output,
		"trained on own:train, 90 images 3×16×16, 3 classes; tested on own:t10k, 33 images 3×16×16, 3 classes") || !strings.Contains(output,
		"left out: ") {
		t.Error(output)
	}
	must("train", "-resume", "-name", "small", "-epochs", "4")
	must("export", "-run", "runs/small", "-o", "small.onnx", "-verify", "native,onnxruntime",
		"-variant", "int8", "-max-loss", "20")
	// A graph whose run is not at hand takes pictures as its record says.
	must("export", "-model", "small.onnx", "-variant", "int8", "-o", "again.onnx", "-max-loss", "20",
		"-data", "own", "-calibration-data", "own", "-skip-damaged")
	for _, name := range []string{"small-int8.onnx", "again.onnx"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	output = must("infer", "-model", "small.onnx", "-data", "own", "-skip-damaged", "-runtime",
		"native", "-o", "all.csv")
	if !strings.Contains(output, "recorded by the trainer: ") ||
		strings.Contains(output, "not comparable") {
		t.Error(output)
	}
	evaluated, err := os.ReadFile(filepath.Join(dir, "all.csv"))
	if err != nil {
		t.Fatal(err)
	}
	answers := make(map[string]string)
	for line := range strings.Lines(string(evaluated)) {
		if fields := strings.Split(line, ","); fields[0] != "image" {
			label, err := strconv.Atoi(fields[3])
			if err != nil {
				t.Fatal(err)
			}
			answers[fields[1]] = classes[label]
		}
	}
	output, code := run(dir, "infer", "-model", "small.onnx", "-runtime", "native", "own/val")
	if code != 1 || !strings.Contains(output, "1 of 34 files could not be read") {
		t.Errorf("exit %d: %s", code, output)
	}
	told := 0
	for line := range strings.Lines(output) {
		file, answer, ok := strings.Cut(line, "\t")
		if !ok {
			continue
		}
		told++
		name, _, _ := strings.Cut(answer, " ")
		if file = strings.TrimPrefix(filepath.ToSlash(file), "own/val/"); answers[file] != name {
			t.Errorf("%s is taken for %s, in the evaluation for %s", file, name, answers[file])
		}
	}
	if told != 33 || len(answers) != 33 {
		t.Errorf("%d pictures were told of, %d evaluated", told, len(answers))
	}
	// A folder of some of the classes has the labels of the model's.
	output = must("infer", "-model", "small.onnx", "-data", "own/train", "-runtime", "native", "-json")
	if err := os.RemoveAll(filepath.Join(dir, "own", "train", "left")); err != nil {
		t.Fatal(err)
	}
	fewer := must("infer", "-model", "small.onnx", "-data", "own/train", "-runtime", "native", "-json")
	var all, some struct{ Confusion [][]int }
	if err := json.Unmarshal([]byte(output), &all); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(fewer), &some); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(some.Confusion[1:]) != fmt.Sprint(all.Confusion[1:]) ||
		fmt.Sprint(some.Confusion[0]) != "[0 0 0]" {
		t.Errorf("of all classes %v, of two %v", all.Confusion, some.Confusion)
	}
}
