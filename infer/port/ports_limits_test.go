package port

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/internal/graphmaker"
	"slipway/onnx/onnxpb"
)

func tensorPort(name string, sizes ...int64) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{}
	for _, size := range sizes {
		shape.Dim = append(shape.Dim, &onnxpb.TensorShapeProto_Dimension{
			Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: size}})
	}
	return &onnxpb.ValueInfoProto{Name: proto.String(name),
		Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
			TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)),
				Shape: shape}}}}
}

// Sizes of a port, which are open where they are no number of things, and what it is called.
func TestPortsAreDescribed(t *testing.T) {
	port := tensorPort("a", 0, -1, 1, 1<<31-1, 1<<31)
	if got, want := dims(port), []int{Unknown, Unknown, 1, 1<<31 - 1, Unknown}; !slices.Equal(got,
		want) {
		t.Errorf("sizes %v, want %v", got, want)
	}
	noShape := tensorPort("b")
	noShape.Type.GetTensorType().Shape = nil
	sequence := &onnxpb.ValueInfoProto{Name: proto.String("c"),
		Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_SequenceType{SequenceType: &onnxpb.TypeProto_Sequence{}}}}
	mapped := &onnxpb.ValueInfoProto{Name: proto.String("d"),
		Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_MapType{MapType: &onnxpb.TypeProto_Map{}}}}
	list := []*onnxpb.ValueInfoProto{tensorPort("a", 0, 1, 0, 28), noShape, sequence, mapped,
		{Name: proto.String("e")}}
	if got, want := describeAll(list),
		` "a" (float N×1×?×28), "b" (float), "c" (a sequence), "d" (a map), "e"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, other := range []*onnxpb.ValueInfoProto{sequence, mapped} {
		if _, err := chooseScores([]*onnxpb.ValueInfoProto{other}, ""); err == nil ||
			!strings.Contains(err.Error(), "is not a tensor and is not supported") {
			t.Errorf("%s: %v", describe(other), err)
		}
	}
	integers := tensorPort("f", 0, 10)
	*integers.Type.GetTensorType().ElemType = int32(onnxpb.TensorProto_INT64)
	if _, err := chooseScores([]*onnxpb.ValueInfoProto{integers}, ""); err == nil ||
		!strings.Contains(err.Error(), "the model has no score output") {
		t.Errorf("integers: %v", err)
	}
}

// Images go where they fit: grey ones alone without an axis of channels.
func TestImagesThatFit(t *testing.T) {
	for _, test := range []struct {
		input   []int
		c, h, w int
		want    Layout
		fits    bool
	}{
		{[]int{Unknown, 3, 4, 5}, 3, 4, 5, ChannelsFirst, true},
		{[]int{Unknown, 4, 5, 3}, 3, 4, 5, ChannelsLast, true},
		{[]int{Unknown, 4, 5}, 1, 4, 5, ChannelsFirst, true},
		{[]int{Unknown, 4, 5}, 3, 4, 5, 0, false},
		{[]int{Unknown, 4, 5}, 1, 5, 4, 0, false},
		{[]int{Unknown, 60}, 3, 4, 5, Flattened, true},
		{[]int{Unknown, 20}, 3, 4, 5, 0, false},
	} {
		got, err := Ports{Input: "x", InputDims: test.input}.Fit(test.c, test.h, test.w)
		if (err == nil) != test.fits || err == nil && got != test.want {
			t.Errorf("%d×%d×%d into %v: %v, %v", test.c, test.h, test.w, test.input, got, err)
		}
	}
	for _, dims := range [][]int64{{graphmaker.Free}, {graphmaker.Free, 1, 1, 2, 2}} {
		if _, err := Find(graphmaker.New(dims...).Node("y = Relu x").Model(), ""); err == nil ||
			!strings.Contains(err.Error(), "is no batch of images") {
			t.Errorf("an input of %d dimensions: %v", len(dims), err)
		}
	}
}
