package onnx

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// dataFields fill one field of a tensor's data with so many entries.
var dataFields = map[string]func(tensor *onnxpb.TensorProto, entries int){
	"raw_data":    func(tensor *onnxpb.TensorProto, n int) { tensor.RawData = make([]byte, n) },
	"float_data":  func(tensor *onnxpb.TensorProto, n int) { tensor.FloatData = make([]float32, n) },
	"int32_data":  func(tensor *onnxpb.TensorProto, n int) { tensor.Int32Data = make([]int32, n) },
	"int64_data":  func(tensor *onnxpb.TensorProto, n int) { tensor.Int64Data = make([]int64, n) },
	"double_data": func(tensor *onnxpb.TensorProto, n int) { tensor.DoubleData = make([]float64, n) },
	"uint64_data": func(tensor *onnxpb.TensorProto, n int) { tensor.Uint64Data = make([]uint64, n) },
	"string_data": func(tensor *onnxpb.TensorProto, n int) { tensor.StringData = make([][]byte, n) },
}

// Each type's elements stand in raw_data, but for texts, or in the one other field that
// onnx.proto says, with so many entries and no other number.
func TestFieldsOfTensors(t *testing.T) {
	const elements = 3
	for elementType, want := range map[onnxpb.TensorProto_DataType]map[string]int{
		onnxpb.TensorProto_FLOAT:      {"raw_data": 12, "float_data": 3},
		onnxpb.TensorProto_COMPLEX64:  {"raw_data": 24, "float_data": 6},
		onnxpb.TensorProto_DOUBLE:     {"raw_data": 24, "double_data": 3},
		onnxpb.TensorProto_COMPLEX128: {"raw_data": 48, "double_data": 6},
		onnxpb.TensorProto_INT64:      {"raw_data": 24, "int64_data": 3},
		onnxpb.TensorProto_INT32:      {"raw_data": 12, "int32_data": 3},
		onnxpb.TensorProto_INT16:      {"raw_data": 6, "int32_data": 3},
		onnxpb.TensorProto_INT8:       {"raw_data": 3, "int32_data": 3},
		onnxpb.TensorProto_INT4:       {"raw_data": 2, "int32_data": 2},
		onnxpb.TensorProto_UINT4:      {"raw_data": 2, "int32_data": 2},
		onnxpb.TensorProto_UINT8:      {"raw_data": 3, "int32_data": 3},
		onnxpb.TensorProto_UINT16:     {"raw_data": 6, "int32_data": 3},
		onnxpb.TensorProto_FLOAT16:    {"raw_data": 6, "int32_data": 3},
		onnxpb.TensorProto_BFLOAT16:   {"raw_data": 6, "int32_data": 3},
		onnxpb.TensorProto_BOOL:       {"raw_data": 3, "int32_data": 3},
		onnxpb.TensorProto_UINT32:     {"raw_data": 12, "uint64_data": 3},
		onnxpb.TensorProto_UINT64:     {"raw_data": 24, "uint64_data": 3},
		onnxpb.TensorProto_STRING:     {"string_data": 3},
	} {
		for field, fill := range dataFields {
			for entries := 1; entries <= 49; entries++ {
				tensor := &onnxpb.TensorProto{DataType: proto.Int32(int32(elementType)),
					Dims: []int64{elements}}
				fill(tensor, entries)
				said := ""
				switch number, ok := want[field]; {
				case !ok:
					said = "does not store its data in " + field
				case entries != number:
					said = fmt.Sprintf("needs %d entries in %s, but there are %d", number, field, entries)
				}
				err := message.CheckTensor(tensor)
				if said == "" && err != nil || said != "" &&
					(err == nil || !strings.Contains(err.Error(), said)) {
					t.Errorf("%v with %d entries in %s: %v, want %q", elementType, entries, field, err, said)
				}
			}
		}
	}
}

// A tensor without elements has no data, or empty data.
func TestTensorsOfNothing(t *testing.T) {
	for _, elementType := range []onnxpb.TensorProto_DataType{onnxpb.TensorProto_FLOAT,
		onnxpb.TensorProto_STRING} {
		for _, raw := range [][]byte{nil, {}} {
			tensor := &onnxpb.TensorProto{DataType: proto.Int32(int32(elementType)), Dims: []int64{0},
				RawData: raw}
			if err := message.CheckTensor(tensor); err != nil {
				t.Errorf("%v, %v: %v", elementType, raw, err)
			}
		}
	}
	tensor := &onnxpb.TensorProto{DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)),
		Dims: []int64{0}, RawData: make([]byte, 4)}
	if err := message.CheckTensor(tensor); err == nil ||
		!strings.Contains(err.Error(), "needs 0 entries in raw_data, but there are 4") {
		t.Error(err)
	}
}

// Test data has an input and an output at least, and may have several.
func TestSeveralTestData(t *testing.T) {
	folder := t.TempDir()
	tensors := []*onnxpb.TensorProto{tensorOf("a", onnxpb.TensorProto_FLOAT, 1),
		tensorOf("b", onnxpb.TensorProto_FLOAT, 2)}
	for _, lists := range [][2][]*onnxpb.TensorProto{{nil, tensors}, {tensors, nil}} {
		if err := WriteTestData(folder, lists[0], lists[1]); err == nil ||
			!strings.Contains(err.Error(), "at least one input and one output") {
			t.Errorf("%d inputs, %d outputs: %v", len(lists[0]), len(lists[1]), err)
		}
	}
	if err := WriteTestData(folder, tensors, tensors); err != nil {
		t.Fatal(err)
	}
	inputs, outputs, err := ReadTestData(folder)
	if err != nil || len(inputs) != 2 || len(outputs) != 2 || inputs[1].GetName() != "b" ||
		outputs[1].GetName() != "b" {
		t.Errorf("%v, %v, %v", inputs, outputs, err)
	}
	if names, err := filepath.Glob(filepath.Join(folder, "test_data_set_0", "*")); err != nil ||
		len(names) != 4 {
		t.Errorf("%v, %v", names, err)
	}
}
