package convert

import (
	"errors"
	"fmt"
	"slices"

	"slipway/builder"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// conv is a Conv whose weight, O×I×KH×KW, and bias, O, are constants.
func (r *raising) conv(node *onnxpb.NodeProto) (operand, error) {
	place, shape, err := r.image(node)
	if err != nil {
		return operand{}, err
	}
	weight, err := r.constantInput(node, 1)
	if err != nil {
		return operand{}, err
	}
	if len(weight.dims) != 4 {
		return operand{}, fmt.Errorf("its weight is %v; a network has convolutions of two "+
			"dimensions alone",
			builder.Shape(weight.dims))
	}
	groups := int(r.call(node).integer("group", 1))
	if groups < 1 || shape[0]%groups != 0 || weight.dims[1] != shape[0]/groups ||
		weight.dims[0]%groups != 0 {
		return operand{}, fmt.Errorf("its weight %v in %d groups is for another number of "+
			"channels than %d",
			builder.Shape(weight.dims), groups, shape[0])
	}
	tensors := [][]float32{weight.data}
	names := r.weightNames(weight.name, "weight")
	if message.Input(node, 2) != "" {
		bias, err := r.constantInput(node, 2)
		if err != nil {
			return operand{}, err
		}
		if len(bias.data) != weight.dims[0] {
			return operand{}, fmt.Errorf("its bias has %d values for %d filters",
				len(bias.data), weight.dims[0])
		}
		if r.own || bias.name != "" || slices.ContainsFunc(bias.data, func(x float32) bool {
			return x != 0
		}) {
			tensors = append(tensors, bias.data)
		} // PyTorch's current exporter computes zeros where there is no bias.
		names = append(names, r.weightNames(bias.name, "bias")...)
	}
	kernel := builder.Size{Height: weight.dims[2], Width: weight.dims[3]}
	w, err := r.window(node, shape, kernel)
	if err != nil {
		return operand{}, err
	}
	if r.own && weight.rank == 2 {
		// A dense layer over the channels at each position is exported as a convolution of 1×1.
		return r.named(builder.Dense{Units: weight.dims[0], NoBias: len(tensors) == 1}, names,
			[]int{place}, tensors...)
	}
	layer := builder.Conv2D{
		Filters: weight.dims[0], Kernel: kernel, Stride: w.stride, Padding: w.padding,
		PaddingExtra: w.extra,
		Dilation:     w.dilation, Groups: groups, NoBias: len(tensors) == 1,
	}
	return r.named(layer, names, []int{place}, tensors...)
}

func (r *raising) pool(node *onnxpb.NodeProto) (operand, error) {
	place, shape, err := r.image(node)
	if err != nil {
		return operand{}, err
	}
	sides := message.Attribute(node, "kernel_shape").GetInts()
	if len(sides) != 2 {
		return operand{}, fmt.Errorf("kernel_shape is %v; a network pools over two dimensions",
			sides)
	}
	kernel := builder.Size{Height: int(sides[0]), Width: int(sides[1])}
	w, err := r.window(node, shape, kernel)
	if err != nil {
		return operand{}, err
	}
	if w.dilation != builder.Square(1) {
		return operand{}, fmt.Errorf("dilations is %v; a network's pooling windows have no gaps",
			w.dilation)
	}
	if node.GetOpType() == "MaxPool" {
		return r.layer(builder.MaxPool2D{
			Kernel: kernel, Stride: w.stride, Padding: w.padding, PaddingExtra: w.extra, CeilMode: w.ceil,
		}, []int{place})
	}
	exclude := r.call(node).integer("count_include_pad", 0) == 0
	if place >= 0 && r.own && r.owners[r.items[place].index] == r.owners[r.index] {
		if pad, ok := r.items[place].layer.(builder.Pad); ok {
			// A mean that counts the padding, but not what ceil_mode adds, is exported with the
			// padding apart.
			return r.layer(builder.AvgPool2D{
				Kernel: kernel, Stride: w.stride, CeilMode: true,
				Padding:      builder.Size{Height: pad.Top, Width: pad.Left},
				PaddingExtra: builder.Size{Height: pad.Bottom - pad.Top, Width: pad.Right - pad.Left},
			}, r.items[place].inputs)
		}
	}
	if !r.own && w.padding == (builder.Size{}) && w.extra == (builder.Size{}) {
		exclude = false
	}
	return r.layer(builder.AvgPool2D{
		Kernel: kernel, Stride: w.stride, Padding: w.padding, PaddingExtra: w.extra, CeilMode: w.ceil,
		ExcludePadding: exclude,
	}, []int{place})
}

// globalPool is a pooling of the whole map.
func (r *raising) globalPool(node *onnxpb.NodeProto) (operand, error) {
	place, _, err := r.image(node)
	if err != nil {
		return operand{}, err
	}
	if node.GetOpType() == "GlobalAveragePool" {
		return r.layer(builder.GlobalAvgPool{}, []int{place})
	}
	return r.layer(builder.GlobalMaxPool{}, []int{place})
}

// raisedWindow is how a window slides, as the builder has it.
type raisedWindow struct {
	stride, padding, extra, dilation builder.Size
	ceil                             bool
}

// window returns how the window of a Conv or pooling slides. Where padding or
// ceil_mode have no effect they are left out, unless the model is of FromNetwork.
func (r *raising) window(node *onnxpb.NodeProto, shape builder.Shape,
	kernel builder.Size) (raisedWindow, error) {
	sides := []int64{int64(kernel.Height), int64(kernel.Width)}
	w, err := r.call(node).window(2, sides)
	if err != nil {
		return raisedWindow{}, err
	}
	var pads, extra, dilations [2]int
	ceil := w.Ceil && r.own
	for i, side := range sides {
		dilation := w.Dilations[i]
		if side == 1 && !r.own {
			dilation = 1
		}
		dilations[i] = int(dilation)
		in, stride := int64(shape[i+1]), w.Strides[i]
		room := in - (side-1)*dilation - 1
		begin, end := w.Begin[i], w.End[i]
		switch w.AutoPad {
		case "VALID":
			begin, end = 0, 0
		case "SAME_UPPER", "SAME_LOWER":
			total := max(0, (in-1)/stride*stride-room)
			begin, end = total/2, total-total/2
			if w.AutoPad == "SAME_LOWER" {
				begin, end = end, begin
			}
		}
		windows, partial := (room+begin+end)/stride+1, false
		if w.Ceil && (room+begin+end)%stride != 0 {
			if windows*stride >= in+begin && !r.own {
				return raisedWindow{}, errors.New("ceil_mode is 1 and adds a window that begins " +
					"in the padding; runtimes differ in that")
			}
			windows, partial = windows+1, true
		}
		// As many windows with the padding of the beginning on both sides are the same
		// windows; a mean over one that is not whole is of fewer values.
		if !r.own && !(partial && node.GetOpType() == "AveragePool") &&
			(room+2*begin)/stride+1 == windows {
			end, partial = begin, false
		}
		if end < begin {
			return raisedWindow{}, fmt.Errorf("it pads %d before and %d after; a network pads no "+
				"less below and to the right",
				begin, end)
		}
		ceil = ceil || partial
		pads[i], extra[i] = int(begin), int(end-begin)
	}
	return raisedWindow{
		stride:   builder.Size{Height: int(w.Strides[0]), Width: int(w.Strides[1])},
		padding:  builder.Size{Height: pads[0], Width: pads[1]},
		extra:    builder.Size{Height: extra[0], Width: extra[1]},
		dilation: builder.Size{Height: dilations[0], Width: dilations[1]},
		ceil:     ceil,
	}, nil
}

// reduce takes the mean or the largest value over a whole map, of data N×C×H×W or
// N×H×W×C, as a global pooling, and as a Flatten where the dimensions go. The mean
// over the channels is an operation, of which a layer normalisation may be made.
func (r *raising) reduce(node *onnxpb.NodeProto) (operand, error) {
	v, err := r.unsettled(node, 0)
	if err != nil {
		return operand{}, err
	}
	given, err := r.constantSizes(node, 1, message.Attribute(node, "axes").GetInts()) // an input since opset 18
	if err != nil {
		return operand{}, err
	}
	what := "the mean"
	if node.GetOpType() == "ReduceMax" {
		what = "the largest value"
	}
	rank := len(v.dims) + 1
	fail := func() (operand, error) {
		return operand{}, fmt.Errorf("it takes %s over axes %v of %d; a network takes it over a "+
			"whole map, axes [2 3] of N×C×H×W or [1 2] of N×H×W×C",
			what, given, rank)
	}
	taken := make([]bool, rank)
	for _, axis := range given {
		if axis < 0 {
			axis += int64(rank)
		}
		if axis < 1 || axis >= int64(rank) {
			return fail()
		}
		taken[axis] = true
	}
	if len(given) == 0 {
		return fail()
	}
	if v, err = r.settled(v, rank == 4 && taken[2] && taken[3] && !taken[1]); err != nil {
		return operand{}, err
	}
	var over axis
	for i, dim := range v.dims {
		if taken[i+1] {
			over = append(over, dim...)
		}
	}
	shape := r.shapeOf(v.of)
	area := shape.Elements() / shape[0]
	reduced := item{inputs: []int{v.of}}
	ofMap := len(shape) == 3 && over.size() == area && over.within(area)
	ofChannels := node.GetOpType() == "ReduceMean" && over.size() == shape[0] && over.across(area)
	if ofMap && ofChannels { // of one value
		ofMap = len(given) > 1
	}
	switch {
	case ofMap && node.GetOpType() == "ReduceMax":
		reduced.layer = builder.GlobalMaxPool{}
	case ofMap:
		reduced.layer = builder.GlobalAvgPool{}
	case ofChannels:
		reduced.operation, reduced.shape = "ReduceMean", append(builder.Shape{1}, shape[1:]...)
	case rank == 4 && taken[1] && taken[2] && !taken[3]:
		return operand{}, fmt.Errorf("it takes %s over axes %v of data that are not channels "+
			"last; a network takes it over a whole map",
			what, given)
	default:
		return fail()
	}
	place, err := r.add(reduced)
	if err != nil {
		return operand{}, err
	}
	kept := view{of: place}
	for i, dim := range v.dims {
		switch {
		case taken[i+1] && r.call(node).integer("keepdims", 1) != 0:
			kept.dims = append(kept.dims, nil)
		case taken[i+1]:
		case ofMap:
			kept.dims = append(kept.dims, dim.shrunk(area))
		default:
			kept.dims = append(kept.dims, dim)
		}
	}
	if ofMap && len(kept.dims) == 1 {
		return r.vector(kept, false)
	}
	return operand{view: &kept}, nil
}

// pad is a Pad of the rows and columns of a map. pads are an attribute before opset
// 11, an input since.
func (r *raising) pad(node *onnxpb.NodeProto) (operand, error) {
	v, err := r.data(node, 0, false)
	if err != nil {
		return operand{}, err
	}
	pads, err := r.constantSizes(node, 1, message.Attribute(node, "pads").GetInts())
	if err != nil {
		return operand{}, err
	}
	shape := r.shapeOf(v.of)
	axes, ok := v.axes(shape)
	if !ok || len(pads) != 8 || message.Input(node, 3) != "" {
		return operand{}, fmt.Errorf("it pads %v for each image by %v; a network pads the rows "+
			"and columns of a map",
			builder.Shape(v.sizes()), pads)
	}
	each := func(k int) (before, after int) { return int(pads[axes[k]+1]), int(pads[axes[k]+5]) }
	if before, after := each(0); before != 0 || after != 0 || pads[0] != 0 || pads[4] != 0 {
		return operand{}, fmt.Errorf("it pads by %v; a network pads the rows and columns of a "+
			"map, not its channels",
			pads)
	}
	for _, pad := range pads {
		if pad < 0 || pad > maxRaised {
			return operand{}, fmt.Errorf("it pads by %v; 0 to %d are taken", pads, maxRaised)
		}
	}
	layer := builder.Pad{}
	layer.Top, layer.Bottom = each(1)
	layer.Left, layer.Right = each(2)
	switch mode := string(message.Attribute(node, "mode").GetS()); mode {
	case "", "constant":
		if message.Input(node, 2) != "" {
			value, err := r.constantInput(node, 2)
			if err != nil {
				return operand{}, err
			}
			if !slices.Equal(value.data, []float32{0}) {
				return operand{}, fmt.Errorf("it pads with %v; a network pads with zeros",
					value.data)
			}
		}
		if message.Attribute(node, "value").GetF() != 0 {
			return operand{}, errors.New("it pads with another value than 0; a network pads with " +
				"zeros")
		}
	case "reflect":
		layer.Mode = "reflect"
	default:
		return operand{}, fmt.Errorf("mode is %q; a network pads with zeros or reflects",
			message.Shorten(mode))
	}
	place, err := r.add(item{layer: layer, inputs: []int{v.of}})
	if err != nil {
		return operand{}, err
	}
	return like(axes, place, r.items[place].shape), nil
}
