package native

import (
	"fmt"

	"slipway/internal/kernel"
	"slipway/onnx/onnxpb"
)

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
		j.engine.SumRows(sums, j.src[image*j.area*channels:(image+1)*j.area*channels],
			w.scratch[:channels])
		for c, sum := range sums {
			j.dst[image*channels+c] = float32(sum / float64(j.area))
		}
	}
}
