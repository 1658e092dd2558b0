package infer

import (
	"errors"
	"strings"
	"testing"

	"slipway/dataset"
	g "slipway/internal/graphmaker"
	"slipway/onnx"
)

// noisy is a set of images of 1×2×2 with four classes.
func noisy(n int) *dataset.Set {
	return randomImages(n, 1, 2, 2)
}

// flat begins a graph of such images.
func flat() *g.Graph { return g.New(g.Free, 1, 2, 2).Node("f = Flatten x") }

// What mixes the images of a batch is told from what does not, by asking, and the node
// is named.
func TestBatchingIsTold(t *testing.T) {
	for _, test := range []struct {
		name  string
		model *onnx.Model
		want  string // in a note; "" for none
	}{
		{"nothing mixes", flat().Dense("f", 4).Model(), ""},
		{"softmax over the classes", flat().Dense("f", 4).Node("p = Softmax y", g.Int("axis", 1)).
			Model(), ""},
		{"softmax over the images", flat().Dense("f", 4).Node("p = Softmax y", g.Int("axis", 0)).
			Model(), `Softmax "the_p"`},
		{"mean of the batch", flat().Integers("axes", 0).Node("m = ReduceMean f axes").
			Node("d = Sub f m").Dense("d", 4).Model(), `ReduceMean "the_m"`},
		{"mean of each image", flat().Integers("axes", 1).Node("m = ReduceMean f axes").
			Node("d = Sub f m").Dense("d", 4).Model(), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, r := range openBoth(t, test.model) {
				for _, batch := range []int{1, 5} {
					result, err := Evaluate(t.Context(), r, noisy(12), EvaluateOptions{Batch: batch, Probe: true})
					if err != nil {
						t.Fatal(err)
					}
					notes := strings.Join(result.Info.Notes, "\n")
					told := strings.Contains(notes, "DEPEND ON HOW IMAGES ARE BATCHED")
					if want := test.want != "" && batch > 1; told != want || want &&
						!strings.Contains(notes, test.want) {
						t.Errorf("%s in batches of %d: notes %q", r.Info().Runtime, batch, notes)
					}
				}
			}
		})
	}
}

// A graph that fixes inside how many images it takes says which -batch it wants.
func TestBatchFixedInside(t *testing.T) {
	for _, test := range []struct {
		name          string
		model         *onnx.Model
		batch, images int
		want, note    string
	}{
		{"one", flat().Integers("s", 1, -1).Node("r = Reshape f s").Dense("r", 4).
			Model(), 5, 12, "give -batch 1", ""},
		{"one at a time", flat().Integers("s", 1, -1).Node("r = Reshape f s").Dense("r", 4).
			Model(), 1, 12, "", ""},
		{"four, the last short", flat().Integers("s", 4, 4).Node("r = Reshape f s").Dense("r", 4).
			Model(), 4, 10, "give a -batch that divides the number of images", ""},
		{"four", flat().Integers("s", 4, 4).Node("r = Reshape f s").Dense("r", 4).
			Model(), 4, 12, "", "could not be tried: a batch of 4 is answered, a single image is not"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, r := range openBoth(t, test.model) {
				result, err := Evaluate(t.Context(), r, noisy(test.images),
					EvaluateOptions{Batch: test.batch, Probe: true})
				if test.want == "" {
					if err != nil {
						t.Errorf("%s: %v", r.Info().Runtime, err)
					} else if notes := strings.Join(result.Info.Notes, "\n"); !strings.Contains(
						notes, test.note) || test.note == "" && notes != "" {
						t.Errorf("%s: notes %q", r.Info().Runtime, notes)
					}
					continue
				}
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%s: %v, want %q", r.Info().Runtime, err, test.want)
				}
			}
		})
	}
}

// A graph of chance is not called one that mixes images.
func TestChanceIsTold(t *testing.T) {
	needLibrary(t)
	model := flat().Dense("f", 4).Node("n = RandomNormalLike y").Node("s = Add y n").Model()
	r, err := OpenONNXRuntime(t.Context(), model, ONNXRuntimeOptions{Device: DeviceCPU})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	result, err := Evaluate(t.Context(), r, noisy(12), EvaluateOptions{Pixels: dataset.UnitPixels(),
		Probe: true})
	if err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(result.Info.Notes, "\n"); !strings.Contains(notes,
		"nodes of chance, or that change with each run") {
		t.Errorf("notes %q", notes)
	}
}

// onnxruntime computes BatchNormalization in training mode, and keeps what it learned
// from the runs before: said at any batch size.
func TestTrainingModeIsTold(t *testing.T) {
	needLibrary(t)
	model := g.New(g.Free, 1, 2, 2).Weight("scale", 1, 1, 1).Weight("bias", 0, 0, 1).
		Weight("mean", 0, 0, 1).Weight("variance", 1, 1, 1).
		Node("n = BatchNormalization x scale bias mean variance", g.Int("training_mode", 1)).
		Node("f = Flatten n").Dense("f", 4).Model()
	model.Proto.Graph.Node[0].Output = []string{"n", "running_mean", "running_variance"}
	r, err := OpenONNXRuntime(t.Context(), model, ONNXRuntimeOptions{Device: DeviceCPU})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, batch := range []int{1, 5} {
		result, err := Evaluate(t.Context(), r, noisy(12),
			EvaluateOptions{Batch: batch, Pixels: dataset.UnitPixels(), Probe: true})
		if err != nil {
			t.Fatal(err)
		}
		notes := strings.Join(result.Info.Notes, "\n")
		if !strings.Contains(notes, `node 0 (BatchNormalization "the_n") is in training mode`) {
			t.Errorf("batches of %d: notes %q", batch, notes)
		}
		if batch > 1 && !strings.Contains(notes, "ASKED AGAIN") && !strings.Contains(notes, "BATCHED") {
			t.Errorf("batches of %d: it was not seen: %q", batch, notes)
		}
	}
	if _, err := OpenNative(t.Context(), model, NativeOptions{}); !errors.Is(err, ErrUnsupported) ||
		!strings.Contains(err.Error(), "export the model for inference") {
		t.Errorf("native: %v", err)
	}
}
