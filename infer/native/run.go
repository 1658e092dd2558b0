package native

import (
	"context"
	"fmt"

	"slipway/internal/kernel"
	"slipway/onnx/onnxpb"
)

// operation computes a node's outputs from its inputs, which are nil where they
// are left out. It does not change its inputs. Outputs that nobody wants may be
// missing.
type operation func(r *run, in []*Tensor) ([]*Tensor, error)

// run is what an operation computes with.
type run struct {
	*arena
	ctx      context.Context
	engine   kernel.Engine
	elements *kernel.Elementwise
	// ending says of each input of the step whether nobody needs it afterwards.
	ending []bool

	kept map[any]any // by the place of what an operation keeps
	jobs jobs

	gates map[kernel.Gate]kernel.GateTable
	// Memory of the loop over the steps.
	values, operands []*Tensor
	ends             []bool
}

// grain is how many elements are worth a thread's while.
const grain = 16 << 10

// split cuts n items into spans, each of about grain elements where an item has
// cost, and computes them on all threads. It ends early when the context does.
func (r *run) split(n, cost int, compute func(first, last int)) error {
	span := max(1, grain/max(1, cost))
	if n <= span {
		compute(0, n)
		return r.ctx.Err()
	}
	r.engine.Pool.Run((n+span-1)/span, func(_, item int) {
		if r.ctx.Err() == nil {
			compute(item*span, min(n, (item+1)*span))
		}
	})
	return r.ctx.Err()
}

// like returns a tensor of the type, shape and order of another.
func (r *run) like(t *Tensor) (*Tensor, error) {
	y, err := r.tensor(t.Type(), t.Shape)
	if err != nil {
		return nil, err
	}
	y.channelsLast = t.channelsLast
	return y, nil
}

// same returns a tensor that shares everything.
func (r *run) same(t *Tensor) *Tensor {
	v := r.view(t, t.Shape)
	v.channelsLast = t.channelsLast
	return v
}

// toChannelsLast returns the tensor, N×C×spatial of float32, in the order N,
// spatial, C. The caller releases it.
func (r *run) toChannelsLast(t *Tensor) (*Tensor, error) {
	if t.channelsLast {
		return r.same(t), nil
	}
	channels, area := t.Shape[1], product(t.Shape[2:])
	if channels == 1 || area == 1 {
		v := r.same(t)
		v.channelsLast = true
		return v, nil
	}
	y, err := r.tensor(onnxpb.TensorProto_FLOAT, t.Shape)
	if err != nil {
		return nil, err
	}
	y.channelsLast = true
	return y, r.transposeImages(y, t, t.Shape[0], channels, area)
}

// mapped returns images of so many channels that forward writes from those of x, both channels
// last.
func (r *run) mapped(x *Tensor, channels int, out []int,
	forward func(y, x []float32) error) (*Tensor, error) {
	image, err := r.toChannelsLast(x)
	if err != nil {
		return nil, err
	}
	defer r.release(image)
	y, err := r.tensor(onnxpb.TensorProto_FLOAT, r.images(x.Shape[0], channels, out))
	if err != nil {
		return nil, err
	}
	y.channelsLast = true
	return r.one(y, forward(y.Data.([]float32), image.Data.([]float32)))
}

// rowMajor returns the tensor in the order that its shape says. The caller
// releases it.
func (r *run) rowMajor(t *Tensor) (*Tensor, error) {
	if !t.channelsLast {
		return r.same(t), nil
	}
	channels, area := t.Shape[1], product(t.Shape[2:])
	if channels == 1 || area == 1 {
		return r.view(t, t.Shape), nil
	}
	y, err := r.tensor(onnxpb.TensorProto_FLOAT, t.Shape)
	if err != nil {
		return nil, err
	}
	return y, r.transposeImages(y, t, t.Shape[0], area, channels)
}

// transposeImages transposes each of n matrices of float32.
func (r *run) transposeImages(dst, src *Tensor, n, rows, columns int) error {
	d, s := dst.Data.([]float32), src.Data.([]float32)
	if rows == 3 {
		width := min(columns, interleavedSpan)
		return r.interleave(d, s, columns, width, columns, width, 0)
	}
	j := &r.jobs.transpose
	*j = transposition{dst: d, src: s, rows: rows, columns: columns}
	return r.share(n, rows*columns, j)
}

// transposition transposes images of rows×columns.
type transposition struct {
	dst, src      []float32
	rows, columns int
}

func (t *transposition) compute(_, first, last int) {
	size := t.rows * t.columns
	for i := first; i < last; i++ {
		transpose(t.dst[i*size:(i+1)*size], t.src[i*size:(i+1)*size], t.rows, t.columns)
	}
}

// transpose writes a rows×columns matrix as columns×rows, in blocks that fit the
// first-level cache.
func transpose(dst, src []float32, rows, columns int) {
	const block = 16
	for top := 0; top < rows; top += block {
		bottom := min(rows, top+block)
		for left := 0; left < columns; left += block {
			right := min(columns, left+block)
			for i := top; i < bottom; i++ {
				row := src[i*columns+left : i*columns+right]
				at := left*rows + i
				for _, v := range row {
					dst[at] = v
					at += rows
				}
			}
		}
	}
}

// ordered makes an operation of one for which tensors must be row-major.
func ordered(f operation) operation {
	return func(r *run, in []*Tensor) ([]*Tensor, error) {
		plain := r.room(len(in))
		var out []*Tensor
		var err error
		for i, t := range in {
			if t == nil {
				continue
			}
			if plain[i], err = r.rowMajor(t); err != nil {
				break
			}
		}
		if err == nil {
			out, err = f(r, plain)
		}
		for _, t := range plain {
			r.release(t)
		}
		return out, err
	}
}

// floats32 returns the elements of a float32 tensor, and an error for others.
func floats32(t *Tensor, what string) ([]float32, error) {
	if d, ok := t.Data.([]float32); ok {
		return d, nil
	}
	return nil, fmt.Errorf("its %s is %v; only float32 is supported", what, t)
}
