//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"slices"

	cudnn "gorgonia.org/cu/dnn"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/ops"
)

// addDescribed appends what computes an operator of ours.
func (m *Machine) addDescribed(node *gorgonia.Node, nodes gorgonia.Nodes, inputs []*buffer, output *buffer, d ops.Description) error {
	switch d.Kind {
	case ops.Conv2DForward, ops.Conv2DWeightGradient, ops.Conv2DInputGradient:
		return m.addConvolution(operation{d, node, nodes, inputs, output})
	case ops.Conv2DBiasGradient, ops.DenseBiasGradient:
		return m.addBiasGradient(nodes[0].Shape(), inputs[0], output)
	case ops.DenseForward, ops.DenseWeightGradient, ops.DenseInputGradient:
		return m.addDense(node, nodes, inputs, output, d.Kind)
	case ops.ReLUForward:
		return m.addReLU(operation{d, node, nodes, inputs, output})
	case ops.ReLUGradient:
		return m.addReLUGradient(operation{d, node, nodes, inputs, output})
	case ops.AvgPoolForward, ops.AvgPoolGradient:
		return m.addPool(node, nodes, inputs, output, d)
	case ops.Addition:
		return m.addSum(operation{d, node, nodes, inputs, output}, false)
	case ops.DropoutForward, ops.DropoutGradient:
		return m.addDropout(operation{d, node, nodes, inputs, output})
	case ops.CrossEntropyForward, ops.SoftmaxLossForward:
		return m.addLoss(operation{d, node, nodes, inputs, output})
	case ops.BinaryLossForward:
		return m.addBinaryLoss(operation{d, node, nodes, inputs, output})
	case ops.ParameterPenaltyForward:
		return m.addParameterPenalty(operation{d, node, nodes, inputs, output})
	case ops.ActivationPenaltyForward:
		return m.addActivationPenalty(operation{d, node, nodes, inputs, output})
	case ops.ActivationPenaltyGradient:
		return m.addActivationPenaltyGradient(operation{d, node, nodes, inputs, output})
	default:
		return m.addLayer(operation{d, node, nodes, inputs, output})
	}
}

// tensorDescriptor describes a packed N×C×H×W tensor. Fewer dimensions are those of
// N×C×1×1, and more than the last of one are 1.
func (m *Machine) tensorDescriptor(shape tensor.Shape) (*cudnn.TensorDescriptor, error) {
	full := []int{1, 1, 1, 1}
	if len(shape) > 4 {
		return nil, fmt.Errorf("has the shape %v; at most 4 dimensions have a GPU form", shape)
	}
	copy(full, shape)
	d, err := cudnn.NewTensorDescriptor(cudnn.NCHW, cudnn.Float, full, nil)
	m.descriptors = append(m.descriptors, d)
	return d, called("cudnnSetTensor4dDescriptor", err)
}

func (m *Machine) tensorDescriptors(shapes ...tensor.Shape) ([]*cudnn.TensorDescriptor, error) {
	var all []*cudnn.TensorDescriptor
	for _, shape := range shapes {
		d, err := m.tensorDescriptor(shape)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// addConvolution appends a convolution, or one of its gradients. cuDNN has the same padding on both sides: other maps are
// padded before, in a copy.
func (m *Machine) addConvolution(o operation) error {
	// x, w and y, whichever of them are inputs.
	var x, w, y *gorgonia.Node
	switch o.Kind {
	case ops.Conv2DForward:
		x, w, y = o.nodes[0], o.nodes[1], o.node
	case ops.Conv2DWeightGradient:
		y, x, w = o.nodes[0], o.nodes[1], o.node
	default:
		y, w, x = o.nodes[0], o.nodes[1], o.node
	}
	var err error
	if o.inputs, err = m.multiplied(o); err != nil {
		return err
	}
	if isDepthwise(o.Description, w.Shape()) {
		return m.addDepthwise(o, x.Shape(), w.Shape(), y.Shape())
	}
	padding, uneven := unevenly(o.Window)
	if uneven && o.Kind == ops.Conv2DInputGradient {
		shape, d := paddedShape(padding, x.Shape()), o.Description
		d.Window.PaddingHeight, d.Window.PaddingWidth = 0, 0
		whole, err := m.allocateMap("a padded input's gradient", shape.TotalSize())
		if err != nil {
			return err
		}
		if err := m.convolve(shape, w.Shape(), y.Shape(), o.inputs, whole, d); err != nil {
			return err
		}
		return m.addPaddingGradient(padded(padding, x.Shape()), whole, o.output, o.values())
	}
	even, err := m.evenly(o, x)
	if err != nil {
		return err
	}
	inputs := even.inputs
	if m.biasBehind(o.node) != nil {
		inputs = inputs[:2] // the launch behind it adds the bias
	}
	before := len(m.launches)
	if err := m.convolve(even.shape, w.Shape(), y.Shape(), inputs, o.output, even.Description); err != nil {
		return err
	}
	if why := m.unplanned[o.node]; why != "" {
		m.launches[before].how = why
	}
	return nil
}

// evenConvolution is a convolution that has the same padding on both sides: what it reads, of which
// x has that shape.
type evenConvolution struct {
	ops.Description
	shape  tensor.Shape
	inputs []*buffer
}

// evenly returns a convolution, or its weights' gradient, of x or of a padded copy of it.
func (m *Machine) evenly(o operation, x *gorgonia.Node) (evenConvolution, error) {
	even := evenConvolution{o.Description, x.Shape(), o.inputs}
	padding, uneven := unevenly(o.Window)
	if !uneven {
		return even, nil
	}
	copied, err := m.withPadding(x, padding)
	even.shape = paddedShape(padding, x.Shape())
	even.Window.PaddingHeight, even.Window.PaddingWidth = 0, 0
	even.inputs = slices.Clone(o.inputs)
	even.inputs[slices.Index(o.nodes, x)] = copied
	return even, err
}

// convolve appends cuDNN's convolution, or one of its gradients, of x, w and y of these shapes.
func (m *Machine) convolve(x, w, y tensor.Shape, inputs []*buffer, output *buffer, d ops.Description) error {
	if m.inBF16() {
		return m.convolveHalves(x, w, y, inputs, output, d)
	}
	descriptors, err := m.tensorDescriptors(x, y, tensor.Shape{1, w[0]})
	if err != nil {
		return err
	}
	xd, yd, bd := descriptors[0], descriptors[1], descriptors[2]
	wd, err := cudnn.NewFilter(cudnn.Float, cudnn.NCHW, w)
	if err != nil {
		return called("cudnnSetFilter4dDescriptor", err)
	}
	m.filters = append(m.filters, wd)
	conv, err := cudnn.NewConvolution(cudnn.FmaMath, d.Groups, []int{d.Window.PaddingHeight, d.Window.PaddingWidth},
		[]int{d.Window.StrideHeight, d.Window.StrideWidth}, []int{d.DilationHeight, d.DilationWidth},
		cudnn.CrossCorrelation, cudnn.Float)
	if err != nil {
		return called("cudnnSetConvolution2dDescriptor", err)
	}
	m.descriptors = append(m.descriptors, conv)
	if err := setMath(conv, m.options.Products); err != nil {
		return err
	}
	if d.Groups > 1 {
		if err := setGroups(conv, d.Groups); err != nil {
			return err
		}
	}
	chosen, err := m.chooseAlgorithm(newLegacyConvolution(m.gpu.dnn, d, xd, yd, wd, conv, x, w, y, inputs, output))
	if err != nil {
		return err
	}
	bytes := chosen.bytes
	switch d.Kind {
	case ops.Conv2DForward:
		by := cudnn.ConvolutionFwdAlgo(chosen.number)
		m.appendConvolution("cudnnConvolutionForward", bytes, func(on *lane, workspace *buffer) error {
			return called("cudnnConvolutionForward", on.dnn.ConvolutionForward(1, xd, inputs[0], wd, inputs[1], conv, by,
				workspace, uintptr(bytes), 0, yd, output))
		})
		if len(inputs) > 2 {
			m.appendBias(bd, inputs[2], yd, output)
		}
	case ops.Conv2DWeightGradient:
		by := cudnn.ConvolutionBwdFilterAlgo(chosen.number)
		m.appendConvolution("cudnnConvolutionBackwardFilter", bytes, func(on *lane, workspace *buffer) error {
			return called("cudnnConvolutionBackwardFilter", on.dnn.ConvolutionBackwardFilter(1, xd, inputs[1], yd, inputs[0], conv, by,
				workspace, uintptr(bytes), 0, wd, output))
		})
	default:
		by := cudnn.ConvolutionBwdDataAlgo(chosen.number)
		m.appendConvolution("cudnnConvolutionBackwardData", bytes, func(on *lane, workspace *buffer) error {
			return called("cudnnConvolutionBackwardData", on.dnn.ConvolutionBackwardData(1, wd, inputs[1], yd, inputs[0], conv, by,
				workspace, uintptr(bytes), 0, xd, output))
		})
	}
	return nil
}

// appendBias adds a bias of one value a channel to y.
func (m *Machine) appendBias(bd *cudnn.TensorDescriptor, b *buffer, yd *cudnn.TensorDescriptor, y *buffer) {
	m.append("cudnnAddTensor", func() error {
		return called("cudnnAddTensor", m.gpu.dnn.AddTensor(1, bd, b, 1, yd, y))
	})
}

// addBiasGradient sums dy over all but its channels.
func (m *Machine) addBiasGradient(dy tensor.Shape, input, output *buffer) error {
	if m.inBF16() {
		return m.addHalfBiasGradient(dy, input, output)
	}
	descriptors, err := m.tensorDescriptors(dy, tensor.Shape{1, dy[1]})
	if err != nil {
		return err
	}
	m.appendOn("cudnnConvolutionBackwardBias", func(on *lane) error {
		return called("cudnnConvolutionBackwardBias", on.dnn.ConvolutionBackwardBias(1, descriptors[0], input, 0, descriptors[1], output))
	})
	return nil
}

// addDense appends the products of a dense layer. cuBLAS counts columns first: a
// row-major matrix is its transpose to it.
func (m *Machine) addDense(node *gorgonia.Node, nodes gorgonia.Nodes, inputs []*buffer, output *buffer, kind ops.Kind) error {
	first, second := nodes[0].Shape(), nodes[1].Shape()
	wide := !m.halves.maps[node]
	if kind == ops.DenseForward && m.fusion.productOfLogits(node) {
		return nil // the loss computes it
	}
	inputs, err := m.multiplied(operation{ops.Description{Kind: kind}, node, nodes, inputs, output})
	if err != nil {
		return err
	}
	switch kind {
	case ops.DenseForward: // yᵀ = w·xᵀ
		batch, in, out := first[0], first[1], second[0]
		m.appendProduct(m.unplanned[node], wide, transposed, plain, out, batch, in, inputs[1], in, inputs[0], in, output, out)
		if len(inputs) < 3 || m.fusion.biasOfLogits(node) || m.biasBehind(node) != nil {
			return nil
		}
		if !wide {
			return m.addBias(node.Shape(), inputs[2], output)
		}
		descriptors, err := m.tensorDescriptors(tensor.Shape{1, out}, tensor.Shape{batch, out})
		if err != nil {
			return err
		}
		m.appendBias(descriptors[0], inputs[2], descriptors[1], output)
	case ops.DenseWeightGradient: // dwᵀ = xᵀ·dy
		batch, out, in := first[0], first[1], second[1]
		m.appendProduct(m.unplanned[node], wide, plain, transposed, in, out, batch, inputs[1], in, inputs[0], out, output, in)
	default: // dxᵀ = wᵀ·dyᵀ
		batch, out, in := first[0], first[1], second[1]
		m.appendProduct(m.unplanned[node], wide, plain, plain, in, batch, out, inputs[1], in, inputs[0], out, output, in)
	}
	return nil
}

// appendProduct appends C = op(A)·op(B), columns first, C rows×columns and inner the
// length of the sums. In bf16 it is wide if C is float32. how says why it is no plan of cuBLASLt's.
func (m *Machine) appendProduct(how string, wide bool, ta, tb form, rows, columns, inner int, a *buffer, lda int, b *buffer, ldb int, c *buffer, ldc int) {
	in := m.options.Products
	m.appendOn(productCall(in), func(on *lane) error {
		if in == bf16 {
			return halfProduct(on.blas, wide, ta, tb, rows, columns, inner, a, lda, b, ldb, c, ldc)
		}
		return product(on.blas, in, ta, tb, rows, columns, inner, a, lda, b, ldb, c, ldc)
	})
	m.launches[len(m.launches)-1].how = how
}

// addPool appends a mean pooling whose padding counts, or its gradient.
func (m *Machine) addPool(node *gorgonia.Node, nodes gorgonia.Nodes, inputs []*buffer, output *buffer, d ops.Description) error {
	if m.inBF16() {
		return m.addWindowMean(operation{d, node, nodes, inputs, output})
	}
	w := d.Window
	pool, err := cudnn.NewPooling(cudnn.AverageCountIncludePadding, cudnn.PropagateNan, []int{w.KernelHeight, w.KernelWidth},
		[]int{w.StrideHeight, w.StrideWidth}, []int{w.PaddingHeight, w.PaddingWidth})
	if err != nil {
		return called("cudnnSetPooling2dDescriptor", err)
	}
	m.descriptors = append(m.descriptors, pool)
	dnn := m.gpu.dnn
	if d.Kind == ops.AvgPoolForward {
		descriptors, err := m.tensorDescriptors(nodes[0].Shape(), node.Shape())
		if err != nil {
			return err
		}
		m.append("cudnnPoolingForward", func() error {
			return called("cudnnPoolingForward", dnn.PoolingForward(pool, 1, descriptors[0], inputs[0], 0, descriptors[1], output))
		})
		return nil
	}
	descriptors, err := m.tensorDescriptors(node.Shape(), nodes[1].Shape())
	if err != nil {
		return err
	}
	xd, yd := descriptors[0], descriptors[1]
	dy, y, x := inputs[0], inputs[1], inputs[2]
	m.append("cudnnPoolingBackward", func() error {
		return called("cudnnPoolingBackward", dnn.PoolingBackward(pool, 1, yd, y, yd, dy, xd, x, 0, xd, output))
	})
	return nil
}
