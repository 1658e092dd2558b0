package onnx

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// maxFilled bounds the elements of a value whose size is given by numbers in the
// file and not by weights or images, 1 GiB of float32, so that a file of a kilobyte
// cannot make a runtime fill all memory. What depends on no input counts together.
const maxFilled = 1 << 28

// filling is what a node fills by numbers that the file gives.
type filling struct {
	elements float64 // as many at least: dimensions that are not known count once
	constant bool    // it depends on no input, so that runtimes keep it
}

// fill refuses a node that fills more than maxFilled. A size that is computed by
// other nodes is not known here; the runtimes have limits of their own.
func (c *checker) fill(node *onnxpb.NodeProto, names *scope) error {
	f, ok := filled(node, names)
	if !ok {
		return nil
	}
	total := f.elements
	if f.constant {
		total += c.filled
		c.filled = total
	}
	switch {
	case f.elements > maxFilled:
		return fmt.Errorf("it fills %.15g elements by sizes in the file; at most 2^28 are allowed",
			f.elements)
	case total > maxFilled:
		return fmt.Errorf(
			"it and the nodes before it fill %.15g elements by sizes in the file; at most 2^28 are allowed together",
			total)
	}
	return nil
}

// filled returns what a node fills, as far as its sizes stand in the file; ok is
// false where they do not, and for operators that fill nothing.
func filled(node *onnxpb.NodeProto, names *scope) (f filling, ok bool) {
	known := func(i int) ([]float64, bool) { return numbersOf(names.constant(message.Input(node, i))) }
	f.constant = names.constant(message.Input(node, 0)) != nil
	var sizes []float64
	switch node.GetOpType() {
	case "ConstantOfShape":
		sizes, ok = known(0)
	case "RandomNormal", "RandomUniform":
		for _, size := range message.Attribute(node, "shape").GetInts() {
			sizes = append(sizes, float64(size))
		}
		f.constant, ok = true, true
	case "Range":
		var bounds [3]float64
		for i := range bounds {
			numbers, given := known(i)
			if !given || len(numbers) != 1 {
				return f, false
			}
			bounds[i] = numbers[0]
		}
		sizes, ok = []float64{math.Ceil((bounds[1] - bounds[0]) / bounds[2])}, true
	case "OneHot":
		depth, given := known(1)
		sizes, ok = append(sizesOf(names, node), depth...), given
	case "Expand":
		sizes, ok = known(1)
		sizes = broadcastSizes(sizes, sizesOf(names, node))
	case "Tile":
		sizes, ok = known(1)
		sizes = scaled(sizes, sizesOf(names, node))
	case "Pad":
		sizes, ok = padded(node, names)
	case "Resize", "Upsample":
		sizes, ok = resized(node, names)
	}
	f.elements = 1
	for _, size := range sizes {
		if !(size > 0) { // nothing, or no size: the runtimes say so
			return f, false
		}
		f.elements *= size
	}
	return f, ok
}

// padded returns the dimensions of Pad, whose pads are an attribute before opset 11
// and an input since.
func padded(node *onnxpb.NodeProto, names *scope) (sizes []float64, ok bool) {
	var pads []float64
	if attribute := message.Attribute(node, "pads"); attribute != nil {
		for _, pad := range attribute.GetInts() {
			pads = append(pads, float64(pad))
		}
	} else if pads, ok = numbersOf(names.constant(message.Input(node, 1))); !ok {
		return nil, false
	}
	dims, each := sizesOf(names, node), len(pads)/2
	sizes = make([]float64, each)
	for i := range sizes {
		// With axes as an input the pads need not be of the first dimensions: no
		// dimension counts then but for its padding.
		if message.Input(node, 3) == "" && i < len(dims) {
			sizes[i] = dims[i]
		}
		sizes[i] = max(1, sizes[i]+pads[i]+pads[each+i])
	}
	return sizes, true
}

// resized returns the dimensions of Resize and Upsample, which have sizes or scales.
func resized(node *onnxpb.NodeProto, names *scope) (sizes []float64, ok bool) {
	dims := sizesOf(names, node)
	if message.Attribute(node, "axes") != nil {
		dims = nil // the scales are not of the first dimensions
	}
	if sizes, ok = numbersOf(names.constant(message.Input(node, 3))); ok && len(sizes) > 0 {
		return sizes, true
	}
	for _, input := range []int{2, 1} { // 1 in opsets 9 and 10
		if scales, ok := numbersOf(names.constant(message.Input(node, input))); ok && len(scales) > 0 {
			return scaled(scales, dims), true
		}
	}
	var scales []float64
	for _, scale := range message.Attribute(node, "scales").GetFloats() {
		scales = append(scales, float64(scale))
	}
	return scaled(scales, dims), len(scales) > 0
}

// sizesOf returns the dimensions of a node's first input, 1 for those not known.
func sizesOf(names *scope, node *onnxpb.NodeProto) []float64 {
	value, _ := names.value(message.Input(node, 0))
	dims := make([]float64, len(value.Dims))
	for i, dim := range value.Dims {
		dims[i] = max(1, float64(dim.Size))
	}
	return dims
}

func scaled(factors, dims []float64) []float64 {
	sizes := slices.Clone(factors)
	for i := range sizes {
		if i < len(dims) {
			sizes[i] *= dims[i]
		}
	}
	return sizes
}

// broadcastSizes are the larger ones, counted from the last dimension.
func broadcastSizes(a, b []float64) []float64 {
	if len(a) < len(b) {
		a, b = b, a
	}
	sizes := slices.Clone(a)
	for i, size := range b {
		at := len(a) - len(b) + i
		sizes[at] = max(sizes[at], size)
	}
	return sizes
}

// numbersOf returns a constant's elements, of which no list of sizes has more than
// a tensor has dimensions, twice; ok is false for others.
func numbersOf(tensor *onnxpb.TensorProto) (numbers []float64, ok bool) {
	if tensor == nil {
		return nil, false
	}
	if elements, err := message.Elements(tensor.GetDims()); err != nil ||
		elements > 2*message.MaxRank {
		return nil, false
	}
	switch onnxpb.TensorProto_DataType(tensor.GetDataType()) {
	case onnxpb.TensorProto_FLOAT:
		values, err := Floats(tensor)
		for _, value := range values {
			numbers = append(numbers, float64(value))
		}
		return numbers, err == nil
	case onnxpb.TensorProto_INT64:
		values, err := Int64s(tensor)
		for _, value := range values {
			numbers = append(numbers, float64(value))
		}
		return numbers, err == nil
	}
	return nil, false
}

// constantOf returns the tensor that a Constant node holds, nil if it is none of
// numbers.
func constantOf(node *onnxpb.NodeProto) *onnxpb.TensorProto {
	if len(node.GetAttribute()) != 1 {
		return nil
	}
	attribute := node.GetAttribute()[0]
	integers := func(dims []int64, values []int64) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{DataType: proto.Int32(int32(onnxpb.TensorProto_INT64)), Dims: dims,
			Int64Data: values}
	}
	floats := func(dims []int64, values []float32) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)), Dims: dims,
			FloatData: values}
	}
	switch attribute.GetName() {
	case "value":
		return attribute.GetT()
	case "value_int":
		return integers(nil, []int64{attribute.GetI()})
	case "value_ints":
		return integers([]int64{int64(len(attribute.GetInts()))}, attribute.GetInts())
	case "value_float":
		return floats(nil, []float32{attribute.GetF()})
	case "value_floats":
		return floats([]int64{int64(len(attribute.GetFloats()))}, attribute.GetFloats())
	}
	return nil
}
