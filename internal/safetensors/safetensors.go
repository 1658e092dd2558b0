// Package safetensors reads and writes the safetensors format, in which named
// tensors travel between Go and Python without running any code.
//
// A file is the header's length as an unsigned 64-bit little-endian number,
// the header, and the data. The header is a JSON object: each tensor's name
// with its dtype, shape and data_offsets (begin and end, counted from the
// first byte of data), and under "__metadata__" a map of strings. Tensors are
// stored row-major and little-endian, without gaps.
//
// The format: the README of github.com/huggingface/safetensors, section "Format".
package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// MaxHeader is the longest header in bytes that the format allows.
const MaxHeader = 100_000_000

// metadataKey is the one name that no tensor can have.
const metadataKey = "__metadata__"

// DType is an element type by its name in the file.
type DType string

// The element types of the format. Those without a slice accessor are read
// and written as raw bytes in Tensor.Data.
const (
	Bool    DType = "BOOL"
	U8      DType = "U8"
	I8      DType = "I8"
	F8E5M2  DType = "F8_E5M2"
	F8E4M3  DType = "F8_E4M3"
	F8E8M0  DType = "F8_E8M0"
	I16     DType = "I16"
	U16     DType = "U16"
	F16     DType = "F16"
	BF16    DType = "BF16"
	I32     DType = "I32"
	U32     DType = "U32"
	F32     DType = "F32"
	I64     DType = "I64"
	U64     DType = "U64"
	F64     DType = "F64"
	Complex DType = "C64"
)

// Size returns the bytes of one element, 0 for a type that this package does
// not know.
func (d DType) Size() int {
	switch d {
	case Bool, U8, I8, F8E5M2, F8E4M3, F8E8M0:
		return 1
	case I16, U16, F16, BF16:
		return 2
	case I32, U32, F32:
		return 4
	case I64, U64, F64, Complex:
		return 8
	}
	return 0
}

// Tensor is one named array.
type Tensor struct {
	Name  string
	DType DType
	Shape []int  // empty for a scalar
	Data  []byte // row-major, little-endian, product(Shape)·DType.Size() bytes
}

// File is the content of a safetensors file. Tensors are in the order of
// their data.
type File struct {
	Metadata map[string]string
	Tensors  []Tensor
}

// Tensor returns the tensor of that name, and whether there is one.
func (f *File) Tensor(name string) (Tensor, bool) {
	i := slices.IndexFunc(f.Tensors, func(t Tensor) bool { return t.Name == name })
	if i < 0 {
		return Tensor{}, false
	}
	return f.Tensors[i], true
}

// NewFloat32 makes an F32 tensor from a copy of row-major values. Encode
// checks that shape and values agree.
func NewFloat32(name string, shape []int, values []float32) Tensor {
	return newTensor(name, F32, shape, values, func(b []byte, v float32) []byte {
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	})
}

// NewFloat64 makes an F64 tensor, as NewFloat32 does.
func NewFloat64(name string, shape []int, values []float64) Tensor {
	return newTensor(name, F64, shape, values, func(b []byte, v float64) []byte {
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	})
}

// NewInt32 makes an I32 tensor, as NewFloat32 does.
func NewInt32(name string, shape []int, values []int32) Tensor {
	return newTensor(name, I32, shape, values, func(b []byte, v int32) []byte {
		return binary.LittleEndian.AppendUint32(b, uint32(v))
	})
}

// NewInt64 makes an I64 tensor, as NewFloat32 does.
func NewInt64(name string, shape []int, values []int64) Tensor {
	return newTensor(name, I64, shape, values, func(b []byte, v int64) []byte {
		return binary.LittleEndian.AppendUint64(b, uint64(v))
	})
}

// NewUint8 makes a U8 tensor, as NewFloat32 does.
func NewUint8(name string, shape []int, values []uint8) Tensor {
	return Tensor{Name: name, DType: U8, Shape: slices.Clone(shape), Data: slices.Clone(values)}
}

func newTensor[T any](name string, dtype DType, shape []int, values []T,
	put func([]byte, T) []byte) Tensor {
	data := make([]byte, 0, len(values)*dtype.Size())
	for _, v := range values {
		data = put(data, v)
	}
	return Tensor{Name: name, DType: dtype, Shape: slices.Clone(shape), Data: data}
}

// Float32s returns the values of an F32, F16 or BF16 tensor; each of them is a
// float32 exactly.
func (t Tensor) Float32s() ([]float32, error) {
	le := binary.LittleEndian
	switch t.DType {
	case F32:
		return values(t, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) })
	case F16:
		return values(t, func(b []byte) float32 { return float16(le.Uint16(b)) })
	case BF16: // the upper half of a float32
		return values(t, func(b []byte) float32 {
			return math.Float32frombits(uint32(le.Uint16(b)) << 16)
		})
	}
	return nil, t.wrongType("F32, F16 or BF16")
}

// Float64s returns the values of an F64 tensor.
func (t Tensor) Float64s() ([]float64, error) {
	if t.DType != F64 {
		return nil, t.wrongType(F64)
	}
	return values(t, func(b []byte) float64 {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	})
}

// Int32s returns the values of an I32 tensor.
func (t Tensor) Int32s() ([]int32, error) {
	if t.DType != I32 {
		return nil, t.wrongType(I32)
	}
	return values(t, func(b []byte) int32 { return int32(binary.LittleEndian.Uint32(b)) })
}

// Int64s returns the values of an I64 tensor.
func (t Tensor) Int64s() ([]int64, error) {
	if t.DType != I64 {
		return nil, t.wrongType(I64)
	}
	return values(t, func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) })
}

// Uint8s returns a copy of the values of a U8 tensor.
func (t Tensor) Uint8s() ([]uint8, error) {
	if t.DType != U8 {
		return nil, t.wrongType(U8)
	}
	return values(t, func(b []byte) uint8 { return b[0] })
}

func (t Tensor) wrongType(want DType) error {
	return &Error{Tensor: t.Name, Err: ErrDType,
		Detail: fmt.Sprintf("it is %s, and %s is needed; convert it where it was written", t.DType, want)}
}

func values[T any](t Tensor, get func([]byte) T) ([]T, error) {
	size := t.DType.Size()
	if err := t.check(); err != nil {
		return nil, err
	}
	out := make([]T, len(t.Data)/size)
	for i := range out {
		out[i] = get(t.Data[i*size:])
	}
	return out, nil
}

// check tells whether the data has the length that dtype and shape say.
func (t Tensor) check() error {
	if t.DType.Size() == 0 {
		return &Error{Tensor: t.Name, Err: ErrDType,
			Detail: fmt.Sprintf("element type %q is not known here", t.DType)}
	}
	size, ok := byteSize(t.DType, t.Shape)
	if !ok {
		return &Error{Tensor: t.Name, Err: ErrShape,
			Detail: fmt.Sprintf("shape %v has a negative dimension or more bytes than 64 bits count",
				t.Shape)}
	}
	if size != uint64(len(t.Data)) {
		return &Error{Tensor: t.Name, Err: ErrSize,
			Detail: fmt.Sprintf("shape %v of %s takes %d bytes, the data has %d", t.Shape, t.DType, size,
				len(t.Data))}
	}
	return nil
}

// byteSize multiplies shape and element size; ok is false on overflow.
func byteSize(dtype DType, shape []int) (size uint64, ok bool) {
	size, ok = uint64(dtype.Size()), true
	zero := false
	for _, dim := range shape {
		if dim < 0 {
			return 0, false
		}
		if dim == 0 {
			zero = true
			continue
		}
		hi, lo := bits.Mul64(size, uint64(dim))
		ok = ok && hi == 0
		size = lo
	}
	if zero { // [0, 2⁴⁰, 2⁴⁰] is empty, whatever the other dimensions multiply to
		return 0, true
	}
	return size, ok
}

// float16 widens an IEEE 754 binary16 number.
func float16(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent := uint32(h>>10) & 0x1f
	fraction := uint32(h) & 0x3ff
	switch exponent {
	case 0: // zero and subnormals: fraction·2⁻²⁴
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 0x1f: // infinities and NaN, whose payload is kept
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}
