package native

import (
	"errors"
	"fmt"
	"math"

	"slipway/internal/kernel"
	"slipway/onnx/onnxpb"
)

// maxPool is MaxPool. NaN wins over every number, as in PyTorch; the ONNX
// definition says nothing of it.
type maxPool struct {
	window      window
	frames      framed
	columnMajor bool // Indices count the last dimension slowest
	indices     bool
	plans       plansOf[*kernel.Maxima2D]
}

func makeMaxPool(n *node) (operation, error) {
	w, err := poolWindow(n)
	if err != nil {
		return nil, err
	}
	if err := n.only("storage_order", 0, 0, 1); err != nil {
		return nil, err
	}
	p := &maxPool{window: w, columnMajor: n.integer("storage_order", 0) == 1, indices: n.gives(1)}
	return p.run, nil
}

func poolWindow(n *node) (window, error) {
	w, err := windowOf(n)
	if err == nil && w.kernel == nil {
		err = errors.New("attribute kernel_shape is missing")
	}
	return w, err
}

// spatialOf returns the spatial sizes of N×C×spatial.
func spatialOf(t *Tensor) ([]int, error) {
	if len(t.Shape) < 3 {
		return nil, fmt.Errorf("its input %v has no spatial dimension after N×C", t)
	}
	return t.Shape[2:], nil
}

// kernelWindow returns the window for the kernels' plans, and whether they compute
// it: no dilation, the same padding on both sides, at most half of the window.
func kernelWindow(f frame) (kernel.Window, bool) {
	var w kernel.Window
	if !f.plain() || !f.symmetric() {
		return w, false
	}
	w.Height, w.Width = pair(f.kernel, 1)
	w.StrideHeight, w.StrideWidth = pair(f.strides, 1)
	w.PaddingHeight, w.PaddingWidth = pair(f.begin, 0)
	return w, 2*w.PaddingHeight <= w.Height && 2*w.PaddingWidth <= w.Width && w.Height < 1<<15 &&
		w.Width < 1<<15 &&
		w.Height*w.Width < 1<<15 && w.StrideHeight < 1<<20 && w.StrideWidth < 1<<20
}

func poolPlanBytes(f frame) int { return 8 * product(f.out) * product(f.kernel) }

func (p *maxPool) run(r *run, in []*Tensor) ([]*Tensor, error) {
	x := in[0]
	spatial, err := spatialOf(x)
	if err != nil {
		return nil, err
	}
	f, err := p.frames.over(r, p.window, spatial)
	if err != nil {
		return nil, err
	}
	if window, ok := kernelWindow(f); ok && !p.indices && x.size() > 0 &&
		x.Type() == onnxpb.TensorProto_FLOAT {
		y, err := p.planned(r, x, f, window)
		if !errors.Is(err, errNoPlan) {
			return r.list(y), err
		}
	}
	plain, err := r.rowMajor(x)
	if err != nil {
		return nil, err
	}
	defer r.release(plain)
	switch plain.Data.(type) {
	case []float32:
		return maxLoops[float32](r, p, plain, f)
	case []float64:
		return maxLoops[float64](r, p, plain, f)
	case []int8:
		return maxLoops[int8](r, p, plain, f)
	case []uint8:
		return maxLoops[uint8](r, p, plain, f)
	}
	return nil, fmt.Errorf("its input %v is not of a supported type", x)
}

func (p *maxPool) planned(r *run, x *Tensor, f frame, window kernel.Window) (*Tensor, error) {
	config := kernel.Pool2DConfig{Batch: x.Shape[0], Channels: x.Shape[1], Window: window}
	config.Height, config.Width = pair(f.in, 1)
	key := planKey{config.Batch, config.Height, config.Width, config.Channels}
	plan, err := p.plans.get(r, key, poolPlanBytes(f),
		func() (*kernel.Maxima2D, error) {
			return kernel.NewMaxima2D(r.engine, config)
		})
	if err != nil {
		return nil, err
	}
	return r.pooled(x, f, plan)
}

// poolPlan is a plan of the kernels for a pooling.
type poolPlan interface{ Forward(y, x []float32) error }

// pooled computes a pooling of channels-last images.
func (r *run) pooled(x *Tensor, f frame, plan poolPlan) (*Tensor, error) {
	return r.mapped(x, x.Shape[1], f.out, plan.Forward)
}

func maxLoops[T number](r *run, p *maxPool, x *Tensor, f frame) ([]*Tensor, error) {
	planes := x.Shape[0] * x.Shape[1]
	shape := append([]int{x.Shape[0], x.Shape[1]}, f.out...)
	y, err := r.tensor(x.Type(), shape)
	if err != nil {
		return nil, err
	}
	outputs := []*Tensor{y}
	var indices []int64
	if p.indices {
		t, err := r.tensor(onnxpb.TensorProto_INT64, shape)
		if err != nil {
			r.release(y)
			return nil, err
		}
		indices = t.Data.([]int64)
		outputs = append(outputs, t)
	}
	src, dst := x.Data.([]T), y.Data.([]T)
	inArea, outArea := product(f.in), product(f.out)
	if outArea == 0 || inArea == 0 || planes == 0 {
		return outputs, nil
	}
	// An index in which the last dimension counts slowest.
	columnMajor := func(index int) int {
		at, step := 0, inArea
		for i := len(f.in) - 1; i >= 0; i-- {
			step /= f.in[i]
			at += index % f.in[i] * step
			index /= f.in[i]
		}
		return at
	}
	err = r.split(planes, f.planeCost(), func(first, last int) {
		for plane := first; plane < last; plane++ {
			position := make([]int, len(f.out))
			in := src[plane*inArea : (plane+1)*inArea]
			for i := range outArea {
				// Each window may hold the whole input.
				if r.ctx.Err() != nil {
					return
				}
				best, at := T(0), -1
				f.taps(position, func(_, index int) {
					if v := in[index]; at < 0 || v > best || v != v && best == best {
						best, at = v, index
					}
				})
				if at < 0 {
					// A window in the padding alone has no maximum.
					best = lowest[T]()
				}
				dst[plane*outArea+i] = best
				if indices != nil {
					if p.columnMajor && at >= 0 {
						at = columnMajor(at)
					}
					indices[plane*outArea+i] = int64(plane*inArea + at)
				}
				next(position, f.out)
			}
		}
	})
	if err != nil {
		for _, t := range outputs {
			r.release(t)
		}
		return nil, err
	}
	return outputs, nil
}

// lowest returns the least value of a type: −∞ for floats.
func lowest[T number]() T {
	switch p := any(new(T)).(type) {
	case *float32:
		*p = float32(math.Inf(-1))
		return any(*p).(T)
	case *float64:
		*p = math.Inf(-1)
		return any(*p).(T)
	case *int8:
		*p = math.MinInt8
		return any(*p).(T)
	}
	return 0
}
