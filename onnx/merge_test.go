package onnx

import (
	"strings"
	"testing"

	"slipway/onnx/onnxpb"
)

// What is computed of a value and what the file declares of it are joined: the known is
// taken of both, a name before none.
func TestMerge(t *testing.T) {
	const float, int64s = onnxpb.TensorProto_FLOAT, onnxpb.TensorProto_INT64
	of := func(elementType onnxpb.TensorProto_DataType, dims ...Dim) Value {
		return Value{Name: "x", Type: elementType, HasShape: true, Dims: dims}
	}
	free := func(name string) Dim { return Dim{Name: name, Size: -1} }
	open := Value{Name: "x"} // nothing is known
	for _, test := range []struct {
		computed, declared Value
		want               string // its text, or what the error says
	}{
		{open, open, open.String()},
		{open, of(float, fixed(2)), "float[2]"},
		{of(float, fixed(2)), open, "float[2]"},
		{of(float, fixed(2)), of(onnxpb.TensorProto_UNDEFINED, fixed(2)), "float[2]"},
		{of(float, fixed(2)), of(int64s, fixed(2)), "declared as int64[2] but computed as float[2]"},
		{of(float, fixed(2)), of(float, fixed(3)), "declared as float[3] but computed as float[2]"},
		{of(float, fixed(2)), of(float, fixed(2), fixed(2)), "another number of dimensions"},
		{of(float, fixed(2)), of(float, free("N")), "float[2]"},
		{of(float, free("N")), of(float, fixed(2)), "float[2]"},
		{of(float, free("N")), of(float, free("M")), "float[N]"},
		{of(float, free("N")), of(float, free("")), "float[N]"},
		{of(float, free("")), of(float, free("M")), "float[M]"},
		{of(float, free(""), fixed(7)), of(float, fixed(2), free("M")), "float[2×7]"},
	} {
		got, err := merge(test.computed, test.declared)
		text := got.String()
		if err != nil {
			text = err.Error()
		}
		if text != test.want && (err == nil || !strings.Contains(text, test.want)) {
			t.Errorf("%v computed and %v declared: %s, want %s", test.computed, test.declared, text,
				test.want)
		}
	}
}

// A node's output may have 2^31 elements.
func TestTheLimitOfAnOutput(t *testing.T) {
	for elements, want := range map[int64]bool{1 << 30: true, 1<<30 + 1: false} {
		value := Value{HasShape: true, Dims: []Dim{{Name: "N", Size: -1}, fixed(0), fixed(2),
			fixed(elements)}}
		if err := checkInferred(value); (err == nil) != want {
			t.Errorf("%v: %v", value, err)
		}
	}
}
