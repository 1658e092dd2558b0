package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// golden is what testdata/make_golden.py writes with the reference
// implementation, in Go's terms.
func golden() *File {
	weight := make([]float32, 24)
	for i := range weight {
		weight[i] = float32(i-12) / 8
	}
	half := Tensor{Name: "half", DType: F16, Shape: []int{4},
		Data: []byte{0x00, 0x3e, 0x01, 0x80, 0xff, 0x7b, 0x00, 0x7c}}
	return &File{
		Metadata: map[string]string{"format": "np", "Größe": "<7 & \"quotes\">\n"},
		Tensors: []Tensor{
			NewFloat32("conv1.weight", []int{2, 1, 3, 4}, weight),
			NewFloat64("running.mean", []int{3}, []float64{1e-300, math.Copysign(0, -1), math.Inf(1)}),
			NewInt64("epoch", nil, []int64{3}),
			NewInt32("order", []int{2, 2}, []int32{2, -1, math.MaxInt32, math.MinInt32}),
			NewUint8("image", []int{6}, []uint8{250, 251, 252, 253, 254, 255}),
			half,
			NewFloat32("empty", []int{0, 5}, nil),
		},
	}
}

func TestReadsWhatPythonWrote(t *testing.T) {
	got, err := Read("testdata/golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	want := golden()
	if !maps.Equal(got.Metadata, want.Metadata) {
		t.Errorf("metadata %q, want %q", got.Metadata, want.Metadata)
	}
	if len(got.Tensors) != len(want.Tensors) {
		t.Errorf("%d tensors, want %d", len(got.Tensors), len(want.Tensors))
	}
	for _, w := range want.Tensors {
		g, ok := got.Tensor(w.Name)
		if !ok || !equal(g, w) {
			t.Errorf("%s: read %v, want %v", w.Name, g, w)
		}
	}
	half, _ := got.Tensor("half")
	values, err := half.Float32s()
	if wantHalf := []float32{1.5, -0x1p-24, 65504, float32(math.Inf(1))}; err != nil ||
		!slices.Equal(values, wantHalf) {
		t.Errorf("half = %v (%v), want %v", values, err, wantHalf)
	}
	weight, _ := got.Tensor("conv1.weight")
	if values, err := weight.Float32s(); err != nil || values[0] != -1.5 || values[23] != 1.375 {
		t.Errorf("conv1.weight = %v (%v), want -1.5 … 1.375", values, err)
	}
}

func TestPythonReadsWhatWeWrite(t *testing.T) {
	python := os.Getenv("SAFETENSORS_PYTHON")
	if python == "" {
		python = "python3"
	}
	if out, err := exec.Command(python, "-c", "import safetensors.numpy").
		CombinedOutput(); err != nil {
		t.Skipf("%s has no safetensors and numpy (%v: %.100s); name one that has in SAFETENSORS_PYTHON",
			python, err, out)
	}
	path := filepath.Join(t.TempDir(), "from-go.safetensors")
	if err := Write(path, golden()); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(python, "testdata/make_golden.py", path).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestEncodeIsDeterministicAndKeepsTheOrder(t *testing.T) {
	var first bytes.Buffer
	if err := golden().Encode(&first); err != nil {
		t.Fatal(err)
	}
	if length := binary.LittleEndian.Uint64(first.Bytes()); length%8 != 0 {
		t.Errorf("the header has %d bytes, not a multiple of 8", length)
	}
	decoded, err := Decode(first.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(decoded.Tensors, golden().Tensors, equal) {
		t.Errorf("read back %v", decoded.Tensors)
	}
	for range 20 { // map order would show
		var again bytes.Buffer
		if err := decoded.Encode(&again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Bytes(), first.Bytes()) {
			t.Fatal("the same file gave other bytes")
		}
	}
}

func TestEmptyFile(t *testing.T) {
	var b bytes.Buffer
	if err := new(File).Encode(&b); err != nil {
		t.Fatal(err)
	}
	f, err := Decode(b.Bytes())
	if err != nil || len(f.Tensors) != 0 || len(f.Metadata) != 0 {
		t.Errorf("Decode = %v, %v, want an empty file", f, err)
	}
}

func TestValues(t *testing.T) {
	f64s, err := NewFloat64("a", []int{2}, []float64{math.Pi, -1}).Float64s()
	if err != nil || !slices.Equal(f64s, []float64{math.Pi, -1}) {
		t.Error(f64s, err)
	}
	i32s, err := NewInt32("a", []int{2}, []int32{-7, 7}).Int32s()
	if err != nil || !slices.Equal(i32s, []int32{-7, 7}) {
		t.Error(i32s, err)
	}
	i64s, err := NewInt64("a", []int{1}, []int64{math.MinInt64}).Int64s()
	if err != nil || !slices.Equal(i64s, []int64{math.MinInt64}) {
		t.Error(i64s, err)
	}
	u8s, err := NewUint8("a", []int{2}, []uint8{0, 255}).Uint8s()
	if err != nil || !slices.Equal(u8s, []uint8{0, 255}) {
		t.Error(u8s, err)
	}
	bf16s, err := Tensor{Name: "a", DType: BF16, Shape: []int{2},
		Data: []byte{0x80, 0x3f, 0x49, 0x40}}.Float32s()
	if err != nil || !slices.Equal(bf16s, []float32{1, 3.140625}) {
		t.Error(bf16s, err)
	}
	if _, err := NewFloat64("a", nil, []float64{1}).Float32s(); !errors.Is(err, ErrDType) {
		t.Errorf("Float32s of F64: %v, want %v", err, ErrDType)
	}
	if _, err := NewFloat32("a", []int{3}, []float32{1}).Float32s(); !errors.Is(err, ErrSize) {
		t.Errorf("1 value in shape [3]: %v, want %v", err, ErrSize)
	}
}

func TestFloat16(t *testing.T) {
	// Examples of IEEE 754-2008 binary16: the ends of each range.
	for bits, want := range map[uint16]float32{
		0x0000: 0, 0x0001: 0x1p-24, 0x03ff: 0x1.ff8p-15, 0x0400: 0x1p-14,
		0x3c00: 1, 0x3c01: 1 + 0x1p-10, 0x7bff: 65504, 0xc000: -2, 0x7c00: float32(math.Inf(1)),
	} {
		if got := float16(bits); got != want {
			t.Errorf("float16(%#04x) = %g, want %g", bits, got, want)
		}
	}
	if got := float16(0x7e00); got == got {
		t.Errorf("float16(0x7e00) = %g, want NaN", got)
	}
	if got := float16(0x8000); got != 0 || !math.Signbit(float64(got)) {
		t.Errorf("float16(0x8000) = %g, want -0", got)
	}
}

// file puts a header and n bytes of data together.
func file(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, n)...)
}

func TestDecodeRefuses(t *testing.T) {
	const a = `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for _, test := range []struct {
		name string
		data []byte
		want error
		text string // what the message must name
	}{
		{"empty", nil, ErrTruncated, "0 bytes"},
		{"prefix cut", []byte{1, 2, 3}, ErrTruncated, "3 bytes"},
		{"header cut", file("{"+a+"}", 0)[:20], ErrTruncated, "12 are there"},
		{"header of 0", file("", 0), ErrHeaderLength, "0 bytes"},
		{"header of 2⁶³", binary.LittleEndian.AppendUint64(nil, 1<<63), ErrHeaderLength, "100000000"},
		{"header over the limit", binary.LittleEndian.AppendUint64(nil, MaxHeader+1), ErrHeaderLength,
			"100000001"},
		{"leading space", file(" {"+a+"}", 8), ErrHeader, "begin"},
		{"not JSON", file("{nonsense}", 0), ErrHeader, "invalid character"},
		{"JSON cut", file(`{"a":{"dtype"`, 0), ErrHeader, "not complete"},
		{"an array", file("[]", 0), ErrHeader, "begin"},
		{"text after the object", file("{"+a+"} x", 8), ErrHeader, "followed"},
		{"not UTF-8", file("{\"\xff\":1}", 0), ErrUTF8, "header"},
		{"tensor is a number", file(`{"a":7}`, 0), ErrHeader, "7 stands"},
		{"two of a name", file("{"+a+","+a+"}", 8), ErrDuplicate, `"a"`},
		{"two of a metadata name", file(`{"__metadata__":{"k":"1","k":"2"}}`, 0), ErrDuplicate, `"k"`},
		{"two of a name, one escaped", file("{"+a+","+strings.Replace(a, `"a"`, `"\u0061"`, 1)+"}", 8),
			ErrDuplicate, `"a"`},
		{"metadata not of strings", file(`{"__metadata__":{"k":1}}`, 0), ErrHeader, `"k"`},
		{"unknown type", file(`{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}`, 8), ErrDType,
			"F31"},
		{"type is a number", file(`{"a":{"dtype":5,"shape":[2],"data_offsets":[0,8]}}`, 8), ErrHeader,
			"dtype"},
		{"no shape", file(`{"a":{"dtype":"F32","data_offsets":[0,8]}}`, 8), ErrHeader,
			"shape is missing"},
		{"shape twice", file(`{"a":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}}`, 8),
			ErrHeader, "twice"},
		{"unknown field", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"stride":[1]}}`, 8),
			ErrHeader, "stride"},
		{"negative dimension", file(`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, 8),
			ErrShape, "-2"},
		{"fractional dimension", file(`{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}`, 8),
			ErrShape, "2.0"},
		{"dimension over 64 bits",
			file(`{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}`, 8), ErrShape,
			"999"},
		{"shape overflows",
			file(`{"a":{"dtype":"F32","shape":[4611686018427387906,1],"data_offsets":[0,8]}}`, 8), ErrShape,
			"64 bits"},
		{"shape and size disagree", file(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8),
			ErrSize, "12 bytes"},
		{"three offsets", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4,8]}}`, 8), ErrHeader,
			"3 numbers"},
		{"negative offset", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}`, 8),
			ErrOffsets, "-8"},
		{"offsets reversed", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, 8),
			ErrOffsets, "8 to 0"},
		{"data cut", file("{"+a+"}", 7), ErrOffsets, "0 to 8 of 7"},
		{"overlap", file("{"+a+`,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12), ErrOverlap,
			`"b"`},
		{"gap", file("{"+a+`,"b":{"dtype":"U8","shape":[1],"data_offsets":[9,10]}}`, 10), ErrGap,
			"8 to 9"},
		{"gap at the start", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), ErrGap,
			"0 to 1"},
		{"trailing bytes", file("{"+a+"}", 9), ErrTrailing, "1 of them"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := Decode(test.data)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("Decode = %v, %v; want %q and %q", f, err, test.want, test.text)
			}
			path := filepath.Join(t.TempDir(), "bad.safetensors")
			if err := os.WriteFile(path, test.data, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(path); !errors.Is(err, test.want) || !strings.HasPrefix(err.Error(), path) {
				t.Errorf("Read: %v; want %q and the file's name", err, test.want)
			}
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	ok := NewUint8("a", []int{1}, []uint8{1})
	for _, test := range []struct {
		name string
		file File
		want error
	}{
		{"two of a name", File{Tensors: []Tensor{ok, ok}}, ErrDuplicate},
		{"the metadata's name",
			File{Tensors: []Tensor{{Name: "__metadata__", DType: U8, Shape: []int{0}}}}, ErrName},
		{"name not UTF-8", File{Tensors: []Tensor{{Name: "\xff", DType: U8, Shape: []int{0}}}}, ErrUTF8},
		{"metadata not UTF-8", File{Metadata: map[string]string{"a": "\xff"}}, ErrUTF8},
		{"unknown type", File{Tensors: []Tensor{{Name: "a", DType: "F\"31"}}}, ErrDType},
		{"negative dimension", File{Tensors: []Tensor{{Name: "a", DType: U8, Shape: []int{-1}}}},
			ErrShape},
		{"shape overflows",
			File{Tensors: []Tensor{{Name: "a", DType: F64, Shape: []int{math.MaxInt, 2}}}}, ErrShape},
		{"too little data",
			File{Tensors: []Tensor{{Name: "a", DType: F32, Shape: []int{2}, Data: make([]byte, 4)}}},
			ErrSize},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "checkpoint")
			if err := os.WriteFile(path, []byte("previous"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := Write(path, &test.file); !errors.Is(err, test.want) {
				t.Errorf("Write: %v, want %q", err, test.want)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != "previous" {
				t.Errorf("the previous file holds %q (%v)", got, err)
			}
		})
	}
}

func TestReadRefusesWhatIsNotAFile(t *testing.T) {
	for _, path := range []string{t.TempDir(), os.DevNull} {
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("Read(%s): %v", path, err)
		}
	}
	if _, err := Read("testdata/missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Read of a missing file: %v", err)
	}
}

// FuzzDecode: what Decode accepts must encode to what decodes to the same.
func FuzzDecode(f *testing.F) {
	goldenBytes, err := os.ReadFile("testdata/golden.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(goldenBytes)
	f.Add(file(`{"a":{"dtype":"F16","shape":[2,0],"data_offsets":[0,0]}}  `, 0))
	f.Add(file(`{"__metadata__":{"k":"v"},"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}`, 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := Decode(data)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%T is not an *Error: %v", err, err)
			}
			return
		}
		var b bytes.Buffer
		if err := first.Encode(&b); err != nil {
			t.Fatalf("decoded but not encoded: %v", err)
		}
		second, err := Decode(b.Bytes())
		if err != nil {
			t.Fatalf("encoded but not decoded: %v", err)
		}
		if !maps.Equal(first.Metadata, second.Metadata) ||
			!slices.EqualFunc(first.Tensors, second.Tensors, equal) {
			t.Fatalf("%v became %v", first, second)
		}
		for _, tensor := range first.Tensors {
			if values, err := tensor.Float32s(); err == nil &&
				len(values)*tensor.DType.Size() != len(tensor.Data) {
				t.Fatalf("%d values from %d bytes", len(values), len(tensor.Data))
			}
		}
	})
}

func equal(a, b Tensor) bool {
	return a.Name == b.Name && a.DType == b.DType && slices.Equal(a.Shape, b.Shape) &&
		bytes.Equal(a.Data, b.Data)
}
