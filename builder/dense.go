package builder

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
	"slipway/internal/reference"
)

// Dense is the affine map y = x·Wᵀ + b on a vector of features (PyTorch's
// Linear, ONNX's Gemm with transB = 1), or on the channels at each position of a map: C×H×W gives
// Units×H×W then, as a convolution of 1×1 does (Linear on N×H×W×C, as in ConvNeXt).
type Dense struct {
	Name  string `json:"name"`  // fc1, fc2, … if empty
	Units int    `json:"units"` // number of output features, at least 1
	// NoBias leaves the bias out.
	NoBias bool `json:"no_bias,omitempty"`
	// Init is how the weight is drawn; the bias is zeros unless it is empty.
	Init Initial `json:"init,omitempty"`
}

// Kind implements Layer.
func (Dense) Kind() string   { return "Dense" }
func (Dense) prefix() string { return "fc" }

// Infer implements Layer.
func (l Dense) Infer(inputs []Shape) (Inferred, error) {
	in, err := single(inputs)
	if err != nil {
		return Inferred{}, err
	}
	if l.Units < 1 {
		return Inferred{}, fmt.Errorf("%d units; at least 1 is needed", l.Units)
	}
	weight := TensorSpec{Name: "weight", Shape: Shape{l.Units, in[0]}, FanIn: in[0], FanOut: l.Units,
		Initial: l.Init}
	return l.Init.affine(Inferred{Layer: l, Output: append(Shape{l.Units}, in[1:]...)}, weight,
		!l.NoBias)
}

// Compute implements Layer.
func (l Dense) Compute(call Call) (Computation, error) {
	if len(call.Output) == 3 {
		conv, err := l.onMap(call.Inputs[0])
		if err != nil {
			return Computation{}, err
		}
		return conv.Compute(call)
	}
	dense := reference.Dense{Batch: call.Batch, In: call.Inputs[0][0], Out: l.Units}
	return affineComputation(call,
		func(x, w, b []float32) []float32 { return reference.DenseForward(dense, x, w, b) },
		func(dy, x, w []float32) (dx, dw, db []float32) {
			return reference.DenseBackward(dense, dy, x, w)
		}), nil
}

// onMap is the layer on a map: a convolution of 1×1, whose weight has the same values in the same
// order.
func (l Dense) onMap(in Shape) (Conv2D, error) {
	inferred, err := Conv2D{Filters: l.Units, Kernel: Square(1), NoBias: l.NoBias}.Infer([]Shape{in})
	if err != nil {
		return Conv2D{}, err
	}
	conv, ok := inferred.Layer.(Conv2D)
	if !ok {
		return Conv2D{}, fmt.Errorf("a convolution is a %T", inferred.Layer)
	}
	return conv, nil
}

func (l Dense) plain(p *place) (*gorgonia.Node, error) {
	switch {
	case len(p.node.Output) == 3 && p.engine == EnginePlain:
		return l.plainOnMap(p)
	case len(p.node.Output) == 3:
		return p.compute()
	case p.engine == EnginePlain:
		return ops.Dense(p.in[0], p.tensors[0], p.bias())
	}
	return ops.Stock(l.stock, append(gorgonia.Nodes{p.in[0]}, p.tensors...)...)
}

// plainOnMap is onMap, whose weight is a view of this layer's.
func (l Dense) plainOnMap(p *place) (*gorgonia.Node, error) {
	conv, err := l.onMap(p.node.Input)
	if err != nil {
		return nil, err
	}
	kernels, err := ops.Reshape(p.tensors[0], l.Units, p.node.Input[0], 1, 1)
	if err != nil {
		return nil, err
	}
	return ops.Conv2D(p.in[0], kernels, p.bias(), conv.options())
}

// stock is Gorgonia's own matrix product, and its broadcast addition of the bias.
func (l Dense) stock(in gorgonia.Nodes) (*gorgonia.Node, error) {
	transposed, err := gorgonia.Transpose(in[1], 1, 0)
	if err != nil {
		return nil, err
	}
	y, err := gorgonia.Mul(in[0], transposed)
	if err != nil || l.NoBias {
		return y, err
	}
	row, err := ops.Reshape(in[2], 1, l.Units)
	if err != nil {
		return nil, err
	}
	return gorgonia.BroadcastAdd(y, row, nil, []byte{0})
}

func (l Dense) native(p *place) (*gorgonia.Node, error) {
	if len(p.node.Output) == 3 {
		return l.nativeOnMap(p)
	}
	_, relu := p.fuse(ReLU{}.Kind())
	return ops.NativeDense(p.kernels, p.in[0], p.tensors[0], p.bias(), relu, p.options.Shards,
		p.options.Sync == nil)
}

func (l Dense) nativeOnMap(p *place) (*gorgonia.Node, error) {
	conv, err := l.onMap(p.node.Input)
	if err != nil {
		return nil, err
	}
	kernels, err := ops.Reshape(p.tensors[0], l.Units, 1, 1, p.node.Input[0])
	if err != nil {
		return nil, err
	}
	p.tensors = append(gorgonia.Nodes{kernels}, p.tensors[1:]...)
	return conv.native(p)
}

// Export implements Exporter. On a map it is Conv, with the weight as Units×C×1×1.
func (l Dense) Export(e *Export) (string, error) {
	if in := e.Call.Inputs[0]; len(in) == 3 {
		shape := e.Int64s("kernels.shape", int64(l.Units), int64(in[0]), 1, 1)
		inputs := e.parameters()
		inputs[1] = e.Step("kernels", "Reshape", []string{inputs[1], shape})
		return e.Add("Conv", inputs, Integers("kernel_shape", 1, 1), Integers("strides", 1, 1),
			Integers("pads", 0, 0, 0, 0), Integers("dilations", 1, 1), Integer("group", 1)), nil
	}
	return e.Add("Gemm", e.parameters(), Number("alpha", 1), Number("beta", 1), Integer("transA", 0),
		Integer("transB", 1)), nil
}

func (Dense) cases() []Case {
	return []Case{
		{Dense{Units: 4}, []Shape{{7}}},
		{Dense{Units: 17, NoBias: true}, []Shape{{5}}},
		{Dense{Units: 4}, []Shape{{3, 5, 6}}},
		{Dense{Units: 19, NoBias: true}, []Shape{{17, 2, 3}}},
	}
}
