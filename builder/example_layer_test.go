package builder_test

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"

	"slipway/builder"
	"slipway/dataset"
	"slipway/export"
	"slipway/infer"
	"slipway/onnx/convert"
	"slipway/train"
)

// Swish is x·σ(β·x) with one learned β for each channel, or feature (Ramachandran et al., 2017,
// arXiv:1710.05941): a layer of one's own. With s = σ(β·x) the gradients are
//
//	dx = dy·s·(1 + β·x·(1 − s)),  dβ = Σ dy·x²·s·(1 − s).
type Swish struct {
	Name string          `json:"name"`           // swish1, swish2, … if empty
	Init builder.Initial `json:"init,omitempty"` // how β begins, ones if empty
}

// Kind is what JSON and YAML call the layer.
func (Swish) Kind() string { return "Swish" }

// Infer keeps the shape. β is a tensor of the layer: stored, trained and exported.
func (l Swish) Infer(inputs []builder.Shape) (builder.Inferred, error) {
	if len(inputs) != 1 {
		return builder.Inferred{}, fmt.Errorf("takes one input, not %d", len(inputs))
	}
	if l.Init == "" {
		l.Init = builder.Ones
	}
	beta := builder.TensorSpec{Name: "beta", Shape: builder.Shape{inputs[0][0]}, Initial: l.Init,
		Plain: true}
	return builder.Inferred{Layer: l, Output: inputs[0], Tensors: []builder.TensorSpec{beta}}, nil
}

// Compute is the layer on a batch: in[0] is x, in[1] is β.
func (Swish) Compute(call builder.Call) (builder.Computation, error) {
	channels := call.Output[0]
	area := call.Output.Elements() / channels
	at := func(i int, in [][]float32) (x, beta, s float64, channel int) {
		channel = i / area % channels
		x, beta = float64(in[0][i]), float64(in[1][channel])
		return x, beta, 1 / (1 + math.Exp(-beta*x)), channel
	}
	return builder.Computation{
		Forward: func(y []float32, in [][]float32) error {
			for i := range y {
				x, _, s, _ := at(i, in)
				y[i] = float32(x * s)
			}
			return nil
		},
		Backward: func(d [][]float32, dy, _ []float32, in [][]float32) error {
			sums := make([]float64, channels)
			for i := range dy {
				x, beta, s, channel := at(i, in)
				sums[channel] += float64(dy[i]) * x * x * s * (1 - s)
				if d[0] != nil { // nobody asks for that of the images
					d[0][i] = float32(float64(dy[i]) * s * (1 + beta*x*(1-s)))
				}
			}
			for channel := range d[1] {
				d[1][channel] = float32(sums[channel])
			}
			return nil
		},
	}, nil
}

// Export writes it as ONNX operators. β is C; beside N×C×H×W it is C×1×1.
func (Swish) Export(e *builder.Export) (string, error) {
	beta := e.Tensor(0)
	if out := e.Call.Output; len(out) == 3 {
		beta = e.Step("shape", "Reshape", []string{beta, e.Int64s("dims", int64(out[0]), 1, 1)})
	}
	scaled := e.Step("scale", "Mul", []string{e.Input(0), beta})
	gate := e.Step("gate", "Sigmoid", []string{scaled})
	return e.Add("Mul", []string{e.Input(0), gate}), nil
}

// A layer of one's own is trained, kept in a checkpoint, exported and evaluated as those of the
// package are.
func Example_layerOfYourOwn() {
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	ctx := context.Background()
	network, err := builder.ParseNetwork([]byte(`
name: mine
input: [1, 28, 28]
layers:
- conv2d: {filters: 4, kernel: 5, stride: 2}
- swish
- flatten
- dense: {units: 10}
`), Swish{})
	check(err)
	set, err := dataset.Open(ctx, "t10k", dataset.Options{})
	check(err)
	trainer, err := train.New(network, set, train.Config{Epochs: 2, Seed: 1, Pixels: train.PixelsUnit},
		nil)
	check(err)
	defer trainer.Close()
	check(trainer.Fit(ctx, train.Callbacks{}))
	history := trainer.Progress().History
	fmt.Println("the loss fell:", history[1].MeanLoss < history[0].MeanLoss)

	// A checkpoint is read by who says what the layer is.
	dir, err := os.MkdirTemp("", "swish")
	check(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "checkpoint.safetensors")
	check(train.WriteCheckpoint(path, trainer.Checkpoint()))
	checkpoint, err := train.ReadCheckpoint(path, Swish{})
	check(err)
	beta, _ := checkpoint.Weights.Get("swish1.beta")
	fmt.Println("β was learned:", beta.Data[0] != 1)

	record, err := export.Record(checkpoint.Network, checkpoint.Config, checkpoint.Sets,
		checkpoint.Progress, nil)
	check(err)
	model, err := convert.FromNetwork(checkpoint.Network, checkpoint.Weights, record,
		convert.Options{})
	check(err)
	check(model.Check())
	runtime, err := infer.OpenNative(ctx, model, infer.NativeOptions{})
	check(err)
	defer runtime.Close()
	pixels, err := infer.PixelsOfModel(model)
	check(err)
	answer, err := infer.Evaluate(ctx, runtime, set, infer.EvaluateOptions{Pixels: pixels})
	check(err)
	own, err := trainer.Evaluate(ctx, set)
	check(err)
	fmt.Println("the exported graph answers as the trainer:", answer.Correct == own.Correct)

	// Output:
	// the loss fell: true
	// β was learned: true
	// the exported graph answers as the trainer: true
}
