package port

import (
	"fmt"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// Feeder makes of batches what an input takes, and keeps the memory that this takes for the next
// one. The zero value is ready. It is for one goroutine at a time.
type Feeder struct {
	last   []float32
	bytes  []uint8
	halves []onnx.Float16
	wide   []float64
	fed    []float32 // what data holds, where that is float32
	data   any
}

// Feed returns a batch in the layout and the type of the input: []float32, []uint8,
// []onnx.Float16 or []float64. It is of use until the next call, and may be the batch's own
// pixels.
func (f *Feeder) Feed(p Ports, l Layout, batch Batch) (any, error) {
	pixels := batch.Pixels
	if l == ChannelsLast && batch.C > 1 {
		f.last = atLeast(f.last, len(pixels))
		toChannelsLast(f.last, batch)
		pixels = f.last
	}
	switch p.InputType {
	case onnxpb.TensorProto_UINT8:
		f.bytes = atLeast(f.bytes, len(pixels))
		if err := toBytes(f.bytes, pixels); err != nil {
			return nil, fmt.Errorf("input %q %w", p.Input, err)
		}
		return f.bytes, nil
	case onnxpb.TensorProto_FLOAT16:
		f.halves = atLeast(f.halves, len(pixels))
		for i, v := range pixels {
			f.halves[i] = onnx.NewFloat16(v)
		}
		return f.halves, nil
	case onnxpb.TensorProto_DOUBLE:
		f.wide = atLeast(f.wide, len(pixels))
		for i, v := range pixels {
			f.wide[i] = float64(v)
		}
		return f.wide, nil
	}
	// A slice in an interface is allocated: the same one is not, once more.
	if f.data == nil || len(f.fed) != len(pixels) || &f.fed[0] != &pixels[0] {
		f.fed, f.data = pixels, pixels
	}
	return f.data, nil
}

// atLeast is a slice of n elements, in the memory of s if there is enough.
func atLeast[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
