package infer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/train"
)

// foreignModel is what scripts/foreign writes beside a model: who made it, how
// pixels are fed, and its own framework's answers on MNIST's test images.
type foreignModel struct {
	name        string
	Framework   string   `json:"framework"`
	Exporter    string   `json:"exporter"`
	Pixels      string   `json:"pixels"`
	Output      string   `json:"output"`
	Images      int      `json:"images"`
	Correct     int      `json:"correct"`
	Predictions []string `json:"predictions"` // a digit an image, 100 a line
}

// foreignModels reads testdata/foreign and calls check for each model.
func foreignModels(t *testing.T, check func(t *testing.T, foreign foreignModel,
	model *onnx.Model)) {
	t.Helper()
	paths, err := filepath.Glob("testdata/foreign/*.onnx")
	if err != nil || len(paths) < 6 {
		t.Fatalf("%d models in testdata/foreign (%v); scripts/foreign/make-foreign makes them",
			len(paths), err)
	}
	for _, path := range paths {
		foreign := foreignModel{name: strings.TrimSuffix(filepath.Base(path), ".onnx")}
		t.Run(foreign.name, func(t *testing.T) {
			raw, err := os.ReadFile(strings.TrimSuffix(path, ".onnx") + ".json")
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(raw, &foreign); err != nil {
				t.Fatal(err)
			}
			model, err := LoadModel(path)
			if err != nil {
				t.Fatal(err)
			}
			check(t, foreign, model)
		})
	}
}

// pixels returns how the framework fed its images.
func (f foreignModel) pixels(t *testing.T) (pixels dataset.Pixels, name string) {
	t.Helper()
	switch f.Pixels {
	case "x/255":
		return dataset.UnitPixels(), train.PixelsUnit
	case "(x/255-0.1307)/0.3081":
		pixels, err := dataset.StandardPixels(0.1307, 0.3081)
		if err != nil {
			t.Fatal(err)
		}
		return pixels, "0.1307,0.3081"
	}
	t.Fatalf("%s: unknown pixels %q", f.name, f.Pixels)
	return dataset.Pixels{}, ""
}

func (f foreignModel) evaluate(t *testing.T, model *onnx.Model, set *dataset.Set) *Result {
	t.Helper()
	needLibrary(t)
	r, err := OpenONNXRuntime(t.Context(), model,
		ONNXRuntimeOptions{Device: DeviceCPU, Output: f.Output})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	pixels, _ := f.pixels(t)
	result, err := Evaluate(t.Context(), r, set, EvaluateOptions{Pixels: pixels, KeepLogits: true})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// foreignTolerance is how far apart two engines' scores may be as a fraction of
// their range. A score of these networks is a sum of at most 784 products, in
// float32 and in another order each: in the worst case 784·2⁻²⁴ = 5e-5 of the sum
// of the products' sizes, and √784·2⁻²⁴ = 2e-6 where the roundings are as if by
// chance. 1e-5 is between.
const foreignTolerance = 1e-5

// What other frameworks trained and exported answers here as it did there: each
// image, but for those whose two best scores are closer than rounding.
func TestForeignModelsAnswerAsInTheirFrameworks(t *testing.T) {
	set, err := dataset.Open(t.Context(), "t10k", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	foreignModels(t, func(t *testing.T, foreign foreignModel, model *onnx.Model) {
		result := foreign.evaluate(t, model, set)
		predictions := strings.Join(foreign.Predictions, "")
		if foreign.Images != set.Len() || len(predictions) != set.Len() {
			t.Fatalf("answers to %d images, %d digits", foreign.Images, len(predictions))
		}
		limit := foreignTolerance * valueRange(result.Logits.Values)
		differ := 0
		for i := range result.Images {
			if int(predictions[i]-'0') == result.Predictions[i] {
				continue
			}
			differ++
			if m := margin(result.Logits.Row(i)); m > limit {
				t.Errorf("image %d: %d here, %c in %s, and the two best scores are %g apart", i,
					result.Predictions[i], predictions[i], foreign.Framework, m)
			}
		}
		if d := result.Correct - foreign.Correct; d > differ || -d > differ {
			t.Errorf("%d right here, %d in %s", result.Correct, foreign.Correct, foreign.Framework)
		}
		t.Logf("%s: %d of %d right in onnxruntime, %d in %s; %d answers differ", foreign.Exporter,
			result.Correct, result.Images, foreign.Correct, foreign.Framework, differ)
	})
}

// As a network of the builder each computes, in the trainer's native engine, what
// onnxruntime computes of the file.
func TestForeignModelsAsNetworks(t *testing.T) {
	set := datasettest.Digits(t, 1000)
	foreignModels(t, func(t *testing.T, foreign foreignModel, model *onnx.Model) {
		network, weights, err := convert.ToNetwork(model, foreign.Output)
		if err != nil {
			t.Fatal(err)
		}
		result := foreign.evaluate(t, model, set)
		_, pixels := foreign.pixels(t)
		ours := trainerLogits(t, network, weights, set, pixels)
		if nodes := network.Nodes(); nodes[len(nodes)-1].Layer.Kind() == (builder.Softmax{}).Kind() {
			ours = softmax(ours) // the trainer's logits are those before it
		}
		c, err := Compare(result.Logits, ours, foreignTolerance)
		if err != nil {
			t.Fatal(err)
		}
		if !c.Agree() {
			t.Errorf("%s\n%v", c.Reason(), network)
		}
		t.Logf("largest difference %.2g of the range; %v", c.MaxRelDiff, network)
	})
}

// trainerLogits evaluates a network on the trainer's engine.
func trainerLogits(t *testing.T, network *builder.Network, weights builder.Weights,
	set *dataset.Set, pixels string) Logits {
	t.Helper()
	trainer, err := train.New(network, set, train.Config{Pixels: pixels}, weights)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	evaluation, err := trainer.Evaluate(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	return Logits{N: set.Len(), K: evaluation.Classes, Values: evaluation.Logits}
}
