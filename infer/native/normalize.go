package native

import (
	"errors"
	"fmt"
	"math"
)

// makeSoftmax makes Softmax, or its logarithm: along one axis since opset 13,
// before over all dimensions from the axis on. Sums are float64.
func makeSoftmax(logarithm bool) func(*node) (operation, error) {
	return func(n *node) (operation, error) {
		along, joined := n.integer("axis", -1), n.opset < 13
		if joined {
			along = n.integer("axis", 1)
		}
		return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
			x := in[0]
			axis, err := axisOf(along, max(1, len(x.Shape)))
			if err != nil {
				return nil, err
			}
			y, err := r.tensor(x.Type(), x.Shape)
			if err != nil || y.elements() == 0 {
				return []*Tensor{y}, err
			}
			count, inner := 1, 1
			if len(x.Shape) > 0 {
				count, inner = x.Shape[axis], product(x.Shape[axis+1:])
			}
			if joined {
				count, inner = count*inner, 1
			}
			switch d := x.Data.(type) {
			case []float32:
				err = softmax(r, y.Data.([]float32), d, count, inner, logarithm)
			case []float64:
				err = softmax(r, y.Data.([]float64), d, count, inner, logarithm)
			default:
				err = errElementType(x)
			}
			return r.result(y, err)
		}), nil
	}
}

// softmax computes rows of count elements, inner apart.
func softmax[T float](r *run, dst, src []T, count, inner int, logarithm bool) error {
	return r.split(len(src)/count, count*elementCost, func(first, last int) {
		for row := first; row < last; row++ {
			start := row/inner*inner*count + row%inner
			largest := math.Inf(-1)
			for k := range count {
				// max keeps NaN: a row with one is NaN.
				largest = max(largest, float64(src[start+k*inner]))
			}
			sum := 0.0
			for k := range count {
				sum += math.Exp(float64(src[start+k*inner]) - largest)
			}
			for k := range count {
				at := start + k*inner
				v := float64(src[at]) - largest
				if logarithm {
					dst[at] = T(v - math.Log(sum))
				} else {
					dst[at] = T(math.Exp(v) / sum)
				}
			}
		}
	})
}

// makeBatchNormalization makes (x − mean)/√(variance + epsilon)·scale + bias with
// the given mean and variance of each channel; training is not supported.
func makeBatchNormalization(n *node) (operation, error) {
	if err := n.only("training_mode", 0, 0); err != nil {
		return nil, fmt.Errorf("%w; export the model for inference", err)
	}
	if err := n.only("spatial", 1, 1); err != nil {
		return nil, err
	}
	for i := 1; i < len(n.proto.GetOutput()); i++ {
		if n.gives(i) {
			return nil, errors.New("it gives the statistics of its batch, which is not supported; export the model for inference")
		}
	}
	epsilon := float64(n.number("epsilon", 1e-5))
	return func(r *run, in []*Tensor) ([]*Tensor, error) {
		x := in[0]
		src, err := floats32(x, "input")
		if err != nil {
			return nil, err
		}
		if len(x.Shape) < 2 {
			return nil, fmt.Errorf("its input %v has no channels", x)
		}
		channels := x.Shape[1]
		var parameters [4][]float32 // scale, bias, mean, variance
		for i := range parameters {
			if parameters[i], err = floats32(in[i+1], "parameter"); err != nil {
				return nil, err
			}
			if len(parameters[i]) != channels {
				return nil, fmt.Errorf("its input %d is %v; it must have one value for each of the %d channels", i+1, in[i+1], channels)
			}
		}
		factor := make([]float32, channels)
		for c := range factor {
			factor[c] = float32(float64(parameters[0][c]) / math.Sqrt(float64(parameters[3][c])+epsilon))
		}
		bias, mean := parameters[1], parameters[2]
		y, err := r.inPlace(in, 0)
		if err != nil || len(src) == 0 {
			return []*Tensor{y}, err
		}
		dst := y.Data.([]float32)
		if x.channelsLast {
			return []*Tensor{y}, r.split(len(src)/channels, channels, func(first, last int) {
				for i := first; i < last; i++ {
					row, out := src[i*channels:(i+1)*channels], dst[i*channels:(i+1)*channels]
					for c, v := range row {
						out[c] = (v-mean[c])*factor[c] + bias[c]
					}
				}
			})
		}
		area := product(x.Shape[2:])
		return []*Tensor{y}, r.split(len(src)/area, area, func(first, last int) {
			for i := first; i < last; i++ {
				c := i % channels
				m, f, b := mean[c], factor[c], bias[c]
				out := dst[i*area : (i+1)*area]
				for k, v := range src[i*area : (i+1)*area] {
					out[k] = (v-m)*f + b
				}
			}
		})
	}, nil
}

// makeInstanceNormalization makes (x − mean)/√(variance + epsilon)·scale + bias with
// the mean and variance of each channel of each image, in float64.
func makeInstanceNormalization(n *node) (operation, error) {
	epsilon := float64(n.number("epsilon", 1e-5))
	return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
		x := in[0]
		src, err := floats32(x, "input")
		if err != nil {
			return nil, err
		}
		if len(x.Shape) < 3 {
			return nil, fmt.Errorf("its input %v has no images of channels", x)
		}
		channels := x.Shape[1]
		var parameters [2][]float32 // scale, bias
		for i := range parameters {
			if parameters[i], err = floats32(in[i+1], "parameter"); err != nil {
				return nil, err
			}
			if len(parameters[i]) != channels {
				return nil, fmt.Errorf("its input %d is %v; it must have one value for each of the %d channels",
					i+1, in[i+1], channels)
			}
		}
		y, err := r.tensor(x.Type(), x.Shape)
		if err != nil || len(src) == 0 {
			return []*Tensor{y}, err
		}
		dst := y.Data.([]float32)
		area := product(x.Shape[2:])
		err = r.split(len(src)/area, area*elementCost, func(first, last int) {
			for i := first; i < last; i++ {
				scale, bias := parameters[0][i%channels], parameters[1][i%channels]
				normalize(dst[i*area:(i+1)*area], src[i*area:(i+1)*area], epsilon, float64(scale), float64(bias))
			}
		})
		return r.result(y, err)
	}), nil
}

func normalize(dst, src []float32, epsilon, scale, bias float64) {
	var mean, variance float64
	for _, v := range src {
		mean += float64(v)
	}
	mean /= float64(len(src))
	for _, v := range src {
		variance += (float64(v) - mean) * (float64(v) - mean)
	}
	factor := scale / math.Sqrt(variance/float64(len(src))+epsilon)
	for i, v := range src {
		dst[i] = float32((float64(v)-mean)*factor + bias)
	}
}
