package native

import (
	"errors"
	"fmt"
	"math"

	"slipway/onnx/onnxpb"
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
				return r.list(y), err
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
				j := &r.jobs.softmax
				*j = softmaxing{y.Data.([]float32), d, count, inner, logarithm}
				err = r.share(len(d)/count, count*elementCost, j)
			case []float64:
				dst := y.Data.([]float64)
				err = r.split(len(d)/count, count*elementCost, func(first, last int) {
					softmax(dst, d, count, inner, logarithm, first, last)
				})
			default:
				err = errElementType(x)
			}
			return r.result(y, err)
		}), nil
	}
}

// softmaxing is softmax of float32.
type softmaxing struct {
	dst, src     []float32
	count, inner int
	logarithm    bool
}

func (j *softmaxing) compute(_, first, last int) {
	softmax(j.dst, j.src, j.count, j.inner, j.logarithm, first, last)
}

// softmax computes rows first to last of count elements, inner apart.
func softmax[T float](dst, src []T, count, inner int, logarithm bool, first, last int) {
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
			return nil, errors.New(
				"it gives the statistics of its batch, which is not supported; export the model for inference")
		}
	}
	b := &batchNormalization{epsilon: float64(n.number("epsilon", 1e-5)), finish: n.finish,
		joins: n.joins}
	b.constant = true
	for i := 1; i <= 4; i++ {
		b.constant = b.constant && n.constant(i) != nil
	}
	n.normalization = b
	return b.run, nil
}

// joinedInputs is how many inputs a BatchNormalization has; those of a Concat follow them.
const joinedInputs = 5

// batchNormalization is BatchNormalization with constant statistics, with the Concat before it and
// the Relu or Clip after it if there are any.
type batchNormalization struct {
	epsilon  float64
	finish   finish
	joins    bool // the inputs from the sixth on are a Concat's, in place of the first
	constant bool // the parameters are the same in every run

	factored kept[factors] // where they are constant
}

// factors are what each channel is multiplied by, and what is added then.
type factors struct{ scale, shift []float32 }

// factors returns what each channel is multiplied by, and what is added then.
func (b *batchNormalization) factors(r *run, in []*Tensor, channels int) (scale, shift []float32,
	err error) {
	known := b.factored.of(r)
	if b.constant && len(known.scale) == channels {
		return known.scale, known.shift, nil
	}
	var parameters [4][]float32 // scale, bias, mean, variance
	for i := range parameters {
		if parameters[i], err = floats32(in[i+1], "parameter"); err != nil {
			return nil, nil, err
		}
		if len(parameters[i]) != channels {
			return nil, nil, fmt.Errorf(
				"its input %d is %v; it must have one value for each of the %d channels", i+1, in[i+1],
				channels)
		}
	}
	scale, shift = make([]float32, channels), make([]float32, channels)
	for c := range scale {
		f := float64(parameters[0][c]) / math.Sqrt(float64(parameters[3][c])+b.epsilon)
		scale[c], shift[c] = float32(f), float32(float64(parameters[1][c])-float64(parameters[2][c])*f)
	}
	if b.constant {
		known.scale, known.shift = scale, shift
	}
	return scale, shift, nil
}

func (b *batchNormalization) run(r *run, in []*Tensor) ([]*Tensor, error) {
	if b.joins {
		return b.joined(r, in)
	}
	x := in[0]
	src, err := floats32(x, "input")
	if err != nil {
		return nil, err
	}
	if len(x.Shape) < 2 {
		return nil, fmt.Errorf("its input %v has no channels", x)
	}
	channels := x.Shape[1]
	scale, shift, err := b.factors(r, in, channels)
	if err != nil {
		return nil, err
	}
	y, err := r.inPlace(in, 0)
	if err != nil || len(src) == 0 {
		return r.list(y), err
	}
	dst := y.Data.([]float32)
	if x.channelsLast {
		return r.result(y, r.split(len(src)/channels, channels, func(first, last int) {
			r.engine.ScaleRows(dst[first*channels:last*channels], channels,
				src[first*channels:last*channels], scale, shift, b.finish.low, b.finish.high)
		}))
	}
	area := product(x.Shape[2:])
	return r.result(y, r.split(len(src)/area, area, func(first, last int) {
		for i := first; i < last; i++ {
			c := i % channels
			r.engine.Clamp(dst[i*area:(i+1)*area], src[i*area:(i+1)*area], scale[c], shift[c], b.finish.low,
				b.finish.high)
		}
	}))
}

// joined normalises what a Concat of images joins, from where the parts lie.
func (b *batchNormalization) joined(r *run, in []*Tensor) ([]*Tensor, error) {
	parts := make([]*Tensor, len(in)-joinedInputs)
	for i := range parts {
		part := in[joinedInputs+i]
		if _, err := floats32(part, "input"); err != nil {
			return nil, err
		}
		if len(part.Shape) < 3 {
			return nil, fmt.Errorf("its input %v is no image", part)
		}
		last, err := r.toChannelsLast(part)
		if err != nil {
			return nil, err
		}
		defer r.release(last)
		parts[i] = last
	}
	shape, err := r.joinedShape(parts)
	if err != nil {
		return nil, err
	}
	channels := shape[1]
	scale, shift, err := b.factors(r, in, channels)
	if err != nil {
		return nil, err
	}
	y, err := r.tensor(onnxpb.TensorProto_FLOAT, shape)
	if err != nil {
		return nil, err
	}
	y.channelsLast = true
	dst := y.Data.([]float32)
	return r.result(y, r.split(shape[0]*product(shape[2:]), channels, func(first, last int) {
		at := 0
		for _, part := range parts {
			n, src := part.Shape[1], part.Data.([]float32)
			if n == 0 || last == first {
				continue
			}
			r.engine.ScaleRows(dst[first*channels+at:(last-1)*channels+at+n], channels, src[first*n:last*n],
				scale[at:at+n], shift[at:at+n], b.finish.low, b.finish.high)
			at += n
		}
	}))
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
			return r.list(y), err
		}
		dst := y.Data.([]float32)
		area := product(x.Shape[2:])
		err = r.split(len(src)/area, area*elementCost, func(first, last int) {
			for i := first; i < last; i++ {
				scale, bias := parameters[0][i%channels], parameters[1][i%channels]
				normalize(dst[i*area:(i+1)*area], src[i*area:(i+1)*area], epsilon, float64(scale),
					float64(bias))
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
