package onnx

import (
	"fmt"

	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// slide returns the size of the output in one spatial dimension, by the formulas
// of ONNX's MaxPool. All attributes are at most 2^31, so that no sum overflows
// once the dilated kernel was bounded.
func slide(w message.Window, i int, in Dim) (Dim, error) {
	kernel := w.Kernel[i]
	if kernel < 0 {
		return unknownDim, nil
	}
	if kernel > 1 && w.Dilations[i] > message.MaxElements/(kernel-1) {
		return Dim{}, fmt.Errorf("the kernel %d with the dilation %d is larger than any input", kernel,
			w.Dilations[i])
	}
	if !in.Known() {
		return unknownDim, nil
	}
	extent := (kernel-1)*w.Dilations[i] + 1
	stride := w.Strides[i]
	room := in.Size - extent
	switch w.AutoPad {
	case "SAME_UPPER", "SAME_LOWER":
		return fixed((in.Size + stride - 1) / stride), nil
	case "NOTSET":
		room += w.Begin[i] + w.End[i]
	}
	if room < 0 {
		return Dim{}, fmt.Errorf(
			"the kernel spans %d, but the padded input is only %d long in dimension %d", extent, room+extent,
			i+2)
	}
	floor := room/stride + 1
	if !w.Ceil || room%stride == 0 {
		return fixed(floor), nil
	}
	// The last window may start outside of the input and the padding before it;
	// ONNX drops it since opset 22, and runtimes differ.
	if floor*stride >= in.Size+w.Begin[i] {
		return unknownDim, nil
	}
	return fixed(floor + 1), nil
}

func inferConv(c *call) ([]Value, error) {
	if err := c.requireSameType(); err != nil {
		return nil, err
	}
	image, weight, bias := c.inputs[0], c.inputs[1], c.inputs[2]
	output := Value{Type: image.Type}
	if !weight.HasShape {
		return []Value{output}, nil
	}
	if len(weight.Dims) < 3 {
		return nil, fmt.Errorf("its weight is %v; it must be filters×channels×kernel", weight)
	}
	spatial := len(weight.Dims) - 2
	kernel := make([]int64, spatial)
	for i, dim := range weight.Dims[2:] {
		if dim.Size == 0 {
			return nil, fmt.Errorf("its weight is %v; a kernel of length 0 convolves nothing", weight)
		}
		kernel[i] = dim.Size
	}
	w, err := message.WindowOf(c.node, spatial, kernel)
	if err != nil {
		return nil, err
	}
	group, filters := c.integer("group", 1), weight.Dims[0]
	if filters.Known() && filters.Size%group != 0 {
		return nil, fmt.Errorf("its %d filters do not divide into %d groups", filters.Size, group)
	}
	if bias.HasShape && (len(bias.Dims) != 1 || differ(bias.Dims[0], filters)) {
		return nil, fmt.Errorf("its bias is %v; for the weight %v it must have one value per filter",
			bias, weight)
	}
	if !image.HasShape {
		return []Value{output}, nil
	}
	if len(image.Dims) != len(weight.Dims) {
		return nil, fmt.Errorf("its input %v and its weight %v have different numbers of dimensions",
			image, weight)
	}
	// The product cannot overflow: a weight's dimension is at most 2^40 and the
	// group at most 2^31 only where the quotient is compared instead.
	if channels, perGroup := image.Dims[1], weight.Dims[1]; channels.Known() && perGroup.Known() &&
		(channels.Size%group != 0 || channels.Size/group != perGroup.Size) {
		return nil, fmt.Errorf(
			"its input %v has %d channels; the weight %v with group %d is for another number", image,
			channels.Size, weight, group)
	}
	output.HasShape = true
	output.Dims = []Dim{image.Dims[0], filters}
	for i, dim := range image.Dims[2:] {
		size, err := slide(w, i, dim)
		if err != nil {
			return nil, err
		}
		output.Dims = append(output.Dims, size)
	}
	return []Value{output}, nil
}

func inferPool(c *call) ([]Value, error) {
	image := c.inputs[0]
	for _, name := range []string{"storage_order", "count_include_pad"} {
		if _, err := c.flag(name); err != nil {
			return nil, err
		}
	}
	spatial := len(message.Attribute(c.node, "kernel_shape").GetInts())
	if spatial == 0 {
		return nil, fmt.Errorf("kernel_shape is empty")
	}
	w, err := message.WindowOf(c.node, spatial, nil)
	if err != nil {
		return nil, err
	}
	for i, kernel := range w.Kernel {
		if w.Begin[i] >= kernel || w.End[i] >= kernel {
			return nil, fmt.Errorf("pads %v reach the kernel %v; a window could lie in the padding alone",
				append(append([]int64(nil), w.Begin...), w.End...), w.Kernel)
		}
	}
	output := Value{Type: image.Type}
	if image.HasShape {
		if len(image.Dims) != spatial+2 {
			return nil, fmt.Errorf("its input is %v; kernel_shape %v is for %d dimensions", image, w.Kernel,
				spatial+2)
		}
		output.HasShape = true
		output.Dims = append([]Dim(nil), image.Dims[:2]...)
		for i, dim := range image.Dims[2:] {
			size, err := slide(w, i, dim)
			if err != nil {
				return nil, err
			}
			output.Dims = append(output.Dims, size)
		}
	}
	indices := output
	indices.Type = onnxpb.TensorProto_INT64
	return []Value{output, indices}, nil
}

func inferGlobalPool(c *call) ([]Value, error) {
	image := c.inputs[0]
	output := Value{Type: image.Type}
	if image.HasShape {
		if len(image.Dims) < 3 {
			return nil, fmt.Errorf("its input is %v; it needs a spatial dimension after N×C", image)
		}
		output.HasShape = true
		output.Dims = append([]Dim(nil), image.Dims[:2]...)
		for range image.Dims[2:] {
			output.Dims = append(output.Dims, fixed(1))
		}
	}
	return []Value{output}, nil
}

func differ(a, b Dim) bool { return a.Known() && b.Known() && a.Size != b.Size }
