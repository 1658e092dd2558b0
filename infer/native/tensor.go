package native

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"slipway/internal/kernel"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// Tensor is a dense tensor in row-major order.
type Tensor struct {
	// Shape has one size for each dimension; a scalar has none.
	Shape []int
	// Data is []float32, []float64, []int8, []int16, []int32, []int64, []uint8,
	// []uint16, []uint32, []uint64, []bool or []onnx.Float16, and as long as Shape says.
	Data any

	// channelsLast says that Data is in the order N, spatial dimensions, C, though
	// Shape is N×C×spatial. It never leaves the package.
	channelsLast bool
	// border is what of Data, and of Shape, is padding around the images, which the convolution that
	// alone reads them wants.
	border kernel.Border
	memory *memory
}

// number is what a tensor may hold beside bools.
type number interface {
	float | integer
}

type float interface{ ~float32 | ~float64 }

type integer interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// elementTypes are the element types that a tensor may have.
func elementTypes() []onnxpb.TensorProto_DataType {
	return []onnxpb.TensorProto_DataType{
		onnxpb.TensorProto_FLOAT, onnxpb.TensorProto_DOUBLE, onnxpb.TensorProto_INT8,
		onnxpb.TensorProto_INT16,
		onnxpb.TensorProto_INT32, onnxpb.TensorProto_INT64, onnxpb.TensorProto_UINT8,
		onnxpb.TensorProto_UINT16,
		onnxpb.TensorProto_UINT32, onnxpb.TensorProto_UINT64, onnxpb.TensorProto_BOOL,
		onnxpb.TensorProto_FLOAT16,
	}
}

// Type returns the element type, UNDEFINED where Data is none of its types.
func (t *Tensor) Type() onnxpb.TensorProto_DataType {
	switch t.Data.(type) {
	case []float32:
		return onnxpb.TensorProto_FLOAT
	case []float64:
		return onnxpb.TensorProto_DOUBLE
	case []int8:
		return onnxpb.TensorProto_INT8
	case []int16:
		return onnxpb.TensorProto_INT16
	case []int32:
		return onnxpb.TensorProto_INT32
	case []int64:
		return onnxpb.TensorProto_INT64
	case []uint8:
		return onnxpb.TensorProto_UINT8
	case []uint16:
		return onnxpb.TensorProto_UINT16
	case []uint32:
		return onnxpb.TensorProto_UINT32
	case []uint64:
		return onnxpb.TensorProto_UINT64
	case []bool:
		return onnxpb.TensorProto_BOOL
	case []onnx.Float16:
		return onnxpb.TensorProto_FLOAT16
	}
	return onnxpb.TensorProto_UNDEFINED
}

// String writes the tensor as float[2×3], without its values.
func (t *Tensor) String() string { return typeName(t.Type()) + formatShape(t.Shape) }

func typeName(t onnxpb.TensorProto_DataType) string { return strings.ToLower(t.String()) }

func formatShape(shape []int) string {
	return "[" + strings.Trim(strings.ReplaceAll(fmt.Sprint(shape), " ", "×"), "[]") + "]"
}

// size returns the number of elements that Shape says.
func (t *Tensor) size() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// elements returns len(Data).
func (t *Tensor) elements() int {
	switch d := t.Data.(type) {
	case []float32:
		return len(d)
	case []float64:
		return len(d)
	case []int8:
		return len(d)
	case []int16:
		return len(d)
	case []int32:
		return len(d)
	case []int64:
		return len(d)
	case []uint8:
		return len(d)
	case []uint16:
		return len(d)
	case []uint32:
		return len(d)
	case []uint64:
		return len(d)
	case []bool:
		return len(d)
	case []onnx.Float16:
		return len(d)
	}
	return 0
}

// check says what is wrong with a tensor that a caller made.
func (t *Tensor) check() error {
	if t == nil || t.Type() == onnxpb.TensorProto_UNDEFINED {
		return fmt.Errorf("the tensor's data is not a slice of numbers or bools")
	}
	n, err := countElements(t.Shape)
	if err != nil {
		return err
	}
	if n != t.elements() {
		return fmt.Errorf("the shape %s needs %d elements, there are %d", formatShape(t.Shape), n,
			t.elements())
	}
	return nil
}

// maxElements bounds the elements of one tensor, 2^31 as onnx.Check does: no
// product of sizes and element widths overflows.
const maxElements = 1 << 31

// countElements multiplies sizes.
func countElements(shape []int) (int, error) {
	n := 1
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("the shape %s has a negative size", formatShape(shape))
		}
		if d == 0 {
			return 0, nil
		}
	}
	for _, d := range shape {
		if d > maxElements/n {
			return 0, fmt.Errorf("the shape %s has more than 2^31 elements", formatShape(shape))
		}
		n *= d
	}
	return n, nil
}

// widthOf returns the bytes of an element, 0 for a type that no tensor here has.
func widthOf(t onnxpb.TensorProto_DataType) int {
	switch t {
	case onnxpb.TensorProto_BOOL, onnxpb.TensorProto_INT8, onnxpb.TensorProto_UINT8:
		return 1
	case onnxpb.TensorProto_INT16, onnxpb.TensorProto_UINT16, onnxpb.TensorProto_FLOAT16:
		return 2
	case onnxpb.TensorProto_FLOAT, onnxpb.TensorProto_INT32, onnxpb.TensorProto_UINT32:
		return 4
	case onnxpb.TensorProto_DOUBLE, onnxpb.TensorProto_INT64, onnxpb.TensorProto_UINT64:
		return 8
	}
	return 0
}

// tensorOf converts a tensor of a file, which is of a checked model or of
// onnx.ReadTestData. Element types that Tensor does not have are an error.
func tensorOf(proto *onnxpb.TensorProto) (*Tensor, error) {
	elementType := onnxpb.TensorProto_DataType(proto.GetDataType())
	if widthOf(elementType) == 0 {
		return nil, fmt.Errorf("its element type %s is not supported; those that are: %s",
			typeName(elementType), supportedTypes())
	}
	shape := make([]int, len(proto.GetDims()))
	for i, d := range proto.GetDims() {
		if d < 0 || d > maxElements {
			return nil, fmt.Errorf("its dimension %d is %d; at most 2^31 can be run", i, d)
		}
		shape[i] = int(d)
	}
	n, err := countElements(shape)
	if err != nil {
		return nil, err
	}
	t := &Tensor{Shape: shape, Data: dataOf(proto, elementType, n)}
	if err := t.check(); err != nil {
		return nil, err
	}
	return t, nil
}

func supportedTypes() string {
	var names []string
	for _, t := range elementTypes() {
		names = append(names, typeName(t))
	}
	return strings.Join(names, ", ")
}

func dataOf(proto *onnxpb.TensorProto, elementType onnxpb.TensorProto_DataType, n int) any {
	raw := proto.GetRawData()
	le := binary.LittleEndian
	switch elementType {
	case onnxpb.TensorProto_FLOAT:
		return decodeData(raw, 4, proto.GetFloatData(), func(v float32) float32 { return v },
			func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) })
	case onnxpb.TensorProto_DOUBLE:
		return decodeData(raw, 8, proto.GetDoubleData(), func(v float64) float64 { return v },
			func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) })
	case onnxpb.TensorProto_INT64:
		return decodeData(raw, 8, proto.GetInt64Data(), func(v int64) int64 { return v },
			func(b []byte) int64 { return int64(le.Uint64(b)) })
	case onnxpb.TensorProto_UINT64:
		return decodeData(raw, 8, proto.GetUint64Data(), func(v uint64) uint64 { return v }, le.Uint64)
	case onnxpb.TensorProto_UINT32:
		return decodeData(raw, 4, proto.GetUint64Data(), func(v uint64) uint32 { return uint32(v) },
			le.Uint32)
	case onnxpb.TensorProto_INT32:
		return decodeData(raw, 4, proto.GetInt32Data(), func(v int32) int32 { return v },
			func(b []byte) int32 { return int32(le.Uint32(b)) })
	case onnxpb.TensorProto_INT16:
		return decodeData(raw, 2, proto.GetInt32Data(), func(v int32) int16 { return int16(v) },
			func(b []byte) int16 { return int16(le.Uint16(b)) })
	case onnxpb.TensorProto_UINT16:
		return decodeData(raw, 2, proto.GetInt32Data(), func(v int32) uint16 { return uint16(v) },
			le.Uint16)
	case onnxpb.TensorProto_FLOAT16:
		return decodeData(raw, 2, proto.GetInt32Data(), func(v int32) onnx.Float16 {
			return onnx.Float16(v)
		}, func(b []byte) onnx.Float16 { return onnx.Float16(le.Uint16(b)) })
	case onnxpb.TensorProto_INT8:
		return decodeData(raw, 1, proto.GetInt32Data(), func(v int32) int8 { return int8(v) },
			func(b []byte) int8 { return int8(b[0]) })
	case onnxpb.TensorProto_UINT8:
		return decodeData(raw, 1, proto.GetInt32Data(), func(v int32) uint8 { return uint8(v) },
			func(b []byte) uint8 { return b[0] })
	}
	return decodeData(raw, 1, proto.GetInt32Data(), func(v int32) bool { return v != 0 },
		func(b []byte) bool { return b[0] != 0 })
}

// decodeData reads elements from raw bytes, or from the typed field where there
// are none.
func decodeData[S, T any](raw []byte, width int, typed []S, convert func(S) T,
	read func([]byte) T) []T {
	if len(typed) > 0 {
		values := make([]T, len(typed))
		for i, v := range typed {
			values[i] = convert(v)
		}
		return values
	}
	values := make([]T, len(raw)/width)
	for i := range values {
		values[i] = read(raw[i*width:])
	}
	return values
}

// strides returns the elements from one index to the next of each dimension.
func strides(shape []int) []int {
	s := make([]int, len(shape))
	step := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = step
		step *= shape[i]
	}
	return s
}

func product(sizes []int) int {
	n := 1
	for _, d := range sizes {
		n *= d
	}
	return n
}

// integers returns the elements of an int32 or int64 tensor.
func (t *Tensor) integers() ([]int64, error) {
	switch d := t.Data.(type) {
	case []int64:
		return d, nil
	case []int32:
		wide := make([]int64, len(d))
		for i, v := range d {
			wide[i] = int64(v)
		}
		return wide, nil
	}
	return nil, fmt.Errorf("%v is not a tensor of int64 or int32", t)
}

// Zeros returns a tensor of zeros. Its element type must be one that Tensor has.
func Zeros(elementType onnxpb.TensorProto_DataType, shape []int) (*Tensor, error) {
	if widthOf(elementType) == 0 {
		return nil, fmt.Errorf("the element type %s is not supported; those that are: %s",
			typeName(elementType), supportedTypes())
	}
	n, err := countElements(shape)
	if err != nil {
		return nil, err
	}
	if n*widthOf(elementType) > maxZeros {
		return nil, fmt.Errorf("%s%s takes more than %d MiB", typeName(elementType), formatShape(shape),
			maxZeros>>20)
	}
	return &Tensor{Shape: slices.Clone(shape), Data: makeData(elementType, n)}, nil
}

// maxZeros bounds the bytes of Zeros.
const maxZeros = 1 << 30
