package onnx

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/onnxpb"
)

// A window over a row of length, by the formulas of ONNX's MaxPool.
func TestWindows(t *testing.T) {
	for _, test := range []struct {
		length, kernel, stride, begin, end, dilation int64
		ceil                                         bool
		pad                                          string
		want                                         string // the row's length afterwards, or the error
	}{
		{7, 3, 2, 0, 0, 1, false, "", "3"},
		{8, 3, 2, 0, 0, 1, false, "", "3"},
		{8, 3, 2, 0, 0, 1, true, "", "4"},
		{7, 3, 2, 0, 0, 1, true, "", "3"},
		{8, 3, 2, 1, 2, 1, false, "", "5"},
		{7, 3, 1, 0, 0, 2, false, "", "3"},
		{7, 1, 1, 0, 0, 7, false, "", "7"},
		{7, 3, 2, 0, 0, 1, false, "SAME_UPPER", "4"},
		{8, 3, 2, 0, 0, 1, false, "SAME_LOWER", "4"},
		{8, 3, 2, 0, 0, 1, false, "VALID", "3"},
		{8, 3, 2, 0, 0, 1, false, "SAME", `auto_pad is "SAME"`},
		{3, 5, 1, 0, 0, 1, false, "",
			"the kernel spans 5, but the padded input is only 3 long in dimension 2"},
		{3, 5, 1, 1, 0, 1, false, "",
			"the kernel spans 5, but the padded input is only 4 long in dimension 2"},
		{3, 5, 1, 1, 1, 1, false, "", "1"},
		{-1, 5, 1, 0, 0, 1, false, "", "?"},
		// The last window begins within the row or the padding before it, or is left open.
		{6, 3, 3, 1, 1, 1, true, "", "3"},
		{5, 2, 3, 0, 1, 1, true, "", "?"},
		{5, 2, 3, 1, 1, 1, true, "", "?"},
		// A kernel and its dilation are bounded together.
		{9, 1<<20 + 1, 1, 0, 0, 1 << 20, false, "",
			"the kernel spans 1099511627777, but the padded input is only 9 long"},
		{9, 1<<20 + 1, 1, 0, 0, 1<<20 + 1, false, "",
			"the kernel 1048577 with the dilation 1048577 is larger than any input"},
	} {
		list := func(name string, values ...int64) *onnxpb.AttributeProto {
			return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INTS.Enum(),
				Ints: values}
		}
		attributes := []*onnxpb.AttributeProto{list("kernel_shape", test.kernel),
			list("strides", test.stride), list("dilations", test.dilation)}
		if test.pad != "" {
			attributes = append(attributes, &onnxpb.AttributeProto{Name: proto.String("auto_pad"),
				Type: onnxpb.AttributeProto_STRING.Enum(), S: []byte(test.pad)})
		} else {
			attributes = append(attributes, list("pads", test.begin, test.end))
		}
		if test.ceil {
			attributes = append(attributes, integer64("ceil_mode", 1))
		}
		want := test.want
		if len(want) == 1 {
			want = fmt.Sprintf("float[1×2×%s]", want)
		}
		requireShape(t, fmt.Sprintf("%+v", test), graphOf(13, []int64{1, 2, test.length}, "MaxPool", "x",
			attributes), want)
	}
}

// Channels that are not known may be as many as the weight is for.
func TestChannelsOfConv(t *testing.T) {
	w := tensorOf("w", onnxpb.TensorProto_FLOAT, 4, 2, 3)
	for channels, want := range map[int64]string{2: "float[1×4×3]", -1: "float[1×4×3]",
		3: "its input float[1×3×5] has 3 channels; the weight float[4×2×3] with group 1 is for another number",
		4: "its input float[1×4×5] has 4 channels"} {
		requireShape(t, "Conv", graphOf(13, []int64{1, channels, 5}, "Conv", "x,w", nil, w), want)
	}
	for channels, want := range map[int64]string{4: "float[1×4×3]",
		5: "with group 2 is for another number"} {
		group := []*onnxpb.AttributeProto{integer64("group", 2)}
		requireShape(t, "Conv in groups", graphOf(13, []int64{1, channels, 5}, "Conv", "x,w", group, w),
			want)
	}
}

// Padding is less than the kernel, and a pooling has as many dimensions as its kernel.
func TestLimitsOfPooling(t *testing.T) {
	list := func(name string, values ...int64) *onnxpb.AttributeProto {
		return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INTS.Enum(),
			Ints: values}
	}
	for _, test := range []struct {
		x, pads []int64
		want    string
	}{
		{[]int64{1, 2, 7}, []int64{2, 2}, "float[1×2×9]"},
		{[]int64{1, 2, 7}, []int64{3, 0}, "pads [3 0] reach the kernel [3]"},
		{[]int64{1, 2, 7}, []int64{0, 3}, "pads [0 3] reach the kernel [3]"},
		{[]int64{1, 2, 7, 7}, []int64{0, 0}, "kernel_shape [3] is for 3 dimensions"},
	} {
		attributes := []*onnxpb.AttributeProto{list("kernel_shape", 3), list("pads", test.pads...)}
		requireShape(t, "MaxPool", graphOf(13, test.x, "MaxPool", "x", attributes), test.want)
	}
	requireShape(t, "GlobalMaxPool", graphOf(13, []int64{1, 2, 7}, "GlobalMaxPool", "x", nil),
		"float[1×2×1]")
	requireShape(t, "GlobalMaxPool", graphOf(13, []int64{1, 2}, "GlobalMaxPool", "x", nil),
		"it needs a spatial dimension after N×C")
}
