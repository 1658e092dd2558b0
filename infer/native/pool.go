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
	plans       plansOf[*kernel.MaxPool2D]
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
	return w, 2*w.PaddingHeight <= w.Height && 2*w.PaddingWidth <= w.Width && w.Height < 1<<15 && w.Width < 1<<15 &&
		w.Height*w.Width < 1<<15 && w.StrideHeight < 1<<20 && w.StrideWidth < 1<<20
}

func poolPlanBytes(f frame, images, channels int) int {
	return product(f.out) * (8*product(f.kernel) + 2*images*channels)
}

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
	if window, ok := kernelWindow(f); ok && !p.indices && x.size() > 0 && x.Type() == onnxpb.TensorProto_FLOAT {
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
	plan, err := p.plans.get(r, key, poolPlanBytes(f, config.Batch, config.Channels), func() (*kernel.MaxPool2D, error) {
		return kernel.NewMaxPool2D(r.engine, config)
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
	image, err := r.toChannelsLast(x)
	if err != nil {
		return nil, err
	}
	defer r.release(image)
	y, err := r.tensor(onnxpb.TensorProto_FLOAT, r.images(x.Shape[0], x.Shape[1], f.out))
	if err != nil {
		return nil, err
	}
	y.channelsLast = true
	if err := plan.Forward(y.Data.([]float32), image.Data.([]float32)); err != nil {
		r.release(y)
		return nil, err
	}
	return y, nil
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
		plan, err := p.plans.get(r, key, poolPlanBytes(f, 0, 0), func() (*kernel.AvgPool2D, error) {
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

// makeGlobalPool makes GlobalMaxPool, or GlobalAveragePool, whose sums are float64.
func makeGlobalPool(maximum bool) func(*node) (operation, error) {
	return func(*node) (operation, error) {
		return func(r *run, in []*Tensor) ([]*Tensor, error) {
			x := in[0]
			src, err := floats32(x, "input")
			if err != nil {
				return nil, err
			}
			spatial, err := spatialOf(x)
			if err != nil {
				return nil, err
			}
			area := product(spatial)
			if area == 0 {
				return nil, fmt.Errorf("its input %v has nothing to pool", x)
			}
			shape := r.shape(x.Shape, nil)
			for i := range spatial {
				shape[2+i] = 1
			}
			y, err := r.tensor(onnxpb.TensorProto_FLOAT, shape)
			if err != nil {
				return nil, err
			}
			if x.channelsLast && !maximum {
				return r.result(y, r.means(y.Data.([]float32), src, x.Shape[1], area))
			}
			dst, channels, step := y.Data.([]float32), x.Shape[1], 1
			if x.channelsLast {
				step = channels
			}
			return r.result(y, r.split(len(dst), area, func(first, last int) {
				for i := first; i < last; i++ {
					start := i * area
					if x.channelsLast {
						start = i/channels*channels*area + i%channels
					}
					best, sum := src[start], 0.0
					for k := range area {
						v := src[start+k*step]
						sum += float64(v)
						if v > best || v != v {
							best = v
						}
					}
					dst[i] = float32(sum / float64(area))
					if maximum {
						dst[i] = best
					}
				}
			}))
		}, nil
	}
}

// means writes the mean of each channel of images that are channels last.
func (r *run) means(dst, src []float32, channels, area int) error {
	j := &r.jobs.mean
	j.engine, j.dst, j.src, j.channels, j.area = r.engine, dst, src, channels, area
	for len(j.work) < r.engine.Pool.Threads() {
		j.work = append(j.work, averagingWork{})
	}
	return r.share(len(dst)/channels, channels*area, j)
}

// averaging computes means of channels.
type averaging struct {
	engine         kernel.Engine
	dst, src       []float32
	channels, area int
	work           []averagingWork // by worker
}

type averagingWork struct {
	sums    []float64
	scratch []float32
}

func (j *averaging) compute(worker, first, last int) {
	w, channels := &j.work[worker], j.channels
	if len(w.sums) < channels {
		w.sums, w.scratch = make([]float64, channels), make([]float32, channels)
	}
	sums := w.sums[:channels]
	for image := first; image < last; image++ {
		clear(sums)
		j.engine.SumRows(sums, j.src[image*j.area*channels:(image+1)*j.area*channels], w.scratch[:channels])
		for c, sum := range sums {
			j.dst[image*channels+c] = float32(sum / float64(j.area))
		}
	}
}
