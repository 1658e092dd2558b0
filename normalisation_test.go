package slipway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/onnx"
)

// colourRun is a folder with a colour set and a network for it, and the commands there.
type colourRun struct {
	t   *testing.T
	dir string
	run func(folder, name string, args ...string) (output string, code int)
}

func newColourRun(t *testing.T) *colourRun {
	t.Helper()
	c := &colourRun{t: t, dir: t.TempDir(), run: commands(t)}
	own := filepath.Join(c.dir, "own")
	if err := os.Mkdir(own, 0o777); err != nil {
		t.Fatal(err)
	}
	stripes(t, own, dataset.Train, 120, 3, 3, 16)
	stripes(t, own, dataset.Test, 60, 3, 3, 16)
	writeNetwork(t, filepath.Join(c.dir, "small.json"), 3, 3, 16)
	return c
}

func (c *colourRun) must(name string, args ...string) string {
	c.t.Helper()
	output, code := c.run(c.dir, name, args...)
	if code != 0 {
		c.t.Fatalf("%s %s: exit %d: %s", name, strings.Join(args, " "), code, output)
	}
	return output
}

func (c *colourRun) read(name string) []byte {
	c.t.Helper()
	raw, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		c.t.Fatal(err)
	}
	return raw
}

// answers are what infer says of a model on the test set.
type answers struct {
	Runtime, Provider, Pixels string
	Accuracy                  float64
	Confusion                 [][]int
}

func (c *colourRun) ask(model string, flags ...string) (said answers) {
	c.t.Helper()
	args := append([]string{"-model", model, "-data", "own", "-runtime", "onnxruntime", "-json"},
		flags...)
	if err := json.Unmarshal([]byte(c.must("infer", args...)), &said); err != nil {
		c.t.Fatal(err)
	}
	if said.Runtime != "onnxruntime" {
		c.t.Errorf("%s was run by %q", model, said.Runtime)
	}
	return said
}

// What colour images are normalised by goes with them from the flag to the last answer.
func TestNormalisation(t *testing.T) {
	c := newColourRun(t)
	for name, test := range map[string]func(c *colourRun){
		"the whole way": wholeWay, "flags and record": flagsAndRecord, "refused": refused,
		"studies": studies,
	} {
		t.Run(name, func(t *testing.T) { test(c.in(t)) })
	}
}

// in is the same folder in a test of its own.
func (c *colourRun) in(t *testing.T) *colourRun { return &colourRun{t: t, dir: c.dir, run: c.run} }

// What a colour set is normalised by stays with the run and the graph: every later step
// feeds the same values without being told, in onnxruntime, and bytes give the same bits.
func wholeWay(c *colourRun) {
	for name, test := range map[string]struct{ pixels, formula string }{
		"imagenet":  {"imagenet", "(x/255-(0.485,0.456,0.406))/(0.229,0.224,0.225)"},
		"constants": {"mean=0.5,0.4,0.25,std=0.25,0.2,0.3", "(x/255-(0.5,0.4,0.25))/(0.25,0.2,0.3)"},
		"half":      {"0.5", "(x/255-0.5)/0.5"},
		"measured":  {"measured", ""},
	} {
		c.t.Run(name, func(t *testing.T) {
			c := c.in(t)
			start := []string{"-data", "own", "-network", "small.json", "-pixels", test.pixels,
				"-validation", "0.2"}
			output := c.must("train", append(start, "-name", name, "-epochs", "2")...)
			var config struct{ Config struct{ Pixels string } }
			if err := json.Unmarshal(c.read("runs/"+name+"/config.json"), &config); err != nil {
				t.Fatal(err)
			}
			recorded, formula := config.Config.Pixels, test.formula
			if test.pixels == "measured" {
				formula = formulaOf(t, recorded)
				if !strings.Contains(output, "pixels measured on the 96 images that are trained on: "+
					recorded) {
					t.Errorf("%s; said was %s", recorded, output)
				}
			} else if recorded != test.pixels {
				t.Errorf("recorded is %s", recorded)
			}

			output = c.must("train", "-resume", "-name", name, "-epochs", "4")
			c.must("train", append(start, "-name", name+"-whole", "-epochs", "4")...)
			if !bytes.Equal(c.read("runs/"+name+"/weights.safetensors"),
				c.read("runs/"+name+"-whole/weights.safetensors")) {
				t.Error("the resumed run has other weights than the whole one")
			}
			trained := output[strings.LastIndex(output, "Accuracy = "):]
			trained, _, _ = strings.Cut(trained, "\n")

			output = c.must("export", "-run", "runs/"+name, "-o", name+".onnx", "-verify",
				"native,onnxruntime", "-variant", "float32,int8", "-input", "uint8", "-max-loss", "20")
			if !strings.Contains(output, trained+", 0 labels differ, largest difference 0 ") {
				t.Errorf("bytes do not give the same bits:\n%s", output)
			}
			said := c.ask(name + ".onnx")
			if got := fmt.Sprintf("Accuracy = %.2f %%", 100*said.Accuracy); got != trained ||
				said.Pixels != formula {
				t.Errorf("infer says %s, fed as %s; the trainer %s, fed as %s", got, said.Pixels, trained,
					formula)
			}
			if raw := c.ask(name + "-uint8.onnx"); fmt.Sprint(raw.Confusion) != fmt.Sprint(said.Confusion) ||
				raw.Pixels != "x" {
				t.Errorf("bytes, fed as %s, are taken for %v, not %v", raw.Pixels, raw.Confusion,
					said.Confusion)
			}
			c.must("infer", "compare", name+".onnx", "-runtimes", "native,onnxruntime", "-data", "own")
			c.must("infer", "compare", name+".onnx", name+"-uint8.onnx", "-data", "own")
			if card := string(c.read(name + "/README.md")); strings.Count(card, "pixels "+formula) != 2 {
				t.Errorf("the card says\n%s", card)
			}
			c.checkInit(name, recorded)
			if output = c.must("train", "-from", name+".onnx", "-data", "own", "-epochs", "1", "-name",
				name+"-on"); !strings.Contains(output, "accuracy "+strings.TrimPrefix(trained, "Accuracy = ")) {
				t.Errorf("trained on begins otherwise than with %s:\n%s", trained, output)
			}
		})
	}
}

// checkInit has weights of a checkpoint, which knows how they were fed, fed otherwise and
// alike.
func (c *colourRun) checkInit(name, pixels string) {
	c.t.Helper()
	start := []string{"-data", "own", "-network", "small.json", "-epochs", "1", "-name",
		name + "-init", "-test", "none"}
	saved, err := filepath.Glob(filepath.Join(c.dir, "runs", name, "checkpoints", "*"))
	if err != nil || len(saved) == 0 {
		c.t.Fatal(saved, err)
	}
	start = append(start, "-init", saved[0])
	note := "were trained on pixels " + pixels + ", and this run feeds 0-1"
	if output := c.must("train", append(start, "-pixels", "0-1")...); !strings.Contains(output, note) {
		c.t.Errorf("no note that the weights of %s %s:\n%s", saved[0], note, output)
	}
	if output := c.must("train", append(start, "-pixels", pixels)...); strings.Contains(output,
		"were trained on") {
		c.t.Errorf("a note of what is alike:\n%s", output)
	}
}

// formulaOf is the formula of mean=…,std=….
func formulaOf(t *testing.T, text string) string {
	t.Helper()
	means, deviations, ok := strings.Cut(strings.TrimPrefix(text, "mean="), ",std=")
	if !ok || strings.Count(means, ",") != 2 || strings.Count(deviations, ",") != 2 {
		t.Fatalf("measured is %q", text)
	}
	return fmt.Sprintf("(x/255-(%s))/(%s)", means, deviations)
}

// Flags go before the record, and what they feed is not held against it.
func flagsAndRecord(c *colourRun) {
	t := c.t
	c.must("train", "-data", "own", "-network", "small.json", "-pixels", "imagenet", "-epochs", "3",
		"-name", "colour")
	c.must("export", "-run", "runs/colour", "-o", "colour.onnx", "-verify", "onnxruntime")
	record := c.ask("colour.onnx")
	same := c.ask("colour.onnx", "-pixels", "mean=0.485,0.456,0.406,std=0.229,0.224,0.225")
	if same.Pixels != record.Pixels || fmt.Sprint(same.Confusion) != fmt.Sprint(record.Confusion) {
		t.Errorf("by flags %+v, by the record %+v", same, record)
	}
	output := c.must("infer", "-model", "colour.onnx", "-data", "own", "-pixels", "0.5,0.5")
	if !strings.Contains(output, "fed as (x/255-0.5)/0.5") ||
		!strings.Contains(output, "not comparable: of other images or other pixels") {
		t.Error(output)
	}
	output = c.must("infer", "-model", "colour.onnx", "-data", "own", "-channels", "bgr")
	if !strings.Contains(output, "blue first") {
		t.Error(output)
	}
	// A reader of before there were lists refuses them: they are no numbers.
	model, err := onnx.Read(filepath.Join(c.dir, "colour.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"slipway.pixel_scale", "slipway.pixel_offset"} {
		if value := model.Metadata()[key]; strings.Count(value, ",") != 2 {
			t.Errorf("%s is %q", key, value)
		}
	}
}

// What does not go together is refused, with what would.
func refused(c *colourRun) {
	t := c.t
	grey := filepath.Join(c.dir, "grey")
	if err := os.Mkdir(grey, 0o777); err != nil {
		t.Fatal(err)
	}
	stripes(t, grey, dataset.Train, 30, 3, 1, 16)
	writeNetwork(t, filepath.Join(c.dir, "grey.json"), 3, 1, 16)
	colour, forGrey := []string{"-data", "own", "-network", "small.json"}, []string{"-data", "grey",
		"-network", "grey.json"}
	for _, test := range []struct {
		args []string
		want string
	}{
		{append(slices.Clone(forGrey), "-pixels", "imagenet"),
			"which is of 3 channels; the images have 1; feed them as measured"},
		{append(slices.Clone(colour), "-pixels", "mean=0.5,0.5,std=1"),
			"which is of 2 channels; the images have 3"},
		{append(slices.Clone(colour), "-pixels", "mean=0.5,0.5,0.5,std=1,0,1"), "channel 1: "},
		{append(slices.Clone(colour), "-pixels", "Imagenet"),
			"there are 0-255, 0-1, 0.5, imagenet, measured"},
		{[]string{"-resume", "-name", "small", "-pixels", "measured"},
			"-pixels does not apply to -resume"},
	} {
		if output, code := c.run(c.dir, "train", test.args...); code == 0 ||
			!strings.Contains(output, test.want) {
			t.Errorf("%v: exit %d: %s", test.args, code, output)
		}
	}
	c.must("train", append(forGrey, "-pixels", "measured", "-epochs", "1", "-test", "none")...)
}

// Studies vary it, and a setting that is not for their network's images has its line.
func studies(c *colourRun) {
	t := c.t
	study := "data: own\nnetworks:\n  n:\n    input: [3, 16, 16]\n    layers: [flatten, dense: {units: 3}]\nbase: n\nfixed: {epochs: 1}\n" +
		"grid:\n  pixels: [imagenet, measured, \"0.5\", \"mean=0.5,0.4,0.3,std=0.25\"]\nseeds: 2\n"
	if err := os.WriteFile(filepath.Join(c.dir, "mine.yaml"), []byte(study), 0o666); err != nil {
		t.Fatal(err)
	}
	c.must("experiment", "run", "mine.yaml")
	c.must("experiment", "report", "mine.yaml")
	if output := c.must("experiment", "run", "mine.yaml"); strings.Contains(output, "epoch 1") {
		t.Errorf("finished runs are run again:\n%s", output)
	}
	unfit := strings.Replace(study, "[3, 16, 16]", "[1, 16, 16]", 1)
	if err := os.WriteFile(filepath.Join(c.dir, "unfit.yaml"), []byte(unfit), 0o666); err != nil {
		t.Fatal(err)
	}
	if output, code := c.run(c.dir, "experiment", "run", "unfit.yaml"); code == 0 ||
		!strings.Contains(output, "unfit.yaml:9") || !strings.Contains(output, "feed them as measured") {
		t.Errorf("exit %d: %s", code, output)
	}
}
