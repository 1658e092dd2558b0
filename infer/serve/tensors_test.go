package serve

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"slipway/infer/serve/inferencepb"
	"slipway/onnx"
)

// Elements of every type that an input can have, in binary, in JSON and as gRPC's numbers.
func TestElementsOfEveryType(t *testing.T) {
	want := []float32{0, 1, 2, 255, 128, 7}
	var half, single, double, bytes []byte
	contents := &inferencepb.InferTensorContents{}
	for _, v := range want {
		half = binary.LittleEndian.AppendUint16(half, uint16(onnx.NewFloat16(v)))
		single = binary.LittleEndian.AppendUint32(single, math.Float32bits(v))
		double = binary.LittleEndian.AppendUint64(double, math.Float64bits(float64(v)))
		bytes = append(bytes, byte(v))
		contents.Fp32Contents = append(contents.Fp32Contents, v)
		contents.Fp64Contents = append(contents.Fp64Contents, float64(v))
		contents.UintContents = append(contents.UintContents, uint32(v))
	}
	for datatype, raw := range map[string][]byte{
		typeFP16: half, typeFP32: single, typeFP64: double, typeUINT8: bytes,
	} {
		input := tensorInfo{Name: "image", Datatype: datatype, Shape: []int64{-1, 1, 3}}
		if elements, err := input.accepts(datatype, []int64{2, 1, 3}, 7); err != nil || elements != 6 {
			t.Fatal(elements, err)
		}
		got, err := input.fromBinary(raw, 6)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s in binary: %v, %v", datatype, got, err)
		}
		got, err = input.fromJSON([]byte("[[[0, 1.0,2e0]],\n[[255,128,7]]]"), []int64{2, 1, 3}, 6)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s in JSON: %v, %v", datatype, got, err)
		}
		got, err = input.fromContents(contents, 6)
		if datatype == typeFP16 { // which gRPC has no numbers of
			if err == nil {
				t.Errorf("%s as numbers: %v", datatype, got)
			}
		} else if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s as numbers: %v, %v", datatype, got, err)
		}
		if _, err := input.fromBinary(raw[1:], 6); err == nil {
			t.Errorf("%s: a byte less is taken", datatype)
		}
	}
}

// Numbers that are none, or beyond float32, are refused in every form.
func TestElementsThatAreNoNumbers(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e300, -1e39} {
		for _, datatype := range []string{typeFP16, typeFP32, typeFP64} {
			input := tensorInfo{Name: "image", Datatype: datatype, Shape: []int64{-1, 1}}
			var raw []byte
			switch datatype {
			case typeFP16:
				raw = binary.LittleEndian.AppendUint16(nil, uint16(onnx.NewFloat16(float32(v))))
			case typeFP32:
				raw = binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(v)))
			case typeFP64:
				raw = binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))
			}
			if got, err := input.fromBinary(raw, 1); err == nil ||
				!strings.Contains(err.Error(), "element 0") {
				t.Errorf("%s %v: %v, %v", datatype, v, got, err)
			}
		}
		input := tensorInfo{Name: "image", Datatype: typeFP64, Shape: []int64{-1, 1}}
		contents := &inferencepb.InferTensorContents{Fp64Contents: []float64{v}}
		if got, err := input.fromContents(contents, 1); err == nil {
			t.Errorf("%v: %v", v, got)
		}
	}
	input := tensorInfo{Name: "image", Datatype: typeUINT8, Shape: []int64{-1, 1}}
	if got, err := input.fromContents(&inferencepb.InferTensorContents{UintContents: []uint32{256}},
		1); err == nil {
		t.Errorf("256 as a byte: %v", got)
	}
}

// Half precision ends at 65504: what is beyond becomes infinite in the model, and is refused.
func TestElementsBeyondHalfPrecision(t *testing.T) {
	input := tensorInfo{Name: "image", Datatype: typeFP16, Shape: []int64{-1, 1}}
	for text, ok := range map[string]bool{"65504": true, "-65519.9": true, "65520": false,
		"-1e30": false} {
		if got, err := input.fromJSON([]byte("["+text+"]"), []int64{1, 1}, 1); (err == nil) != ok {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

// Data is flat, or nested as its shape is, and not otherwise.
func TestNesting(t *testing.T) {
	input := tensorInfo{Name: "image", Datatype: typeFP32, Shape: []int64{-1, 1, 2}}
	for text, ok := range map[string]bool{
		"[1,2,3,4]": true, "[ [[1,2]] , [[3,4]] ]": true,
		"[[1,2],[3,4]]": false, "[[1,2,3,4]]": false, "[[[1,2,3,4]]]": false,
		"[[[1],[2]],[[3],[4]]]": false,
		"[[[1,2,3]],[[4]]]":     false, "[[[1,2]],[3,4]]": false, "[1,[2],3,4]": false, "[[],1,2,3,4]": false,
		"[[[1,2]],[[3,4]],[]]": false, "[[[1,2],[3,4]],[]]": false, "[1,2,3,4,[]]": false,
		"[[[1,2]],[[3,4]],5]": false, "[[[[1,2]]],[[[3,4]]]]": false, "[[[1,2]],[[3,4,[]]]]": false,
	} {
		got, err := input.fromJSON([]byte(text), []int64{2, 1, 2}, 4)
		if (err == nil) != ok || ok && !slices.Equal(got, []float32{1, 2, 3, 4}) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

// Whatever follows a request's JSON header, and whatever it is, no text makes the reader panic.
func FuzzUnderstand(f *testing.F) {
	f.Add([]byte(`{"inputs":[{"name":"image","datatype":"FP32","shape":[1,1],"data":[1]}]}`), -1)
	f.Add([]byte(
		`{"inputs":[{"name":"image","datatype":"FP32","shape":[1,1],"parameters":{"binary_data_size":4}}]}1234`),
		97)
	f.Add([]byte("12345678"), 0)
	input := tensorInfo{Name: "image", Datatype: typeFP32, Shape: []int64{-1, 1}}
	output := tensorInfo{Name: "scores", Datatype: typeFP32, Shape: []int64{-1, 2}}
	f.Fuzz(func(t *testing.T, body []byte, header int) {
		q, err := understand(body, max(header, -1), input, output)
		if err == nil && (q.images.N < 1 || len(q.images.Pixels) != q.images.N) {
			t.Errorf("%d images of %d values", q.images.N, len(q.images.Pixels))
		}
		if p, own := told(err); err != nil && (own || p.status != 400) {
			t.Errorf("%v", err)
		}
	})
}
