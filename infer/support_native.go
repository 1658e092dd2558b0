package infer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/infer/native"
	"slipway/infer/port"
	"slipway/onnx"
)

const (
	// triedMultiplyAdds, triedTime and the bytes of triedMemory bound what is computed to
	// see whether the native runtime runs a model.
	triedMultiplyAdds = 1e11
	triedTime         = 10 * time.Second
	triedMemory       = 1 << 30
)

// triedSizes are tried, one after the other, for the sizes that a model leaves open, but
// for the batch.
func triedSizes() []int { return []int{32, 64, 224} }

// tryNative says whether the native runtime runs a model. Much of what it refuses, such
// as an element type that an operator does not have, shows only when a node computes:
// so it is asked about a black image, or, of a model that is no image classifier, about
// zeros. The ports are those of findPorts, with its error.
func tryNative(ctx context.Context, model *onnx.Model, p port.Ports, portsErr error) (Expectation,
	[]Reason) {
	unknown := func(format string, args ...any) (Expectation, []Reason) {
		return ExpectUnknown, []Reason{{fmt.Sprintf(format, args...), sourceTried}}
	}
	options := native.Options{Threads: 1, MemoryLimit: triedMemory}
	if portsErr == nil {
		options.Outputs = []string{p.Output} // as OpenNative has it
	}
	refused := func(err error) (Expectation, []Reason) {
		return ExpectRefuses, []Reason{{withoutPath(err, model), sourceTried}}
	}
	tooLarge := func() (Expectation, []Reason) {
		return unknown("it was not run to the end, since that takes more than %d MiB", triedMemory>>20)
	}
	evaluator, err := native.New(ctx, model, options)
	switch {
	case errors.Is(err, native.ErrMemory):
		return tooLarge()
	case err != nil:
		return refused(err)
	}
	defer evaluator.Close()
	if report := onnx.Inspect(model); report.MultiplyAdds > triedMultiplyAdds {
		return unknown(
			"its nodes are supported one by one; it was not run, since a run takes %d multiply-adds",
			report.MultiplyAdds)
	}
	limited, cancel := context.WithTimeout(ctx, triedTime)
	defer cancel()
	var outputs []*native.Tensor
	var guessed bool
	for _, size := range triedSizes() {
		var inputs map[string]*native.Tensor
		if inputs, guessed, err = blackInputs(evaluator.Inputs(), size); err != nil {
			return refused(err)
		}
		if outputs, err = evaluator.Run(limited, inputs); err == nil || !guessed || limited.Err() != nil {
			break
		}
	}
	switch {
	case ctx.Err() != nil:
		return unknown("%v", ctx.Err()) // Support returns the error
	case errors.Is(err, context.DeadlineExceeded):
		return unknown("its nodes are supported one by one; a run took more than %v and was ended",
			triedTime)
	case errors.Is(err, native.ErrMemory):
		return tooLarge()
	case err != nil && guessed:
		return unknown("its image size is open; of the sizes tried, %v, the last gives: %s", triedSizes(),
			withoutPath(err, model))
	case err != nil:
		return refused(err)
	}
	if portsErr == nil {
		n := max(1, p.FixedBatch())
		scores, err := port.ScoresFrom(outputs[0].Data)
		if err == nil {
			_, err = p.Logits(scores, outputs[0].Shape, n)
		}
		if err != nil {
			return refused(err)
		}
	}
	return ExpectRuns, nil
}

// withoutPath is an error's text without the name of the file in front.
func withoutPath(err error, model *onnx.Model) string {
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), model.Path()+": "), "model: ")
}

// blackInputs are zeros of the sizes that the ports name, one example where the batch is
// open, and that size where others are; guessed says that it was needed.
func blackInputs(ports []native.Port, open int) (inputs map[string]*native.Tensor, guessed bool,
	err error) {
	inputs = make(map[string]*native.Tensor)
	for _, port := range ports {
		if port.Shape == nil {
			return nil, false, fmt.Errorf("input %q has no shape: give it one", port.Name)
		}
		shape := slices.Clone(port.Shape)
		for i, size := range shape {
			switch {
			case size == 0 && i == 0:
				return nil, false, fmt.Errorf("input %q takes batches of 0", port.Name)
			case size >= 0:
			case i == 0:
				shape[i] = 1
			default:
				shape[i], guessed = open, true
			}
		}
		if inputs[port.Name], err = native.Zeros(port.Type, shape); err != nil {
			return nil, false, fmt.Errorf("input %q: %w", port.Name, err)
		}
	}
	return inputs, guessed, nil
}
