package native

import (
	"errors"
	"slices"

	"slipway/internal/kernel"
	"slipway/onnx/onnxpb"
)

// excitation is the product of a map and a factor for each of its channels, and the pointwise
// convolution that alone takes it, as squeeze-and-excitation ends in MobileNetV3 and EfficientNet:
// the product is made a block of positions at a time, where it is multiplied.
type excitation struct {
	product  operation
	conv     link
	plans    plansOf[*kernel.PreActivated]
	features kept[[1]kernel.Features]
}

// productInputs is how many inputs a Mul has; those of the convolution follow them.
const productInputs = 2

// excite joins the steps of products with those of the pointwise convolutions that alone take what
// they give.
func (c *compiler) excite() {
	c.joinPointwise(func(before, _ *step, conv link) operation {
		if !before.multiplies {
			return nil
		}
		return (&excitation{product: before.compute, conv: conv}).run
	})
}

func (e *excitation) run(r *run, in []*Tensor) ([]*Tensor, error) {
	r.ending = nil // which is of the step's inputs, and not of each node's
	y, err := e.planned(r, in)
	if !errors.Is(err, errNoPlan) {
		return r.result(y, err)
	}
	product, err := e.product(r, in[:productInputs])
	if err != nil {
		return nil, err
	}
	defer r.release(product[0])
	return e.conv.behind(r, product[0], in[productInputs:])
}

// planned computes both with a plan; an error that wraps errNoPlan says that there is none: the
// operators themselves say what is wrong.
func (e *excitation) planned(r *run, in []*Tensor) (*Tensor, error) {
	x, factors := in[0], in[1]
	if len(x.Shape) != 4 || len(factors.Shape) != 4 {
		return nil, errNoPlan
	}
	if x.perChannel(factors.Shape) && !slices.Equal(x.Shape, factors.Shape) {
		x, factors = factors, x
	}
	scale, ok := factors.Data.([]float32)
	if !ok || x.Type() != onnxpb.TensorProto_FLOAT || !x.channelsLast || !factors.perChannel(x.Shape) {
		return nil, errNoPlan
	}
	f := kernel.PreActivatedConfig{
		Batch: x.Shape[0], Height: x.Shape[2], Width: x.Shape[3], Channels: x.Shape[1],
		Filters: e.conv.packed.Shape[0], Low: noFinish().low, High: noFinish().high,
		Finish: e.conv.finish.kernel(), PerImage: true,
	}
	// A single position is a matrix times a vector, which has a plan of its own.
	if f.Height*f.Width < 2 || f.Channels != e.conv.packed.Shape[1] ||
		len(scale) != f.Batch*f.Channels {
		return nil, errNoPlan
	}
	own := in[productInputs:]
	bias, ok := givenBias(own, 1, f.Filters)
	if !ok {
		return nil, errNoPlan
	}
	shape := r.images(f.Batch, f.Filters, x.Shape[2:])
	addend, ok, err := e.conv.addendOf(r, own, shape)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errNoPlan
	}
	var add []float32
	if addend != nil {
		defer r.release(addend)
		add = addend.Data.([]float32)
	}
	plan, err := e.conv.preActivated(r, &e.plans, f)
	if err != nil {
		return nil, err
	}
	y, err := r.tensor(onnxpb.TensorProto_FLOAT, shape)
	if err != nil {
		return nil, err
	}
	y.channelsLast = true
	features := e.features.of(r)
	features[0] = kernel.Features{Values: x.Data.([]float32), Channels: f.Channels}
	err = plan.Forward(y.Data.([]float32), features[:], scale, nil, e.conv.biasOf(r, bias, f.Filters),
		add)
	features[0] = kernel.Features{}
	return y, err
}
