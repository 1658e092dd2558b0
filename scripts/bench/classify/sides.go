package main

import (
	"context"
	"fmt"
	"image"
	"math"
	"slices"

	ort "github.com/yalue/onnxruntime_go"

	"slipway/infer"
	"slipway/infer/classify"
	"slipway/onnx"
)

// open opens the model on all sides. What is done with onnxruntime by hand follows the
// runtime's, which loads the library.
func open(path string) (sides []*side, closeAll func(), err error) {
	var closers []func() error
	closeAll = func() {
		for _, c := range slices.Backward(closers) {
			_ = c() // the process ends
		}
	}
	native, err := classify.Open(path, classify.WithSessions(1))
	if err != nil {
		return nil, nil, err
	}
	closers = append(closers, native.Close)
	other, err := classify.Open(path, classify.WithRuntime(func(m *onnx.Model) (classify.Runtime, error) {
		return infer.OpenONNXRuntime(m,
			infer.ONNXRuntimeOptions{Threads: 1, Device: infer.DeviceCPU})
	}))
	if err != nil {
		closeAll()
		return nil, nil, err
	}
	closers = append(closers, other.Close)
	hand, err := openByHand(path, native.Labels())
	if err != nil {
		closeAll()
		return nil, nil, err
	}
	closers = append(closers, hand.session.Destroy)
	info, onnxruntime := native.Info(), other.Info()
	of := func(c *classify.Classifier) func(context.Context, *image.Gray) ([]classify.Result,
		error) {
		return func(ctx context.Context, m *image.Gray) ([]classify.Result,
			error) {
			return c.Classify(ctx, m)
		}
	}
	return []*side{
		{name: "classify", classify: of(native),
			note: fmt.Sprintf("`classify.Open(%q)`, the native runtime %s (%s)", path, info.Version,
				info.Provider)},
		{name: "classify on onnxruntime", classify: of(other),
			note: fmt.Sprintf("`classify.WithRuntime` with `infer.OpenONNXRuntime`, onnxruntime %s, %s", onnxruntime.Version, onnxruntime.Provider)},
		{name: "onnxruntime_go by hand", classify: hand.classify,
			note: "an `AdvancedSession` on tensors that are made once, pixels written into them, softmax and sorting by hand"},
	}, closeAll, nil
}

// byHand is what a program does that calls onnxruntime itself, and does it well.
type byHand struct {
	session *ort.AdvancedSession
	input   []float32
	scores  []float32
	labels  []string
}

func openByHand(path string, labels []string) (*byHand, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	if err := options.SetIntraOpNumThreads(1); err != nil {
		return nil, err
	}
	if err := options.SetInterOpNumThreads(1); err != nil {
		return nil, err
	}
	inputs, outputs, err := ort.GetInputOutputInfo(path)
	if err != nil {
		return nil, err
	}
	input, err := ort.NewEmptyTensor[float32](ort.NewShape(1, 1, 28, 28))
	if err != nil {
		return nil, err
	}
	output, err := ort.NewEmptyTensor[float32](ort.NewShape(1, int64(len(labels))))
	if err != nil {
		return nil, err
	}
	session, err := ort.NewAdvancedSession(path, []string{inputs[0].Name}, []string{outputs[0].Name},
		[]ort.Value{input}, []ort.Value{output}, options)
	if err != nil {
		return nil, err
	}
	return &byHand{session, input.GetData(), output.GetData(), labels}, nil
}

// classify feeds pixels as they are, 0…255, which E1 takes.
func (b *byHand) classify(_ context.Context, m *image.Gray) ([]classify.Result, error) {
	for i, x := range m.Pix {
		b.input[i] = float32(x)
	}
	if err := b.session.Run(); err != nil {
		return nil, err
	}
	largest, sum := slices.Max(b.scores), 0.0
	results := make([]classify.Result, len(b.scores))
	for i, z := range b.scores {
		p := math.Exp(float64(z - largest))
		results[i] = classify.Result{Class: i, Label: b.labels[i], Probability: p}
		sum += p
	}
	for i := range results {
		results[i].Probability /= sum
	}
	slices.SortFunc(results, func(a, b classify.Result) int {
		if a.Probability > b.Probability {
			return -1
		}
		return 1
	})
	return results, nil
}
