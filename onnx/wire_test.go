package onnx

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"slipway/onnx/onnxpb"
)

func bytesField(number protowire.Number, content ...byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), content)
}

func numberField(number protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), value)
}

// Which fields a message may have: its own, reserved ones, and ONNX-ML's opaque type.
func TestFieldsOfTheWire(t *testing.T) {
	for name, test := range map[string]struct {
		message proto.Message
		data    []byte
		want    string // in the error, empty where there is none
	}{
		"an opaque type": {&onnxpb.TypeProto{}, bytesField(7, 1, 2), ""},
		"its number elsewhere": {&onnxpb.OperatorSetIdProto{}, bytesField(7, 1, 2),
			"field 7 does not exist in ONNX's OperatorSetIdProto"},
		"another in its place": {&onnxpb.TypeProto{}, bytesField(40, 1, 2),
			"field 40 does not exist in ONNX's TypeProto"},
		"a reserved field":      {&onnxpb.GraphProto{}, numberField(3, 9), ""},
		"a reserved field, cut": {&onnxpb.GraphProto{}, bytesField(3, 1, 2)[:3], "a reserved field: "},
		"numbers one by one": {&onnxpb.TensorProto{},
			slices.Concat(numberField(1, 2), numberField(1, 3)), ""},
		"packed numbers": {&onnxpb.TensorProto{}, bytesField(1, 2, 3), ""},
		"one number, packed": {&onnxpb.ModelProto{}, bytesField(1, 7),
			"ir_version has the wire type 2"},
		"packed doubles, cut": {&onnxpb.TensorProto{}, bytesField(10, make([]byte, 12)...),
			"12 bytes are no whole number of 8-byte values"},
		"packed doubles":       {&onnxpb.TensorProto{}, bytesField(10, make([]byte, 16)...), ""},
		"a packed number, cut": {&onnxpb.TensorProto{}, bytesField(1, 0x80), "a number: "},
		"a number of no field": {&onnxpb.TensorProto{}, numberField(100, 1),
			"field 100 does not exist"},
		"a field that is a text": {&onnxpb.ModelProto{}, numberField(2, 1),
			"producer_name has the wire type 0"},
	} {
		err := scanWire(test.data, test.message.ProtoReflect().Descriptor())
		if test.want == "" && err != nil || test.want != "" &&
			(err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// What a message takes of memory once it is decoded: each number, text and message.
func TestCostOfAMessage(t *testing.T) {
	for name, test := range map[string]struct {
		data []byte
		cost int64
	}{
		"a number":  {numberField(1, 7), numberCost},
		"a text":    {bytesField(2, []byte("abc")...), stringCost + 3},
		"a message": {bytesField(7), messageCost},
		"a name in it": {bytesField(7, bytesField(2, []byte("abc")...)...),
			messageCost + stringCost + 3},
		"packed numbers": {bytesField(7, bytesField(5, bytesField(7, 1, 2, 3)...)...),
			2*messageCost + 3*numberCost},
		"packed floats": {bytesField(7, bytesField(5, bytesField(4, make([]byte, 8)...)...)...),
			2*messageCost + 2*numberCost},
		"packed doubles": {bytesField(7, bytesField(5, bytesField(10, make([]byte, 16)...)...)...),
			2*messageCost + 2*numberCost},
	} {
		for _, missing := range []int64{0, 1} {
			s := scanner{budget: test.cost - missing}
			err := s.message(test.data, 0, (&onnxpb.ModelProto{}).ProtoReflect().Descriptor(), 1)
			if (err != nil) != (missing > 0) {
				t.Errorf("%s with %d bytes less: %v", name, missing, err)
			}
		}
	}
}

// A place in a file is told whole, or its ends where it is deep.
func TestPlaceOfAWireError(t *testing.T) {
	for depth, want := range map[int]string{0: "the model", 1: "a", 12: "a.a.a.a.a.a.a.a.a.a.a.a",
		13: "a.a.a.a.a.….a.a.a"} {
		fault := &wireError{offset: 3, problem: "it is bad"}
		for range depth {
			fault = fault.in("a")
		}
		if got := fault.Error(); got != "at byte 3, in "+want+": it is bad" {
			t.Errorf("%d deep: %s", depth, got)
		}
	}
}

func TestCountPacked(t *testing.T) {
	for kind, want := range map[protoreflect.Kind]int{protoreflect.FloatKind: 4,
		protoreflect.DoubleKind: 2, protoreflect.Int64Kind: 16} {
		if got, err := countPacked(make([]byte, 16), kind); err != nil || got != want {
			t.Errorf("%v: %d, %v, want %d", kind, got, err, want)
		}
	}
}
