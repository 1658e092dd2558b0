//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/ops"
)

// geometry mirrors the kernels' Window (kernels/windows.cuh), which says what the fields are.
type geometry struct {
	height, width, outHeight, outWidth int32
	kernelHeight, kernelWidth          int32
	strideHeight, strideWidth          int32
	padHeight, padWidth                int32
	extraHeight, extraWidth            int32
	dilationHeight, dilationWidth      int32
	filters, channels                  int32
	option                             int32
}

// sliding is the geometry of a window that slides over maps x and gives maps y.
func sliding(w ops.Window, x, y tensor.Shape) geometry {
	return geometry{
		height: word(x[2]), width: word(x[3]), outHeight: word(y[2]), outWidth: word(y[3]),
		kernelHeight: word(w.KernelHeight), kernelWidth: word(w.KernelWidth),
		strideHeight: word(w.StrideHeight), strideWidth: word(w.StrideWidth),
		padHeight: word(w.PaddingHeight), padWidth: word(w.PaddingWidth),
		extraHeight: word(w.ExtraHeight), extraWidth: word(w.ExtraWidth),
		dilationHeight: 1, dilationWidth: 1, filters: 1, channels: 1, option: flag(w.ExcludePadding),
	}
}

// padded is the geometry of maps x with a padding around them.
func padded(p ops.Padding, x tensor.Shape) geometry {
	return geometry{
		height: word(x[2]), width: word(x[3]),
		outHeight: word(p.Top + x[2] + p.Bottom), outWidth: word(p.Left + x[3] + p.Right),
		padHeight: word(p.Top), padWidth: word(p.Left), option: flag(p.Reflect),
	}
}

// onDevice returns the geometry's place on the device.
func (m *Machine) onDevice(g geometry) (*buffer, error) {
	if g.height >= math.MaxInt16 || g.width >= math.MaxInt16 {
		return nil, errors.New("a map has a side that is more than the kernels take")
	}
	if b := m.geometries[g]; b != nil {
		return b, nil
	}
	b, err := m.memory.allocate("the geometry of a window", 17*4)
	if err != nil {
		return nil, err
	}
	m.geometries[g] = b
	return b, upload(m.gpu, b, []geometry{g})
}

func isMaxPool(kind ops.Kind) bool {
	return kind == ops.MaxPoolForward || kind == ops.WindowMaxForward
}

// planMaxPool has the launch of a max pooling add the bias of a convolution before it.
func (f fusion) planMaxPool(pool *gorgonia.Node) {
	if x := ops.Operands(pool)[0]; hasBias(x) && f.onlyReader(x) == pool {
		f.hidden[x] = true
	}
}

// addMaxPool appends a max pooling with any window, of what comes out of a rectifier if that is
// left to it.
func (m *Machine) addMaxPool(o operation) error {
	x := o.nodes[0]
	window, err := m.onDevice(sliding(o.Window, x.Shape(), o.node.Shape()))
	if err != nil {
		return err
	}
	n, channels := o.values(), x.Shape()[1]
	winners, err := m.save(o.node, "the places of the largest values", 4*n)
	if err != nil {
		return err
	}
	rectifier := m.fusion.hidden[x] && !hasBias(x)
	if rectifier {
		x = ops.Operands(x)[0]
	}
	return m.launch("window_max_forward", n, 1, m.values[x], m.biasBehind(x), o.output, winners, window,
		channels, flag(rectifier), n)
}

// addMaxGradient appends the gradient of a max pooling, and that of the bias before it: of the
// node of o, which is pool itself, or that of a rectifier before it, where y is above 0.
func (m *Machine) addMaxGradient(o, pool operation, y *buffer) error {
	window, err := m.onDevice(sliding(pool.Window, o.node.Shape(), pool.nodes[1].Shape()))
	if err != nil {
		return err
	}
	winners, err := m.savedBy(pool.nodes[1])
	if err != nil {
		return err
	}
	s := channelsOf(o.node.Shape())
	sums, err := m.biasSums(o.node, s)
	if err != nil {
		return err
	}
	return m.launch("window_max_gradient", s.threads(), s.shares(), pool.inputs[0], y, winners, o.output,
		window, sums.output, sums.partials, sums.tickets,
		word(s.runs), word(s.count), word(s.area), word(s.lanes()))
}

// addWindowMean appends a mean pooling with any window, or its gradient.
func (m *Machine) addWindowMean(o operation) error {
	x, y, name := o.nodes[0], o.node, "window_mean_forward"
	if o.Kind == ops.WindowMeanGradient || o.Kind == ops.AvgPoolGradient {
		x, y, name = o.nodes[2], o.nodes[1], "window_mean_gradient"
	}
	window, err := m.onDevice(sliding(o.Window, x.Shape(), y.Shape()))
	if err != nil {
		return err
	}
	return m.launch(name, o.values(), 1, o.inputs[0], o.output, window, o.values())
}

// addPadding appends the padding of maps; n values come out.
func (m *Machine) addPadding(g geometry, x, y *buffer, n int) error {
	window, err := m.onDevice(g)
	if err != nil {
		return err
	}
	return m.launch("pad_forward", n, 1, x, y, window, n)
}

// addPaddingGradient appends its gradient, of n values.
func (m *Machine) addPaddingGradient(g geometry, dy, dx *buffer, n int) error {
	window, err := m.onDevice(g)
	if err != nil {
		return err
	}
	return m.launch("pad_gradient", n, 1, dy, dx, window, n)
}

// isDepthwise reports whether each filter of a convolution sees one channel among several.
func isDepthwise(d ops.Description, w tensor.Shape) bool { return d.Groups > 1 && w[1] == 1 }

// addDepthwise appends such a convolution, or one of its gradients: x, w and y are the shapes,
// whichever of them
// are read.
func (m *Machine) addDepthwise(o operation, x, w, y tensor.Shape) error {
	d := o.Window
	d.KernelHeight, d.KernelWidth = w[2], w[3]
	g := sliding(d, x, y)
	g.dilationHeight, g.dilationWidth = word(o.DilationHeight), word(o.DilationWidth)
	g.filters, g.channels = word(w[0]), word(x[1])
	window, err := m.onDevice(g)
	if err != nil {
		return err
	}
	n := o.values()
	switch o.Kind {
	case ops.Conv2DForward:
		var bias *buffer
		if len(o.inputs) > 2 {
			bias = o.inputs[2]
		}
		return m.launch("depthwise_forward", n, 1, o.inputs[0], o.inputs[1], bias, o.output, window, n)
	case ops.Conv2DInputGradient:
		return m.launch("depthwise_input_gradient", n, 1, o.inputs[0], o.inputs[1], o.output, window, n)
	}
	s := sets{count: n, runs: x[0], area: y[2] * y[3]}
	if err := s.check(); err != nil {
		return err
	}
	partials, err := m.memory.allocate("partial sums", int64(8*s.count*s.shares()))
	if err != nil {
		return err
	}
	if err := m.launch("depthwise_weight_gradient", n*threadsPerBlock, s.shares(), o.inputs[0], o.inputs[1], partials, window, word(x[0])); err != nil {
		return err
	}
	return m.launchFloats("finish_sums", n, 1, partials, s.shares(), 1, 0, o.output, n)
}

// paddedInput names a copy of maps with a padding around them.
type paddedInput struct {
	x       *gorgonia.Node
	padding ops.Padding
}

// unevenly returns a convolution's padding if it is not the same on both sides, which cuDNN does
// not have.
func unevenly(w ops.Window) (ops.Padding, bool) {
	return ops.Padding{
		Top: w.PaddingHeight, Bottom: w.PaddingHeight + w.ExtraHeight, Left: w.PaddingWidth, Right: w.PaddingWidth + w.ExtraWidth,
	}, w.ExtraHeight != 0 || w.ExtraWidth != 0
}

// paddedShape is that of maps x with a padding around them.
func paddedShape(p ops.Padding, x tensor.Shape) tensor.Shape {
	return tensor.Shape{x[0], x[1], p.Top + x[2] + p.Bottom, p.Left + x[3] + p.Right}
}

// withPadding returns a copy of the maps with a padding around them, made once for all that read
// it.
func (m *Machine) withPadding(x *gorgonia.Node, p ops.Padding) (*buffer, error) {
	key := paddedInput{x, p}
	if b := m.padded[key]; b != nil {
		return b, nil
	}
	n := paddedShape(p, x.Shape()).TotalSize()
	b, err := m.allocateMap("a padded input", n)
	if err != nil {
		return nil, err
	}
	m.padded[key] = b
	return b, m.addPadding(padded(p, x.Shape()), m.values[x], b, n)
}
