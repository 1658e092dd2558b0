package native

import (
	"errors"

	"slipway/internal/kernel"
	"slipway/onnx/onnxpb"
)

// averagePool is AveragePool.
type averagePool struct {
	window  window
	frames  framed
	padding bool // counts in the average
	plans   plansOf[*kernel.AvgPool2D]
}

func makeAveragePool(n *node) (operation, error) {
	w, err := poolWindow(n)
	if err != nil {
		return nil, err
	}
	p := &averagePool{window: w, padding: n.integer("count_include_pad", 0) != 0}
	return p.run, nil
}

func (p *averagePool) run(r *run, in []*Tensor) ([]*Tensor, error) {
	x := in[0]
	if _, err := floats32(x, "input"); err != nil {
		return nil, err
	}
	spatial, err := spatialOf(x)
	if err != nil {
		return nil, err
	}
	f, err := p.frames.over(r, p.window, spatial)
	if err != nil {
		return nil, err
	}
	window, ok := kernelWindow(f)
	padded := window.PaddingHeight > 0 || window.PaddingWidth > 0
	if ok && (p.padding || !padded) && f.whole() && x.size() > 0 {
		config := kernel.Pool2DConfig{Batch: x.Shape[0], Channels: x.Shape[1], Window: window}
		config.Height, config.Width = pair(f.in, 1)
		key := planKey{config.Batch, config.Height, config.Width, config.Channels}
		plan, err := p.plans.get(r, key, poolPlanBytes(f), func() (*kernel.AvgPool2D, error) {
			return kernel.NewAvgPool2D(r.engine, config)
		})
		if err == nil {
			y, err := r.pooled(x, f, plan)
			return r.list(y), err
		}
		if !errors.Is(err, errNoPlan) {
			return nil, err
		}
	}
	plain, err := r.rowMajor(x)
	if err != nil {
		return nil, err
	}
	defer r.release(plain)
	return p.loops(r, plain, f)
}

func (p *averagePool) loops(r *run, x *Tensor, f frame) ([]*Tensor, error) {
	planes := x.Shape[0] * x.Shape[1]
	y, err := r.tensor(onnxpb.TensorProto_FLOAT, r.images(x.Shape[0], x.Shape[1], f.out))
	if err != nil {
		return nil, err
	}
	src, dst := x.Data.([]float32), y.Data.([]float32)
	inArea, outArea := product(f.in), product(f.out)
	if outArea == 0 || inArea == 0 || planes == 0 {
		return r.list(y), nil
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
				sum, count := float32(0), 0.0
				f.taps(position, func(_, index int) {
					sum += in[index]
					count++
				})
				if p.padding {
					count = f.covered(position)
				}
				dst[plane*outArea+i] = sum / float32(count)
				next(position, f.out)
			}
		}
	})
	return r.result(y, err)
}

// whole reports whether no window reaches over the input and its padding: then each
// covers all of its taps.
func (f frame) whole() bool {
	for i, out := range f.out {
		if (out-1)*f.strides[i]+(f.kernel[i]-1)*f.dilations[i]+1 > f.in[i]+f.begin[i]+f.end[i] {
			return false
		}
	}
	return true
}

// covered counts the taps of an output position inside the input or its padding;
// with ceil_mode a window can reach over both. It is a float64 because three dimensions
// of a hostile file's are beyond an int.
func (f frame) covered(position []int) float64 {
	count := 1.0
	for i, p := range position {
		room := f.in[i] + f.begin[i] + f.end[i] - p*f.strides[i]
		count *= float64(min(f.kernel[i], (room+f.dilations[i]-1)/f.dilations[i]))
	}
	return count
}
