// Package onnxgo runs an ONNX model in onnx-go, on Gorgonia: a runtime that
// shares no code with onnxruntime.
//
// onnx-go panics on much that it does not support, sometimes in a goroutine of
// its own where no recover helps. So it runs in a process of its own, which
// calls Serve; infer.OpenONNXGo starts that process and speaks to it. A package
// of its own also keeps onnx-go out of programs that do not ask for it.
package onnxgo

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"

	onnxgo "github.com/owulveryck/onnx-go"
	"github.com/owulveryck/onnx-go/backend/x/gorgonnx"
	"gorgonia.org/tensor"

	"slipway/infer/internal/workerproto"
)

// Serve answers infer.OpenONNXGo over r and w until r ends. It returns nil at
// its end and an error when the stream is broken; what is wrong with a model or
// a batch goes to the other side.
func Serve(r io.Reader, w io.Writer) error {
	if _, err := io.WriteString(w, workerproto.Magic); err != nil {
		return fmt.Errorf("onnx-go worker: %w", err)
	}
	decoder, encoder := gob.NewDecoder(r), gob.NewEncoder(w)
	if err := encoder.Encode(workerproto.Hello{Version: version()}); err != nil {
		return fmt.Errorf("onnx-go worker: %w", err)
	}
	var load workerproto.Load
	if err := decoder.Decode(&load); err != nil {
		return endOfStream(err)
	}
	g, err := newGraph(load)
	if err := encoder.Encode(workerproto.Loaded{Error: message(err)}); err != nil {
		return fmt.Errorf("onnx-go worker: %w", err)
	}
	if err != nil {
		return nil
	}
	for {
		var images workerproto.Images
		if err := decoder.Decode(&images); err != nil {
			return endOfStream(err)
		}
		scores, err := g.run(images.Pixels)
		scores.Error = message(err)
		if err := encoder.Encode(scores); err != nil {
			return fmt.Errorf("onnx-go worker: %w", err)
		}
	}
}

func endOfStream(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("onnx-go worker: %w", err)
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// graph is a model whose first run fixes its shapes: one graph, one shape.
type graph struct {
	backend *gorgonnx.Graph
	model   *onnxgo.Model
	load    workerproto.Load
}

// newGraph catches the panics that come in this goroutine; the others end the
// process, and infer.OpenONNXGo reports their first line.
func newGraph(load workerproto.Load) (g *graph, err error) {
	defer recoverTo(&err)
	backend := gorgonnx.NewGraph()
	model := onnxgo.NewModel(backend)
	if err := model.UnmarshalBinary(load.Model); err != nil {
		return nil, err
	}
	return &graph{backend, model, load}, nil
}

func (g *graph) run(pixels []float32) (scores workerproto.Scores, err error) {
	defer recoverTo(&err)
	shape := tensor.Shape(g.load.Input)
	if shape.TotalSize() != len(pixels) {
		return scores, fmt.Errorf("%d pixels for an input of %v", len(pixels), shape)
	}
	if err := g.model.SetInput(0,
		tensor.New(tensor.WithShape(shape...), tensor.WithBacking(pixels))); err != nil {
		return scores, err
	}
	if err := g.backend.Run(); err != nil {
		return scores, err
	}
	outputs, err := g.model.GetOutputTensors()
	if err != nil {
		return scores, err
	}
	if len(outputs) != 1 {
		return scores, fmt.Errorf("the graph has %d outputs, one is wanted", len(outputs))
	}
	output := outputs[0]
	values, ok := output.Data().([]float32)
	n := g.load.Input[0]
	if !ok || len(values) == 0 || len(values)%n != 0 || output.Shape()[0] != n {
		return scores, fmt.Errorf("the output is %v %v, float32 N×K with N = %d is wanted",
			output.Dtype(), output.Shape(), n)
	}
	// The next run writes into the same memory.
	return workerproto.Scores{K: len(values) / n, Values: slices.Clone(values)}, nil
}

func recoverTo(err *error) {
	if problem := recover(); problem != nil {
		*err = fmt.Errorf("panic: %v", problem)
	}
}

// version is onnx-go's version in this build, "(unknown)" where the build keeps none.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/owulveryck/onnx-go" {
				return module.Version
			}
		}
	}
	return "(unknown)"
}
