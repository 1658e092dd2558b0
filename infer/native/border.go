package native

import (
	"slices"

	"slipway/internal/kernel"
	"slipway/onnx/onnxpb"
)

// widestKernel is the largest kernel whose padding a map has around it.
const widestKernel = 7

// border makes pre-activations write the padding that a convolution wants around the map where that
// alone reads it, as in DenseNets: it need not copy the map to put padding around it then. (Where a
// convolution does the same for another, as in ResNet-18, nothing is gained: the copy also brings a
// map into the cache.)
func (c *compiler) border() {
	flow := c.flow()
	for i := range c.steps {
		s := &c.steps[i]
		b, ok := s.convolution.padding()
		if !ok {
			continue
		}
		if k, ok := flow.maker(s.inputs[0]); ok && c.steps[k].preActivation != nil {
			c.steps[k].preActivation.around = b
		}
	}
}

// padding returns the padding of a convolution whose plan has it on all sides alike, and false for
// others.
func (c *convolution) padding() (kernel.Border, bool) {
	if c == nil || c.packed == nil || len(c.packed.Shape) != 4 || c.group != 1 {
		return kernel.Border{}, false
	}
	w := c.windowFor(c.packed)
	if w.autoPad != "NOTSET" || len(w.pads) != 4 || !slices.Equal(w.kernel, c.packed.Shape[2:]) ||
		slices.Max(w.kernel) > widestKernel || !all(w.dilations, 1) {
		return kernel.Border{}, false
	}
	b := kernel.Border{Vertical: w.pads[0], Horizontal: w.pads[1]}
	return b, b != (kernel.Border{}) && w.pads[2] == b.Vertical && w.pads[3] == b.Horizontal &&
		b.Vertical < w.kernel[0] && b.Horizontal < w.kernel[1]
}

// bordered returns images for a plan of the kernels to write, zeros around them, and what of their
// elements the plan writes. Their shape is that with the border.
func (r *run) bordered(images, channels int, out []int, b kernel.Border) (*Tensor, []float32,
	error) {
	shape := r.images(images, channels, out)
	if b != (kernel.Border{}) {
		shape[2] += 2 * b.Vertical
		shape[3] += 2 * b.Horizontal
	}
	y, err := r.tensor(onnxpb.TensorProto_FLOAT, shape)
	if err != nil {
		return nil, nil, err
	}
	y.channelsLast, y.border = true, b
	data := y.Data.([]float32)
	if b == (kernel.Border{}) {
		return y, data, nil
	}
	b.Clear(data, out[0], out[1], channels)
	first := (b.Vertical*shape[3] + b.Horizontal) * channels
	return y, data[first : len(data)-first], nil
}
