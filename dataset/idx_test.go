package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func encodeIDX(t testing.TB, x *IDX) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteIDX(&b, x); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func packIDX(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func isInteger(of ElementType) bool { return of != Float32 && of != Float64 }

func TestIDXOfEachTypeAndRank(t *testing.T) {
	for _, test := range []struct {
		x    IDX
		want []float64
	}{
		{IDX{Uint8, []int{3}, []byte{0, 128, 255}}, []float64{0, 128, 255}},
		{IDX{Int8, []int{1, 2}, []byte{0x80, 0x7f}}, []float64{-128, 127}},
		{IDX{Int16, []int{2, 1, 1}, []byte{0x80, 0x00, 0x12, 0x34}}, []float64{-32768, 0x1234}},
		{IDX{Int32, []int{1, 1, 1, 1}, []byte{0x80, 0, 0, 1}}, []float64{math.MinInt32 + 1}},
		{IDX{Float32, []int{1}, []byte{0x3f, 0xc0, 0, 0}}, []float64{1.5}},
		{IDX{Float64, []int{1}, []byte{0xc0, 0x04, 0, 0, 0, 0, 0, 0}}, []float64{-2.5}},
		{IDX{Float64, []int{3, 0}, nil}, nil},
	} {
		t.Run(test.x.Type.String(), func(t *testing.T) {
			plain := encodeIDX(t, &test.x)
			for _, data := range [][]byte{plain, packIDX(t, plain)} {
				got, err := ReadIDX(bytes.NewReader(data), 0)
				if err != nil {
					t.Fatal(err)
				}
				if got.Type != test.x.Type || !slices.Equal(got.Shape, test.x.Shape) ||
					!bytes.Equal(got.Data, test.x.Data) {
					t.Errorf("read %v, want %v", got, test.x)
				}
				if labels, err := got.Labels(); (err == nil) != isInteger(got.Type) ||
					err == nil && !slices.EqualFunc(labels, test.want, func(a int32, b float64) bool {
						return float64(a) == b
					}) {
					t.Errorf("labels %v (%v), want %v", labels, err, test.want)
				}
				values, err := got.Float64s()
				if err != nil || !slices.Equal(values, test.want) {
					t.Errorf("values %v (%v), want %v", values, err, test.want)
				}
			}
		})
	}
}

func TestReadIDXBeyondTheFirstBuffer(t *testing.T) {
	want := make([]byte, 1<<23+1<<20+1) // 1 MiB, then 8 MiB, then the rest
	for i := range want {
		want[i] = byte(uint32(i) * 2654435761 >> 13)
	}
	got, err := ReadIDX(bytes.NewReader(encodeIDX(t, &IDX{Uint8, []int{len(want)}, want})), 0)
	if err != nil || !bytes.Equal(got.Data, want) || cap(got.Data) != len(want) {
		t.Errorf("%d bytes differ after growth, or take %d (%v)", len(want), cap(got.Data), err)
	}
}

func TestReadIDXRefuses(t *testing.T) {
	good := encodeIDX(t, &IDX{Uint8, []int{2, 3}, []byte{1, 2, 3, 4, 5, 6}})
	packed := packIDX(t, good)
	damaged := bytes.Clone(packed)
	damaged[len(damaged)-8] ^= 1 // the checksum
	huge := func(dims ...uint32) []byte {
		b := []byte{0, 0, 0x0E, byte(len(dims))}
		for _, d := range dims {
			b = binary.BigEndian.AppendUint32(b, d)
		}
		return b
	}
	bomb := packIDX(t, append(huge(1, 1), make([]byte, 1<<20)...))
	for _, test := range []struct {
		name string
		data []byte
		want error
		text string
	}{
		{"empty", nil, ErrTruncated, "first 4 bytes"},
		{"magic cut", good[:3], ErrTruncated, "first 4 bytes"},
		{"PNG", []byte("\x89PNG\r\n\x1a\n"), ErrMagic, "it is a PNG picture"},
		{"little-endian magic", []byte{3, 8, 0, 0, 0}, ErrMagic, "03 08 00 00"},
		{"unknown element type", []byte{0, 0, 0x0A, 1, 0, 0, 0, 0}, ErrElementType, "0x0a"},
		{"no dimensions", []byte{0, 0, 8, 0}, ErrRank, "0 in the fourth byte"},
		{"dimensions cut", good[:10], ErrTruncated, "dimensions"},
		{"data cut", good[:len(good)-1], ErrTruncated, "5 of 6"},
		{"trailing byte", append(bytes.Clone(good), 0), ErrTrailing, "6 bytes"},
		{"product overflows", huge(1<<31, 1<<31, 4), ErrTooLarge, "2147483648"},
		{"over the limit", huge(1<<28, 1), ErrTooLarge, "limit"},
		{"empty but for a huge dimension", huge(0, math.MaxUint32), ErrTooLarge, "4294967295"},
		{"a gigabyte declared, nothing there", []byte{0, 0, 8, 1, 0x3f, 0, 0, 0}, ErrTruncated, "0 of"},
		{"gzip header cut", packed[:5], ErrTruncated, "gzip header"},
		{"gzip cut", packed[:len(packed)-10], ErrTruncated, "copy or download"},
		{"gzip trailer cut", packed[:len(packed)-1], ErrTruncated, "end of the data"},
		{"gzip checksum", damaged, ErrGzip, "checksum"},
		{"gzip of noise", append(packed[:10:10], 0xff, 0xff, 0xff), ErrGzip, "corrupt"},
		{"gzip followed by noise", append(bytes.Clone(packed), 'x', 'y', 'z', 0, 0, 0, 0, 0, 0, 0, 0),
			ErrGzip, "end of the data"},
		{"gzip bomb", bomb, ErrTrailing, "8 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			x, err := ReadIDX(bytes.NewReader(test.data), 0)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("ReadIDX = %v, %v; want %q and %q", x, err, test.want, test.text)
			}
			path := filepath.Join(t.TempDir(), "bad-images")
			if err := os.WriteFile(path, test.data, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadIDXFile(path, 0); !errors.Is(err, test.want) ||
				!strings.HasPrefix(err.Error(), path) {
				t.Errorf("ReadIDXFile: %v; want %q and the file's name", err, test.want)
			}
		})
	}
}

// countingReader counts what is taken from it.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func TestGzipBombIsNotUnpacked(t *testing.T) {
	// A header of 1 byte, then 1 GiB of zeros as gzip members in a row.
	bomb := append(packIDX(t, []byte{0, 0, 8, 1, 0, 0, 0, 1, 0}),
		bytes.Repeat(packIDX(t, make([]byte, 1<<20)), 1<<10)...)
	source := &countingReader{r: bytes.NewReader(bomb)}
	if _, err := ReadIDX(source, 0); !errors.Is(err, ErrTrailing) {
		t.Errorf("error %v, want %q", err, ErrTrailing)
	}
	if source.n > 1<<14 {
		t.Errorf("%d of %d packed bytes were read, want the first few", source.n, len(bomb))
	}
	if _, err := ReadIDX(
		bytes.NewReader(packIDX(t, encodeIDX(t, &IDX{Uint8, []int{9}, make([]byte, 9)}))),
		8); !errors.Is(err, ErrTooLarge) {
		t.Errorf("9 bytes under a limit of 8: %v, want %q", err, ErrTooLarge)
	}
}

func TestReadIDXFileRefusesWhatIsNotAFile(t *testing.T) {
	for _, path := range []string{t.TempDir(), os.DevNull} {
		if _, err := ReadIDXFile(path, 0); err == nil ||
			!strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("ReadIDXFile(%s): %v", path, err)
		}
	}
	if _, err := ReadIDX(bytes.NewReader(nil), -1); !errors.Is(err, ErrArgument) {
		t.Errorf("limit -1: %v, want %q", err, ErrArgument)
	}
}

func TestWriteIDXRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		x    IDX
		want error
	}{
		{"element type", IDX{ElementType(7), []int{1}, []byte{1}}, ErrElementType},
		{"rank 0", IDX{Uint8, nil, []byte{1}}, ErrRank},
		{"rank 256", IDX{Uint8, make([]int, 256), nil}, ErrRank},
		{"negative dimension", IDX{Uint8, []int{-1}, nil}, ErrSize},
		{"too little data", IDX{Int16, []int{2}, make([]byte, 3)}, ErrSize},
	} {
		var b bytes.Buffer
		if err := WriteIDX(&b, &test.x); !errors.Is(err, test.want) || b.Len() != 0 {
			t.Errorf("%s: %v and %d bytes written, want %q and none", test.name, err, b.Len(), test.want)
		}
		if _, err := test.x.Float64s(); !errors.Is(err, test.want) {
			t.Errorf("%s: Float64s: %v, want %q", test.name, err, test.want)
		}
	}
}

// FuzzReadIDX: what is read must write to what is read again.
func FuzzReadIDX(f *testing.F) {
	plain := encodeIDX(f, &IDX{Int16, []int{2, 2}, []byte{1, 2, 3, 4, 5, 6, 7, 8}})
	f.Add(plain)
	f.Add(packIDX(f, plain))
	f.Add([]byte{0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 5})
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := ReadIDX(bytes.NewReader(data), 1<<16)
		if err != nil {
			return
		}
		if len(x.Data) > 1<<16 {
			t.Fatalf("%d bytes over the limit", len(x.Data))
		}
		again, err := ReadIDX(bytes.NewReader(encodeIDX(t, x)), 1<<16)
		if err != nil || again.Type != x.Type || !slices.Equal(again.Shape, x.Shape) ||
			!bytes.Equal(again.Data, x.Data) {
			t.Fatalf("%v became %v (%v)", x, again, err)
		}
		if a, err := x.array(); err != nil {
			t.Fatal(err)
		} else if pixels, lies, err := a.images(); err == nil && len(pixels)*a.size != len(x.Data) {
			t.Fatalf("%d pixels of %v, %v", len(pixels), x.Shape, lies)
		}
		if values, err := x.Float64s(); err != nil || len(values)*x.Type.Size() != len(x.Data) {
			t.Fatalf("%d values from %d bytes (%v)", len(values), len(x.Data), err)
		}
	})
}
