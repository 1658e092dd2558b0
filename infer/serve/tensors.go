package serve

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"slipway/infer"
	"slipway/infer/port"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// Datatypes of the protocol that a tensor of an image classifier can have.
const (
	typeFP32  = "FP32"
	typeFP64  = "FP64"
	typeFP16  = "FP16"
	typeUINT8 = "UINT8"
)

// tensorInfo describes an input or an output as the protocol does: the batch is -1, since a
// runtime cuts and pads for a model of a fixed one.
type tensorInfo struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int64 `json:"shape"`
}

// inputInfo describes a model's input.
func inputInfo(ports port.Ports) (tensorInfo, error) {
	info := tensorInfo{Name: ports.Input, Shape: make([]int64, len(ports.InputDims))}
	for i, size := range ports.InputDims {
		info.Shape[i] = int64(size)
	}
	info.Shape[0] = port.Unknown
	switch ports.InputType {
	case onnxpb.TensorProto_FLOAT:
		info.Datatype = typeFP32
	case onnxpb.TensorProto_DOUBLE:
		info.Datatype = typeFP64
	case onnxpb.TensorProto_FLOAT16:
		info.Datatype = typeFP16
	case onnxpb.TensorProto_UINT8:
		info.Datatype = typeUINT8
	default:
		return info, fmt.Errorf("input %q has the type %v, which cannot be served", ports.Input,
			ports.InputType)
	}
	return info, nil
}

// outputInfo describes the scores as a runtime gives them: float32, N×K; -1 for a K that is not
// known.
func outputInfo(ports port.Ports, classes int) tensorInfo {
	return tensorInfo{Name: ports.Output, Datatype: typeFP32,
		Shape: []int64{port.Unknown, int64(classes)}}
}

// known reports whether the size of an image is known.
func (t tensorInfo) known() bool { return !slices.Contains(t.Shape[1:], -1) }

// elementSize is the number of bytes of an element in binary form.
func (t tensorInfo) elementSize() int {
	switch t.Datatype {
	case typeUINT8:
		return 1
	case typeFP16:
		return 2
	case typeFP64:
		return 8
	}
	return 4
}

// accepts checks a request's datatype and shape, and returns the number of elements. most is how
// many the request can hold at most: sizes whose product is beyond any number are refused by it.
func (t tensorInfo) accepts(datatype string, shape []int64, most int64) (elements int, err error) {
	if datatype != t.Datatype {
		return 0, badRequest("input %q has the datatype %s, not %q", t.Name, t.Datatype,
			shorten(datatype))
	}
	fits := len(shape) == len(t.Shape)
	for i := 0; fits && i < len(shape); i++ {
		fits = shape[i] > 0 && (t.Shape[i] < 0 || shape[i] == t.Shape[i])
	}
	if !fits {
		return 0, badRequest(
			"input %q has the shape %s, -1 being any size of 1 or more; the request's is %s",
			t.Name, formatShape(t.Shape), formatShape(shape))
	}
	total := int64(1)
	for _, size := range shape {
		if size > most/total {
			return 0, badRequest("input %q: the shape %s is of more elements than the request has",
				t.Name, formatShape(shape))
		}
		total *= size
	}
	return int(total), nil
}

// batch makes of the elements of a request what a runtime takes: images whose C×H×W are the sizes
// of the input as it stands fit it in its own order (port.Ports.Fit), whatever that order means.
func (t tensorInfo) batch(shape []int64, values []float32) infer.Batch {
	b := infer.Batch{N: int(shape[0]), C: 1, H: 1, W: int(shape[len(shape)-1]), Pixels: values}
	if len(shape) > 2 {
		b.H = int(shape[len(shape)-2])
	}
	if len(shape) > 3 {
		b.C = int(shape[len(shape)-3])
	}
	return b
}

// fromBinary reads little-endian elements.
func (t tensorInfo) fromBinary(raw []byte, elements int) ([]float32, error) {
	if size := t.elementSize(); len(raw)/size != elements || len(raw)%size != 0 {
		return nil, badRequest("input %q: %d bytes of binary data for %d elements of %d bytes", t.Name,
			len(raw), elements, size)
	}
	values := make([]float32, elements)
	var wrong int
	switch t.Datatype {
	case typeUINT8:
		for i, v := range raw {
			values[i] = float32(v)
		}
		return values, nil
	case typeFP16:
		wrong = readFinite(values, raw, 2, func(b []byte) float32 {
			return onnx.Float16(binary.LittleEndian.Uint16(b)).Float32()
		})
	case typeFP64:
		wrong = readFinite(values, raw, 8, func(b []byte) float32 {
			return float32(math.Float64frombits(binary.LittleEndian.Uint64(b)))
		})
	default:
		wrong = readFinite32(values, raw)
	}
	if wrong >= 0 {
		return nil, t.notFinite(wrong, fmt.Sprint(values[wrong]))
	}
	return values, nil
}

// readFinite reads elements of that many bytes each, and returns the index of the first that is not
// finite, -1 where all are.
func readFinite(values []float32, raw []byte, size int, element func([]byte) float32) (wrong int) {
	for i := range values {
		values[i] = element(raw[size*i:])
		if !finite(values[i]) {
			return i
		}
	}
	return -1
}

// readFinite32 is readFinite of float32, which most clients send: a batch of them is much to read,
// beside what a small network computes. They are copied as they lie, and then looked at.
func readFinite32(values []float32, raw []byte) (wrong int) {
	if len(values) == 0 {
		return -1
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*len(values)), raw)
	if bigEndian() {
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	}
	largest := uint32(0) // of the magnitudes, which are in the order of their bits
	for _, v := range values {
		largest = max(largest, math.Float32bits(v)&^signBit)
	}
	if largest < exponentBits {
		return -1
	}
	return slices.IndexFunc(values, func(v float32) bool { return !finite(v) })
}

func bigEndian() bool { return binary.NativeEndian.Uint16([]byte{0, 1}) == 1 }

const signBit = 1 << 31

// exponentBits are all set in a float32 that is not finite.
const exponentBits = 0x7f800000

func finite(v float32) bool { return math.Float32bits(v)&exponentBits != exponentBits }

// notFinite is the error of an element that is no number of the model's. Pixels are numbers; one
// that is none makes of all scores what no JSON can say.
func (t tensorInfo) notFinite(index int, text string) error {
	return badRequest("input %q: element %d is %s; finite numbers within float32 are wanted", t.Name,
		index, text)
}

// toBinary writes scores as little-endian float32.
func toBinary(dst []byte, values []float32) []byte {
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
	}
	return dst
}

func formatShape(shape []int64) string {
	const most = 8
	var b strings.Builder
	b.WriteByte('[')
	for i, size := range shape {
		if i == most {
			fmt.Fprintf(&b, ",… (%d dimensions)", len(shape))
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(size, 10))
	}
	b.WriteByte(']')
	return b.String()
}
