package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// archiveOf packs records into a ZIP archive as torch.save does.
func archiveOf(t testing.TB, pickle string, records map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	add := func(name, content string) {
		record, err := w.CreateHeader(&zip.FileHeader{Name: "a/" + name, Method: zip.Store})
		if err == nil {
			_, err = record.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("data.pkl", pickle)
	for name, content := range records {
		add(name, content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// text is the instruction that puts a text on the stack.
func text(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

// number8 is the instruction that puts a number of 64 bits on the stack.
func number8(n uint64) string {
	return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, n))
}

// storageOf is a reference to a storage of float32.
func storageOf(key string, elements uint64) string {
	return "(" + text("storage") + "ctorch\nFloatStorage\n" + text(key) + text("cpu") +
		number8(elements) + "tQ"
}

// numbers is a tuple.
func numbers(ns ...uint64) string {
	out := "("
	for _, n := range ns {
		out += number8(n)
	}
	return out + "t"
}

// tensorOf is a tensor of the storage.
func tensorOf(storage string, offset uint64, shape, strides string) string {
	return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number8(offset) + shape + strides +
		"\x89ccollections\nOrderedDict\n)RtR"
}

// dictOf is a whole pickle: a dict with one entry.
func dictOf(value string) string { return "\x80\x02}" + text("w") + value + "s." }

const four = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// A file that claims what it does not have, or is made to take memory or time, is refused by
// name. None of it takes more than a few times the file's own size.
func TestRefusesHostileFiles(t *testing.T) {
	one := map[string]string{"data/0": four}
	repeated := strings.Repeat
	for _, test := range []struct {
		name string
		data []byte
		err  error
		says string
	}{
		{"storage of 2^40 elements", archiveOf(t, dictOf(tensorOf(storageOf("0", 1<<40), 0,
			numbers(1<<40), numbers(1))), one), ErrClaim,
			"1099511627776 elements of F32, and the file has 16 bytes"},
		{"storage of 2^62 elements", archiveOf(t, dictOf(tensorOf(storageOf("0", 1<<62), 0,
			numbers(1), numbers(1))), one), ErrClaim, "4611686018427387904"},
		{"tensor of 2^40 elements", archiveOf(t, dictOf(tensorOf(storageOf("0", 4), 0,
			numbers(1<<40), numbers(1))), one), ErrClaim, "ends behind them"},
		{"tensor of 2^40 equal elements", archiveOf(t, dictOf(tensorOf(storageOf("0", 4), 0,
			numbers(1<<40), numbers(0))), one), ErrClaim, "repeats them"},
		{"shape that overflows", archiveOf(t, dictOf(tensorOf(storageOf("0", 4), 0, numbers(1<<32,
			1<<32, 4), numbers(0, 0, 0))), one), ErrClaim, "more than 63 bits"},
		{"stride that overflows", archiveOf(t, dictOf(tensorOf(storageOf("0", 4), 0, numbers(3),
			numbers(1<<62))), one), ErrClaim, "more than 63 bits"},
		{"offset behind the storage", archiveOf(t, dictOf(tensorOf(storageOf("0", 4), 5, numbers(0),
			numbers(1))), one), ErrClaim, "begins behind"},
		{"negative offset", archiveOf(t, dictOf(tensorOf(storageOf("0", 4), 1<<63, numbers(1),
			numbers(1))), one), ErrDamaged, "the offset"},
		{"negative dimension", archiveOf(t, dictOf(tensorOf(storageOf("0", 4), 0, numbers(1<<63),
			numbers(1))), one), ErrDamaged, "the shape"},
		{"strides missing", archiveOf(t, dictOf(tensorOf(storageOf("0", 4), 0, numbers(2, 2),
			numbers(1))), one), ErrDamaged, "2 dimensions with 1 strides"},
		{"9 dimensions", archiveOf(t, dictOf(tensorOf(storageOf("0", 4), 0, numbers(1, 1, 1, 1, 1,
			1, 1, 1, 1), numbers(1, 1, 1, 1, 1, 1, 1, 1, 1))), one), ErrDamaged, "at most 8"},
		{"storage in two sizes", archiveOf(t, "\x80\x02("+storageOf("0", 4)+storageOf("0", 3)+"t.",
			one), ErrDamaged, `storage "0" is of 3 F32, and of 4 F32`},
		{"storage that is missing", archiveOf(t, dictOf(storageOf("../1", 4)), one), ErrDamaged,
			"data/../1 is missing"},
		{"reference to a module", archiveOf(t, dictOf("("+text("module")+text("m")+"tQ"), one),
			ErrUnsupported, `"module"`},
		{"big-endian", archiveOf(t, dictOf("N"), map[string]string{"byteorder": "big"}),
			ErrUnsupported, `byte order "big"`},
		{"two pickles", archiveOf(t, dictOf("N"), map[string]string{"data.pkl": dictOf("N")}),
			ErrDamaged, "two pickles"},
		{"no pickle", bytes.ReplaceAll(archiveOf(t, dictOf("N"), one), []byte("data.pkl"),
			[]byte("data.txt")), ErrFormat, "without a record data.pkl"},
		{"nested 1,000 deep", archiveOf(t, dictOf(repeated("(", 1000)+"N"+repeated("t", 1000)),
			nil), ErrLimit, "deep in each other"},
		{"nested a million deep", archiveOf(t, dictOf(repeated("]", 1<<21)+repeated("a", 1<<21)),
			nil), ErrLimit, "1048576 values"},
		{"tensor of another type than its storage", archiveOf(t, dictOf("ctorch._utils\n"+
			"_rebuild_tensor_v3\n("+storageOf("0", 4)+number8(0)+numbers(4)+numbers(1)+
			"\x89Nctorch\nfloat64\ntR"), one), ErrDamaged,
			"a tensor of a storage with elements of torch.float64"},
		{"names of 32 MB", archiveOf(t, dictOf("}"+text(repeated("x", 2<<20))+"q\x00"+
			repeated("}h\x00", 15)+tensorOf(storageOf("0", 4), 0, numbers(4), numbers(1))+
			repeated("s", 16)), one), ErrLimit, "names take more"},
		{"list in itself", archiveOf(t, dictOf("]q\x00h\x00a"), nil), ErrLimit, "or in themselves"},
		{"memo bomb", archiveOf(t, dictOf(memoBomb(30)), nil), ErrLimit, "used again"},
		{"memo bomb of dicts", archiveOf(t, dictOf("}q\x00("+repeated(text("k")+"h\x00"+text("l")+
			"h\x00u(", 3)+"1"), nil), ErrLimit, "in themselves"},
		{"copies of a dict", archiveOf(t, dictOf(copiesBomb()), nil), ErrLimit, "values"},
		{"long name", archiveOf(t, dictOf("c"+repeated("x", 1<<20)+"\nsystem\n"), nil), ErrDamaged,
			"does not end within"},
		{"text of 4 GB", archiveOf(t, "\x80\x02X\xff\xff\xff\xff.", nil), ErrTruncated,
			"4294967295 bytes more"},
		{"text of 2^63 bytes", archiveOf(t, "\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.", nil),
			ErrTruncated, "9223372036854775807"},
		{"many values", archiveOf(t, "\x80\x02"+repeated("N0", 1<<20)+"N.", nil), ErrLimit,
			"values"},
		{"long pickle", archiveOf(t, "\x80\x02}"+"\x95"+repeated("\x00", 8)+text(repeated("x",
			65<<20))+"0.", nil), ErrLimit, "longer than"},
		{"tensor as a key", archiveOf(t, "\x80\x02}"+tensorOf(storageOf("0", 4), 0, numbers(4),
			numbers(1))+"Ns.", one), ErrUnsupported, "a key that is a tensor"},
		{"call of a tensor", archiveOf(t, dictOf(tensorOf(storageOf("0", 4), 0, numbers(4),
			numbers(1))+")R"), one), ErrDamaged, "a tensor is called"},
		{"call of a type", archiveOf(t, dictOf("ctorch\nTensor\n)R"), one), ErrUnsupported,
			"torch.Tensor is called"},
		{"attributes of a tensor", archiveOf(t, dictOf(tensorOf(storageOf("0", 4), 0, numbers(4),
			numbers(1))+"}b"), one), ErrUnsupported, "attributes of a tensor"},
		{"no state dict", archiveOf(t, "\x80\x02K\x01.", nil), ErrUnsupported,
			"an integer and no state dict"},
		{"empty stack", archiveOf(t, "\x80\x02.", nil), ErrDamaged, "stack is empty"},
		{"full stack", archiveOf(t, "\x80\x02NN.", nil), ErrDamaged, "1 values too many"},
		{"bytes behind the pickle", archiveOf(t, dictOf("N")+"N", nil), ErrDamaged,
			"behind the pickle"},
		{"no end", archiveOf(t, "\x80\x02}", nil), ErrTruncated, "1 bytes more"},
		{"an unknown instruction", archiveOf(t, "\x80\x02i.", nil), ErrUnsupported,
			"instruction 0x69"},
		{"protocol 0", archiveOf(t, "\x80\x00N.", nil), ErrUnsupported, "protocol 0"},
		{"unknown value of the memo", archiveOf(t, "\x80\x02h\x05.", nil), ErrDamaged,
			"value 5 is asked for"},
		{"two tensors of one name", archiveOf(t, "\x80\x02}("+text("a")+"}"+text("b")+
			tensorOf(storageOf("0", 4), 0, numbers(4), numbers(1))+"q\x01s"+text("a.b")+"h\x01u.",
			one), ErrUnsupported, "two tensors are called"},
		{"legacy version", []byte("\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02K\x07."),
			ErrUnsupported, "version 7"},
		{"legacy, big-endian", []byte("\x80\x02\x8a\x0al\xfc\x9cF\xf9 " +
			"j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}" + text("little_endian") + "\x89s."),
			ErrUnsupported, `byte order "big"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Decode(test.data)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, test.err) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v; want %v with %q", err, test.err, test.says)
			}
			const own = 1 << 20
			if took := after.TotalAlloc - before.TotalAlloc; took > 256*uint64(len(test.data))+own {
				t.Errorf("it took %d bytes for a file of %d", took, len(test.data))
			}
		})
	}
}

// memoBomb is a list of twice a list of twice a list, and so on.
func memoBomb(depth int) string {
	out := "]q\x00"
	for i := range depth {
		out += fmt.Sprintf("0]q%c(h%ch%ce", i+1, i, i)
	}
	return out
}

// copiesBomb is a dict of 100,000 entries, and as many copies of it.
func copiesBomb() string {
	var out strings.Builder
	out.WriteString("}q\x00(")
	for i := range 100_000 {
		out.WriteString("J" + string(binary.LittleEndian.AppendUint32(nil, uint32(i))) + "N")
	}
	out.WriteString("uccollections\nOrderedDict\nq\x01")
	for range 100_000 {
		out.WriteString("h\x01h\x00\x85R0")
	}
	return out.String()
}

// Views of one storage that lie otherwise in it are copied, up to the file's own size.
func TestCopiesAreBoundedByTheFile(t *testing.T) {
	const side = 100
	record := strings.Repeat(four, side*side/4)
	pickle := "\x80\x02}"
	for i := range 1000 {
		pickle += text(fmt.Sprint(i)) + tensorOf(storageOf("0", side*side), 0, numbers(side, side),
			numbers(1, side)) + "s"
	}
	_, err := Decode(archiveOf(t, pickle+".", map[string]string{"data/0": record}))
	if !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "shared storages") {
		t.Error(err)
	}
}

// A file that is cut off, or in which a byte is another one, is an error or has the
// same tensors: it never panics.
func TestDamagedFilesAreErrors(t *testing.T) {
	for _, name := range []string{"state.pt", "state-legacy.pt", "checkpoint.pt"} {
		whole, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(whole); n += 3 {
			if _, err := Decode(whole[:n]); err == nil {
				t.Errorf("%s, cut off after %d of %d bytes, is read", name, n, len(whole))
			}
		}
		read := 0
		for i := 0; i < len(whole); i += 3 {
			damaged := bytes.Clone(whole)
			damaged[i] ^= 0x15
			if _, err := Decode(damaged); err == nil {
				read++
			}
		}
		t.Logf("%s: %d of %d files with one other byte are read", name, read, len(whole)/3)
	}
}

// FuzzRead looks for files that panic, hang, or make tensors of which the data is not what the
// shape says. An archive's sums keep nearly all that fuzzing makes of one from its pickle, so that
// the input is taken for a pickle alone, too, with any small storage to it.
func FuzzRead(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.pt")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no files (%v)", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		if a, err := openArchive(data); err == nil {
			f.Add(a.records["data.pkl"])
		}
	}
	f.Add([]byte(dictOf(memoBomb(4))))
	f.Add([]byte(dictOf(tensorOf(storageOf("0", 4), 0, numbers(2, 2), numbers(1, 2)))))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Decode(data)
		checkRead(t, file, err)
		root, _, err := run(data, smallStorage)
		if err == nil {
			file, err = flatten(root, 1<<16)
		}
		checkRead(t, file, err)
	})
}

// smallStorage gives any storage up to 4096 bytes, of zeros.
func smallStorage(id any) (any, error) {
	s, err := parseStorage(id, 5)
	if err != nil {
		return nil, err
	}
	size := uint64(1)
	if !s.untyped {
		size = uint64(s.dtype.Size())
	}
	need, ok := product(s.elements, size)
	if !ok || need > 4096 {
		return nil, fault(ErrClaim, "too large for this test")
	}
	s.data = make([]byte, need)
	return s, nil
}

// checkRead holds what was read against itself, and an error against its form.
func checkRead(t *testing.T, file *File, err error) {
	t.Helper()
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || e.Err == nil {
			t.Fatalf("an error of no kind: %v", err)
		}
		return
	}
	for _, tensor := range file.Tensors {
		elements := tensor.DType.Size()
		for _, dimension := range tensor.Shape {
			elements *= dimension
		}
		if elements != len(tensor.Data) {
			t.Fatalf("tensor %q: %v of %s has %d bytes", tensor.Name, tensor.Shape, tensor.DType,
				len(tensor.Data))
		}
	}
}
