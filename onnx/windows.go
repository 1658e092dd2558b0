package onnx

import (
	"fmt"

	"slipway/onnx/onnxpb"
)

// window is how the kernel of a Conv or a pooling slides over the spatial
// dimensions (H and W of N×C×H×W).
type window struct {
	kernel, strides, dilations []int64
	begin, end                 []int64 // pads
	autoPad                    string
	ceil                       bool
}

// windowOf reads the window's attributes. kernel is nil unless another input
// gives it, as Conv's weight does. Values below the least were refused before.
func (c *call) windowOf(spatial int, kernel []int64) (window, error) {
	w := window{autoPad: "NOTSET"}
	list := func(name string, length int, otherwise int64) ([]int64, error) {
		attribute := findAttribute(c.node, name)
		if attribute == nil {
			values := make([]int64, length)
			for i := range values {
				values[i] = otherwise
			}
			return values, nil
		}
		if len(attribute.GetInts()) != length {
			return nil, fmt.Errorf("%s has %d values; for %d spatial dimensions it needs %d", name, len(attribute.GetInts()), spatial, length)
		}
		return attribute.GetInts(), nil
	}
	var err error
	if w.strides, err = list("strides", spatial, 1); err != nil {
		return w, err
	}
	if w.dilations, err = list("dilations", spatial, 1); err != nil {
		return w, err
	}
	pads, err := list("pads", 2*spatial, 0)
	if err != nil {
		return w, err
	}
	w.begin, w.end = pads[:spatial], pads[spatial:]
	w.kernel = kernel
	if kernel == nil || findAttribute(c.node, "kernel_shape") != nil {
		if w.kernel, err = list("kernel_shape", spatial, 1); err != nil {
			return w, err
		}
	}
	for i, size := range kernel {
		if size >= 0 && size != w.kernel[i] {
			return w, fmt.Errorf("kernel_shape %v is not that of the weight, %v", w.kernel, kernel)
		}
	}
	if attribute := findAttribute(c.node, "auto_pad"); attribute != nil {
		w.autoPad = string(attribute.GetS())
	}
	switch w.autoPad {
	case "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER":
	case "": // what writers based on proto3 make of the default
		w.autoPad = "NOTSET"
	default:
		return w, fmt.Errorf("auto_pad is %q; it must be NOTSET, VALID, SAME_UPPER or SAME_LOWER", shorten(w.autoPad))
	}
	w.ceil, err = c.flag("ceil_mode")
	return w, err
}

// slide returns the size of the output in one spatial dimension, by the formulas
// of ONNX's MaxPool. All attributes are at most 2^31, so that no sum overflows
// once the dilated kernel was bounded.
func (w window) slide(i int, in Dim) (Dim, error) {
	kernel := w.kernel[i]
	if kernel < 0 {
		return unknownDim, nil
	}
	if kernel > 1 && w.dilations[i] > maxElements/(kernel-1) {
		return Dim{}, fmt.Errorf("the kernel %d with the dilation %d is larger than any input", kernel, w.dilations[i])
	}
	if !in.Known() {
		return unknownDim, nil
	}
	extent := (kernel-1)*w.dilations[i] + 1
	stride := w.strides[i]
	room := in.Size - extent
	switch w.autoPad {
	case "SAME_UPPER", "SAME_LOWER":
		return fixed((in.Size + stride - 1) / stride), nil
	case "NOTSET":
		room += w.begin[i] + w.end[i]
	}
	if room < 0 {
		return Dim{}, fmt.Errorf("the kernel spans %d, but the padded input is only %d long in dimension %d", extent, room+extent, i+2)
	}
	floor := room/stride + 1
	if !w.ceil || room%stride == 0 {
		return fixed(floor), nil
	}
	// The last window may start outside of the input and the padding before it;
	// ONNX drops it since opset 22, and runtimes differ.
	if floor*stride >= in.Size+w.begin[i] {
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
	w, err := c.windowOf(spatial, kernel)
	if err != nil {
		return nil, err
	}
	group, filters := c.integer("group", 1), weight.Dims[0]
	if filters.Known() && filters.Size%group != 0 {
		return nil, fmt.Errorf("its %d filters do not divide into %d groups", filters.Size, group)
	}
	if bias.HasShape && (len(bias.Dims) != 1 || differ(bias.Dims[0], filters)) {
		return nil, fmt.Errorf("its bias is %v; for the weight %v it must have one value per filter", bias, weight)
	}
	if !image.HasShape {
		return []Value{output}, nil
	}
	if len(image.Dims) != len(weight.Dims) {
		return nil, fmt.Errorf("its input %v and its weight %v have different numbers of dimensions", image, weight)
	}
	// The product cannot overflow: a weight's dimension is at most 2^40 and the
	// group at most 2^31 only where the quotient is compared instead.
	if channels, perGroup := image.Dims[1], weight.Dims[1]; channels.Known() && perGroup.Known() &&
		(channels.Size%group != 0 || channels.Size/group != perGroup.Size) {
		return nil, fmt.Errorf("its input %v has %d channels; the weight %v with group %d is for another number", image, channels.Size, weight, group)
	}
	output.HasShape = true
	output.Dims = []Dim{image.Dims[0], filters}
	for i, dim := range image.Dims[2:] {
		size, err := w.slide(i, dim)
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
	spatial := len(findAttribute(c.node, "kernel_shape").GetInts())
	if spatial == 0 {
		return nil, fmt.Errorf("kernel_shape is empty")
	}
	w, err := c.windowOf(spatial, nil)
	if err != nil {
		return nil, err
	}
	for i, kernel := range w.kernel {
		if w.begin[i] >= kernel || w.end[i] >= kernel {
			return nil, fmt.Errorf("pads %v reach the kernel %v; a window could lie in the padding alone", append(append([]int64(nil), w.begin...), w.end...), w.kernel)
		}
	}
	output := Value{Type: image.Type}
	if image.HasShape {
		if len(image.Dims) != spatial+2 {
			return nil, fmt.Errorf("its input is %v; kernel_shape %v is for %d dimensions", image, w.kernel, spatial+2)
		}
		output.HasShape = true
		output.Dims = append([]Dim(nil), image.Dims[:2]...)
		for i, dim := range image.Dims[2:] {
			size, err := w.slide(i, dim)
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
