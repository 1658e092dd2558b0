package onnx

import (
	"errors"
	"fmt"
	"slices"

	"slipway/builder"
	"slipway/onnx/onnxpb"
)

// conv is a Conv whose weight, O×I×KH×KW, and bias, O, are constants.
func (r *raising) conv(node *onnxpb.NodeProto) (operand, error) {
	if err := r.image(node); err != nil {
		return operand{}, err
	}
	weight, err := r.constantInput(node, 1)
	if err != nil {
		return operand{}, err
	}
	if len(weight.dims) != 4 {
		return operand{}, fmt.Errorf("its weight is %v; a network has convolutions of two dimensions alone", builder.Shape(weight.dims))
	}
	if group := r.call(node).integer("group", 1); group != 1 {
		return operand{}, fmt.Errorf("group is %d; Conv2D has one group, and a weight with zeros for the others would be trained away: infer evaluates the model as it is", group)
	}
	if weight.dims[1] != r.shape[0] {
		return operand{}, fmt.Errorf("its weight %v is for %d channels, but there are %d", builder.Shape(weight.dims), weight.dims[1], r.shape[0])
	}
	bias := make([]float32, weight.dims[0])
	if inputOf(node, 2) != "" {
		given, err := r.constantInput(node, 2)
		if err != nil {
			return operand{}, err
		}
		if len(given.data) != len(bias) {
			return operand{}, fmt.Errorf("its bias has %d values for %d filters", len(given.data), len(bias))
		}
		bias = slices.Clone(given.data)
	}
	kernel := builder.Size{Height: weight.dims[2], Width: weight.dims[3]}
	stride, padding, err := r.window(node, kernel)
	if err != nil {
		return operand{}, err
	}
	layer := raised{
		layer:  builder.Conv2D{Name: r.layerName(node, inputOf(node, 1)), Filters: weight.dims[0], Kernel: kernel, Stride: stride, Padding: padding},
		weight: slices.Clone(weight.data), bias: bias,
	}
	if r.affine != nil {
		if err := r.affine.intoNext(&layer, padding != builder.Size{}); err != nil {
			return operand{}, err
		}
		r.affine = nil
	}
	return r.layer(layer)
}

func (r *raising) pool(node *onnxpb.NodeProto) (operand, error) {
	if err := r.image(node); err != nil {
		return operand{}, err
	}
	sides := findAttribute(node, "kernel_shape").GetInts()
	if len(sides) != 2 {
		return operand{}, fmt.Errorf("kernel_shape is %v; a network pools over two dimensions", sides)
	}
	kernel := builder.Size{Height: int(sides[0]), Width: int(sides[1])}
	stride, padding, err := r.window(node, kernel)
	if err != nil {
		return operand{}, err
	}
	name, padded := r.layerName(node, ""), padding != builder.Size{}
	if node.GetOpType() == "MaxPool" {
		if r.affine != nil && !r.affine.positive() {
			return operand{}, r.affine.stuck("MaxPool")
		}
		return r.layer(raised{layer: builder.MaxPool2D{Name: name, Kernel: kernel, Stride: stride, Padding: padding}})
	}
	if padded && r.call(node).integer("count_include_pad", 0) == 0 {
		return operand{}, errors.New("count_include_pad is 0 with padding; AvgPool2D counts the padding in the mean")
	}
	if r.affine != nil && padded && r.affine.shifts() {
		return operand{}, r.affine.stuck("AveragePool with padding")
	}
	return r.layer(raised{layer: builder.AvgPool2D{Name: name, Kernel: kernel, Stride: stride, Padding: padding}})
}

// globalPool is a pooling whose window is the whole map.
func (r *raising) globalPool(node *onnxpb.NodeProto) (operand, error) {
	if err := r.image(node); err != nil {
		return operand{}, err
	}
	kernel := builder.Size{Height: r.shape[1], Width: r.shape[2]}
	name := r.layerName(node, "")
	if node.GetOpType() == "GlobalAveragePool" {
		return r.layer(raised{layer: builder.AvgPool2D{Name: name, Kernel: kernel}})
	}
	if r.affine != nil && !r.affine.positive() {
		return operand{}, r.affine.stuck("GlobalMaxPool")
	}
	return r.layer(raised{layer: builder.MaxPool2D{Name: name, Kernel: kernel}})
}

// window returns the stride and the padding of a Conv or pooling, which must be
// the same on both sides, or have the same effect as if it were.
func (r *raising) window(node *onnxpb.NodeProto, kernel builder.Size) (stride, padding builder.Size, err error) {
	w, err := r.call(node).windowOf(2, []int64{int64(kernel.Height), int64(kernel.Width)})
	if err != nil {
		return stride, padding, err
	}
	var pads [2]int
	for i, side := range []int{kernel.Height, kernel.Width} {
		if w.dilations[i] != 1 && side > 1 {
			return stride, padding, fmt.Errorf("dilations is %v; a network's windows have no gaps", w.dilations)
		}
		room := int64(r.shape[i+1] - side)
		begin, end := w.begin[i], w.end[i]
		switch w.autoPad {
		case "VALID":
			begin, end = 0, 0
		case "SAME_UPPER", "SAME_LOWER":
			total := max(0, ((int64(r.shape[i+1])-1)/w.strides[i])*w.strides[i]-room)
			begin, end = total/2, total-total/2
			if w.autoPad == "SAME_LOWER" {
				begin, end = end, begin
			}
		}
		// As many windows with the padding of the beginning on both sides are the
		// same windows.
		if begin != end && (room+begin+end)/w.strides[i] != (room+2*begin)/w.strides[i] {
			what := fmt.Sprintf("pads is %v", append(slices.Clone(w.begin), w.end...))
			if w.autoPad != "NOTSET" {
				what = fmt.Sprintf("auto_pad is %s, which pads %d before and %d after", w.autoPad, begin, end)
			}
			return stride, padding, fmt.Errorf("%s; a network pads both sides alike", what)
		}
		if w.ceil && (room+begin+end)%w.strides[i] != 0 {
			return stride, padding, errors.New("ceil_mode is 1 and adds a window that is not whole; a network's windows are all whole")
		}
		pads[i] = int(begin)
	}
	return builder.Size{Height: int(w.strides[0]), Width: int(w.strides[1])}, builder.Size{Height: pads[0], Width: pads[1]}, nil
}
