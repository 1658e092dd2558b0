package dataset

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const goldenArrays = "testdata/arrays"

// npy writes an array with that header.
func npy(header string, data ...byte) []byte {
	file := append([]byte(npyMagic), 1, 0)
	file = binary.LittleEndian.AppendUint16(file, uint16(len(header)))
	return append(append(file, header...), data...)
}

// npyBytes writes an array of uint8.
func npyBytes(shape string, data ...byte) []byte {
	return npy("{'descr': '|u1', 'fortran_order': False, 'shape': "+shape+", }\n", data...)
}

// npz writes an archive, compressed.
func npz(t testing.TB, members ...any) []byte {
	t.Helper()
	var file bytes.Buffer
	z := zip.NewWriter(&file)
	for i := 0; i < len(members); i += 2 {
		w, err := z.Create(members[i].(string))
		if err == nil {
			_, err = w.Write(members[i+1].([]byte))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// The same images in every type, as NumPy writes them, are the same bytes.
func TestArraysOfEachType(t *testing.T) {
	f, err := os.Open(filepath.Join(goldenArrays, "types.npz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	place, err := npzPlace("types.npz", f)
	if err != nil {
		t.Fatal(err)
	}
	if len(place.names) != 20 {
		t.Fatalf("%d arrays, want 20", len(place.names))
	}
	for _, name := range place.names {
		read, err := place.readArray(name, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		pixels, lies, err := read.images()
		if err != nil || len(pixels) != 512 || lies.height != 16 {
			t.Errorf("%s: %d pixels, %v", name, len(pixels), err)
			continue
		}
		for i := range 256 {
			if int(pixels[i]) != i || int(pixels[256+i]) != 255-i {
				t.Errorf("%s: pixel %d is %d and %d", name, i, pixels[i], pixels[256+i])
				break
			}
		}
	}
}

func TestVersionsOfTheHeader(t *testing.T) {
	want := make([]byte, 24)
	for i := range want {
		want[i] = byte(i)
	}
	for _, name := range []string{"version1.npy", "version2.npy", "version3.npy"} {
		data, err := os.ReadFile(filepath.Join(goldenArrays, name))
		if err != nil {
			t.Fatal(err)
		}
		read, err := readNPY(bytes.NewReader(data), DefaultLimit)
		if err != nil || !bytes.Equal(read.data, want) || !slices.Equal(read.shape, []int{2, 3, 4}) {
			t.Errorf("%s: %v, %v", name, read, err)
		}
	}
}

// What NumPy writes and is no array of numbers is refused by its name.
func TestArraysThatAreNoNumbers(t *testing.T) {
	for name, test := range map[string]struct {
		want error
		says string
	}{
		"object.npy":  {ErrElementType, "pickles"},
		"text.npy":    {ErrElementType, "texts (<U3)"},
		"bytes.npy":   {ErrElementType, "texts (|S3)"},
		"bool.npy":    {ErrElementType, "booleans"},
		"complex.npy": {ErrElementType, `"<c8"`},
		"time.npy":    {ErrElementType, `"<M8[s]"`},
		"fields.npy":  {ErrNumPy, "several fields"},
		"fortran.npy": {ErrNumPy, "np.ascontiguousarray"},
	} {
		refused(t, filepath.Join(goldenArrays, name), Options{}, test.want, test.says)
	}
}

func TestDamagedArrays(t *testing.T) {
	const good = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }"
	for name, test := range map[string]struct {
		data []byte
		want error
		says string
	}{
		"empty":          {nil, ErrTruncated, "first 8 bytes"},
		"PNG":            {[]byte("\x89PNG\r\n\x1a\n"), ErrNumPy, "a PNG picture"},
		"something":      {[]byte("anything else"), ErrNumPy, "61 6e"},
		"magic cut":      {[]byte("\x93NUM"), ErrTruncated, "first 8 bytes"},
		"version 9":      {[]byte("\x93NUMPY\x09\x00"), ErrNumPy, "version 9"},
		"length cut":     {[]byte("\x93NUMPY\x01\x00\x10"), ErrTruncated, "length of the header"},
		"header cut":     {npy(good)[:30], ErrTruncated, "header"},
		"endless header": {[]byte("\x93NUMPY\x02\x00\xff\xff\xff\xff"), ErrTooLarge, "header"},
		"no header":      {npy(""), ErrNumPy, "'{'"},
		"half a header":  {npy("{"), ErrNumPy, "quotes"},
		"no dictionary":  {npy("('descr', )"), ErrNumPy, "'{'"},
		"no shape": {npy("{'descr': '|u1', 'fortran_order': False}"), ErrNumPy,
			`"shape" is missing`},
		"twice":          {npy("{'descr': '|u1', 'descr': '|u1'}"), ErrNumPy, "twice"},
		"more":           {npy("{'descr': '|u1', 'more': 1}"), ErrNumPy, "unknown entry"},
		"behind it":      {npy(good + "x"), ErrNumPy, "nothing more"},
		"negative":       {npyBytes("(-5,)"), ErrNumPy, "whole number"},
		"a fraction":     {npyBytes("(2.5,)"), ErrNumPy, "comma"},
		"no number":      {npyBytes("(,)"), ErrNumPy, "whole number"},
		"beyond 64 bits": {npyBytes("(99999999999999999999,)"), ErrNumPy, "63 bits"},
		"no order": {npy("{'descr': '|u1', 'fortran_order': 0, 'shape': (2,)}"), ErrNumPy,
			"True or False"},
		"no type": {npy("{'descr': '', 'fortran_order': False, 'shape': (2,)}", 0, 0), ErrNumPy,
			"type is empty"},
		"an order alone": {npy("{'descr': '<', 'fortran_order': False, 'shape': (2,)}", 0, 0),
			ErrElementType, `"<"`},
		"three bytes": {npy("{'descr': '<i3', 'fortran_order': False, 'shape': (2,)}", 0, 0),
			ErrElementType, `"<i3"`},
		"open text":        {npy("{'descr': '<i3}"), ErrNumPy, "closing quote"},
		"data cut":         {npyBytes("(2,)", 1), ErrTruncated, "1 of 2"},
		"trailing":         {npyBytes("(2,)", 1, 2, 3), ErrTrailing, "2 bytes"},
		"2 GB declared":    {npyBytes("(2000000000,)", 1), ErrTooLarge, "2000000000"},
		"product":          {npyBytes("(4294967296, 4294967296)"), ErrTooLarge, "4294967296"},
		"0 of many":        {npyBytes("(0, 99999999999)"), ErrTooLarge, "99999999999"},
		"1 GB, none there": {npyBytes("(1000000000,)"), ErrTruncated, "0 of 1000000000"},
		"many dimensions":  {npyBytes("(" + strings.Repeat("1,", 65) + ")"), ErrNumPy, "64 dimensions"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			read, err := readNPY(bytes.NewReader(test.data), DefaultLimit)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, %v; want %q and %q", read, err, test.want, test.says)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 {
				t.Errorf("%d bytes of memory for %d of input", took, len(test.data))
			}
		})
	}
	// Python 2 wrote so.
	if read, err := readNPY(
		bytes.NewReader(npy("{'shape': (2L, 1L), 'fortran_order': True, \"descr\": \"|u1\"}", 7, 8)),
		DefaultLimit); !errors.Is(err, ErrNumPy) {
		t.Errorf("%v, %v", read, err)
	}
	if read, err := readNPY(
		bytes.NewReader(npy("{'shape': (2L,), 'fortran_order': True, \"descr\": \"|u1\"}", 7,
			8)), DefaultLimit); err != nil || len(read.data) != 2 {
		t.Errorf("%v, %v", read, err)
	}
}

func FuzzReadNPY(f *testing.F) {
	f.Add(npyBytes("(2, 1)", 1, 2))
	f.Add(npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", 0, 0, 0, 0))
	f.Add(npy("{'descr': [('a', '<f4')], 'fortran_order': True, 'shape': ()}"))
	f.Add([]byte("\x93NUMPY\x03\x00\x02\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		read, err := readNPY(bytes.NewReader(data), 1<<16)
		if err != nil {
			return
		}
		count := 1
		for _, dim := range read.shape {
			count *= dim
		}
		if count*read.size != len(read.data) || len(read.data) > 1<<16 {
			t.Fatalf("%d bytes of shape %v", len(read.data), read.shape)
		}
		if pixels, lies, err := read.images(); err == nil && len(pixels) != len(read.data)/read.size {
			t.Fatalf("%d pixels, %v", len(pixels), lies)
		}
		if labels, err := read.labels(); err == nil && len(labels) != count {
			t.Fatalf("%d labels of shape %v", len(labels), read.shape)
		}
	})
}

// Types are called as NumPy calls them.
func TestNamesOfTypes(t *testing.T) {
	for _, test := range []struct {
		kind byte
		size int
		want string // empty if there is none
	}{
		{'u', 1, "uint8"}, {'u', 2, "uint16"}, {'u', 4, "uint32"}, {'u', 8, "uint64"},
		{'i', 1, "int8"}, {'i', 2, "int16"}, {'i', 4, "int32"}, {'i', 8, "int64"},
		{'f', 2, "float16"}, {'f', 4, "float32"}, {'f', 8, "float64"},
		{'u', 3, ""}, {'i', 16, ""}, {'f', 1, ""}, {'c', 8, ""},
	} {
		of, ok := elementOf(test.kind, test.size, binary.LittleEndian)
		if ok != (test.want != "") || ok && (of.name != test.want || of.size != test.size) {
			t.Errorf("%c of %d bytes is %q of %d, want %q", test.kind, test.size, of.name, of.size,
				test.want)
		}
	}
}
