package bisect

import (
	"context"
	"fmt"
	"slices"

	"slipway/infer"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// values are what one side's graph computes, takes and holds, by name.
type values struct {
	graph  *graph
	images infer.Batch
	traced map[string]infer.Tensor
}

// newValues runs a side and keeps the named values, which nodes make.
func newValues(ctx context.Context, g *graph, side Side, names []string) (*values, error) {
	v := &values{graph: g, images: side.Images, traced: make(map[string]infer.Tensor, len(names))}
	var shown []string
	for _, name := range names {
		if reason := g.hidden(name); reason != nil {
			v.traced[name] = infer.Tensor{Missing: reason}
		} else if !slices.Contains(shown, name) {
			shown = append(shown, name)
		}
	}
	err := v.trace(ctx, side, shown)
	if err == nil || ctx.Err() != nil {
		return v, err
	}
	// A runtime that refuses to show integers, say, may show the rest.
	floats := slices.DeleteFunc(slices.Clone(shown), func(name string) bool {
		return g.typeOf(name) != onnxpb.TensorProto_FLOAT
	})
	if len(floats) == 0 || len(floats) == len(shown) {
		return nil, err
	}
	for _, name := range shown {
		v.traced[name] = infer.Tensor{Missing: err}
	}
	if v.trace(ctx, side, floats) != nil {
		return nil, err
	}
	return v, nil
}

func (v *values) trace(ctx context.Context, side Side, names []string) error {
	if len(names) == 0 {
		return nil
	}
	tensors, err := side.Tracer.Trace(ctx, side.Images, names)
	if err != nil {
		return err
	}
	if len(tensors) != len(names) {
		return fmt.Errorf("%s showed %d of %d values", side.Tracer.Info().Runtime, len(tensors),
			len(names))
	}
	for i, name := range names {
		v.traced[name] = tensors[i]
	}
	return nil
}

// of returns the value of a name: what a node makes, a constant, or the images.
func (v *values) of(name string) infer.Tensor {
	if tensor, ok := v.traced[name]; ok {
		return tensor
	}
	if constant := v.graph.constant(name); constant != nil {
		numbers, ok := values64(constant)
		if !ok {
			return missing("it is a constant of a type that is not compared")
		}
		tensor := infer.Tensor{Values: make([]float32, len(numbers))}
		for i, number := range numbers {
			tensor.Values[i] = float32(number)
		}
		for _, dim := range constant.GetDims() {
			tensor.Shape = append(tensor.Shape, int(dim))
		}
		return tensor
	}
	if _, made := v.graph.maker[name]; made {
		return missing("it was not asked for")
	}
	if name == "" {
		return missing("there is none")
	}
	return v.graph.image(name, v.images)
}

func missing(reason string) infer.Tensor { return infer.Tensor{Missing: fmt.Errorf("%s", reason)} }

// image is the batch as the graph's input of that name takes it.
func (g *graph) image(name string, images infer.Batch) infer.Tensor {
	i := slices.IndexFunc(g.inputs, func(input onnx.Value) bool { return input.Name == name })
	if i < 0 {
		return missing("nothing in the graph makes it")
	}
	dims := g.inputs[i].Dims
	fits := func(want ...int) bool {
		if len(dims) != len(want) {
			return false
		}
		for i, dim := range dims {
			if i > 0 && dim.Known() && dim.Size != int64(want[i]) {
				return false
			}
		}
		return true
	}
	n, c, h, w := images.N, images.C, images.H, images.W
	if !fits(n, c, h, w) && fits(n, h, w, c) {
		return infer.Tensor{Shape: []int{n, h, w, c}, Values: channelsLast(images)}
	}
	return infer.Tensor{Shape: []int{n, c, h, w}, Values: images.Pixels}
}

// channelsLast returns the pixels as N×H×W×C.
func channelsLast(images infer.Batch) []float32 {
	area := images.H * images.W
	out := make([]float32, 0, len(images.Pixels))
	for n := range images.N {
		for i := range area {
			for c := range images.C {
				out = append(out, images.Pixels[(n*images.C+c)*area+i])
			}
		}
	}
	return out
}
