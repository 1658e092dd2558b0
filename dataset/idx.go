package dataset

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"

	"slipway/dataset/picture"
)

// DefaultLimit is the most data, in bytes, that an IDX file may declare unless
// told otherwise: MNIST's training images are 47 MB, EMNIST's largest 639 MB.
const DefaultLimit = 1 << 30

// ElementType is the third byte of an IDX file.
type ElementType uint8

// The element types of the format.
const (
	Uint8   ElementType = 0x08
	Int8    ElementType = 0x09
	Int16   ElementType = 0x0B
	Int32   ElementType = 0x0C
	Float32 ElementType = 0x0D
	Float64 ElementType = 0x0E
)

// Size returns the bytes of one element, 0 for a type not in the format.
func (e ElementType) Size() int {
	switch e {
	case Uint8, Int8:
		return 1
	case Int16:
		return 2
	case Int32, Float32:
		return 4
	case Float64:
		return 8
	}
	return 0
}

func (e ElementType) String() string {
	switch e {
	case Uint8:
		return "uint8"
	case Int8:
		return "int8"
	case Int16:
		return "int16"
	case Int32:
		return "int32"
	case Float32:
		return "float32"
	case Float64:
		return "float64"
	}
	return fmt.Sprintf("ElementType(0x%02x)", uint8(e))
}

// IDX is an array as an IDX file holds it: row-major, big-endian. The format
// is described at the end of the page on which MNIST was first published.
type IDX struct {
	Type  ElementType
	Shape []int  // 1 to 255 dimensions
	Data  []byte // product(Shape)·Type.Size() bytes
}

// Float64s returns the elements; each type's values are float64 exactly.
func (x *IDX) Float64s() ([]float64, error) {
	if err := x.check(); err != nil {
		return nil, err
	}
	size := x.Type.Size()
	out := make([]float64, len(x.Data)/size)
	be := binary.BigEndian
	for i := range out {
		b := x.Data[i*size:]
		switch x.Type {
		case Uint8:
			out[i] = float64(b[0])
		case Int8:
			out[i] = float64(int8(b[0]))
		case Int16:
			out[i] = float64(int16(be.Uint16(b)))
		case Int32:
			out[i] = float64(int32(be.Uint32(b)))
		case Float32:
			out[i] = float64(math.Float32frombits(be.Uint32(b)))
		case Float64:
			out[i] = math.Float64frombits(be.Uint64(b))
		}
	}
	return out, nil
}

// Labels returns the elements as labels. They are integers of any type of the format,
// as EMNIST and its like store them: uint8, int8, int16 or int32.
func (x *IDX) Labels() ([]int32, error) {
	if err := x.check(); err != nil {
		return nil, err
	}
	if x.Type == Float32 || x.Type == Float64 {
		return nil, fmt.Errorf("%w: %s, labels are integers", ErrElementType, x.Type)
	}
	size := x.Type.Size()
	labels := make([]int32, len(x.Data)/size)
	for i := range labels {
		switch b := x.Data[i*size:]; x.Type {
		case Int8:
			labels[i] = int32(int8(b[0]))
		case Int16:
			labels[i] = int32(int16(binary.BigEndian.Uint16(b)))
		case Int32:
			labels[i] = int32(binary.BigEndian.Uint32(b))
		default:
			labels[i] = int32(b[0])
		}
	}
	return labels, nil
}

// check tells whether the array can be written as an IDX file.
func (x *IDX) check() error {
	if x.Type.Size() == 0 {
		return fmt.Errorf("%w 0x%02x", ErrElementType, uint8(x.Type))
	}
	if len(x.Shape) < 1 || len(x.Shape) > 255 {
		return fmt.Errorf("%w: %d, IDX takes 1 to 255", ErrRank, len(x.Shape))
	}
	dims := make([]uint32, len(x.Shape))
	for i, dim := range x.Shape {
		if dim < 0 || int64(dim) > math.MaxUint32 {
			return fmt.Errorf("%w: dimension %d is %d, IDX takes 0 to 2³²−1", ErrSize, i, dim)
		}
		dims[i] = uint32(dim)
	}
	size, ok := dataSize(x.Type, dims)
	if !ok || size != uint64(len(x.Data)) {
		return fmt.Errorf("%w: shape %v of %s and %d bytes of data", ErrSize, x.Shape, x.Type,
			len(x.Data))
	}
	return nil
}

// WriteIDX writes x, uncompressed.
func WriteIDX(w io.Writer, x *IDX) error {
	if err := x.check(); err != nil {
		return err
	}
	header := []byte{0, 0, byte(x.Type), byte(len(x.Shape))}
	for _, dim := range x.Shape {
		header = binary.BigEndian.AppendUint32(header, uint32(dim))
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	_, err := w.Write(x.Data)
	return err
}

// ReadIDXFile reads the IDX file at path, as ReadIDX does.
func ReadIDXFile(path string, limit int64) (*IDX, error) {
	f, err := openRegular(path, "an IDX file")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	x, err := ReadIDX(f, limit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return x, nil
}

// ReadIDX reads one IDX array, plain or compressed by gzip, whichever the first
// bytes show. The input must end where the array ends. At most limit bytes of
// data are read, DefaultLimit when limit is 0, and memory grows with what is
// there, not with what the header declares.
func ReadIDX(r io.Reader, limit int64) (*IDX, error) {
	if limit == 0 {
		limit = DefaultLimit
	}
	if limit < 0 || limit > math.MaxInt-1 {
		return nil, fmt.Errorf("%w: IDX limit of %d bytes", ErrArgument, limit)
	}
	unpacked, err := unpack(r)
	if err != nil {
		return nil, err
	}
	return readPlain(unpacked, limit)
}

func readPlain(r *bufio.Reader, limit int64) (*IDX, error) {
	start, _ := r.Peek(startSize) // an error comes again as what is read next
	start = bytes.Clone(start)
	var magic [4]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil {
		return nil, readError(err, "first 4 bytes")
	}
	if format := picture.Format(start); format != "" {
		return nil, fmt.Errorf(
			"%w: it is a %s picture; a set of pictures is a folder, with a folder of pictures for each class in it",
			ErrMagic, format)
	}
	if magic[0] != 0 || magic[1] != 0 {
		if kind := picture.Kind(start); kind != "" {
			return nil, fmt.Errorf("%w: it begins as %s; give an IDX file, plain or .gz", ErrMagic, kind)
		}
		return nil, fmt.Errorf("%w: it begins with % x, IDX with 00 00; give an IDX file, plain or .gz",
			ErrMagic, magic)
	}
	x := &IDX{Type: ElementType(magic[2])}
	if x.Type.Size() == 0 {
		return nil, fmt.Errorf("%w 0x%02x in the third byte; the format has 08, 09, 0b, 0c, 0d, 0e",
			ErrElementType, magic[2])
	}
	if magic[3] == 0 {
		return nil, fmt.Errorf("%w: 0 in the fourth byte", ErrRank)
	}
	dims := make([]uint32, magic[3])
	if err := binary.Read(r, binary.BigEndian, dims); err != nil {
		return nil, readError(err, "dimensions")
	}
	size, ok := dataSize(x.Type, dims)
	if !ok || size > uint64(limit) || int64(slices.Max(dims)) > limit {
		return nil, fmt.Errorf("%w: %s of shape %v, the limit is %d bytes", ErrTooLarge, x.Type, dims,
			limit)
	}
	for _, dim := range dims {
		x.Shape = append(x.Shape, int(dim))
	}
	var err error
	if x.Data, err = readData(r, size); errors.Is(err, ErrTrailing) {
		return nil, fmt.Errorf(
			"%w: shape %v of %s takes %d bytes and more follow; the header or the file is damaged",
			ErrTrailing, x.Shape, x.Type, size)
	}
	if err != nil {
		return nil, err
	}
	return x, nil
}

// readData reads what is left of r, which is size bytes; more is ErrTrailing. Memory
// grows eightfold with what was really read, and ends at size exactly.
func readData(r io.Reader, size uint64) ([]byte, error) {
	data := make([]byte, 0, min(size, 1<<20))
	for uint64(len(data)) < size {
		if len(data) == cap(data) {
			data = append(make([]byte, 0, min(size, 8*uint64(len(data)))), data...)
		}
		n, err := io.ReadFull(r, data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err != nil {
			return nil, readError(err, fmt.Sprintf("data, %d of %d bytes read", len(data), size))
		}
	}
	// One byte more makes gzip and zip verify their checksums and shows trailing data.
	switch n, err := io.ReadFull(r, make([]byte, 1)); {
	case n > 0:
		return nil, ErrTrailing
	case err != io.EOF:
		return nil, readError(err, "end of the data")
	}
	return data, nil
}

// array returns the numbers as those of any file are.
func (x *IDX) array() (*array, error) {
	kind := byte('i')
	switch x.Type {
	case Uint8:
		kind = 'u'
	case Float32, Float64:
		kind = 'f'
	}
	of, ok := elementOf(kind, x.Type.Size(), binary.BigEndian)
	if !ok {
		return nil, fmt.Errorf("%w 0x%02x", ErrElementType, uint8(x.Type))
	}
	return &array{element: of, shape: x.Shape, data: x.Data}, nil
}

// dataSize multiplies; ok is false when 64 bits do not hold the product.
func dataSize(elem ElementType, dims []uint32) (size uint64, ok bool) {
	if slices.Contains(dims, 0) {
		return 0, true
	}
	size = uint64(elem.Size())
	for _, dim := range dims {
		hi, lo := bits.Mul64(size, uint64(dim))
		if hi != 0 {
			return 0, false
		}
		size = lo
	}
	return size, true
}

// readError sorts what a reader returned in the midst of the named part.
func readError(err error, part string) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w, in the %s; copy or download the file again", ErrTruncated, part)
	case errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) ||
		errors.As(err, &corrupt):
		return fmt.Errorf("%w, in the %s: %w; copy or download the file again", ErrGzip, part, err)
	case errors.Is(err, zip.ErrFormat) || errors.Is(err, zip.ErrChecksum):
		return fmt.Errorf("%w, in the %s: %w; copy or download the file again", ErrZip, part, err)
	}
	return fmt.Errorf("read the %s: %w", part, err)
}
