package onnx_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"slipway/internal/cputime"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

func encode(t testing.TB, model *onnx.Model) []byte {
	t.Helper()
	data, err := onnx.Encode(model)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// nested wraps content into a field again and again.
func nested(field protowire.Number, times int, content []byte) []byte {
	for range times {
		content = protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), content)
	}
	return content
}

func TestDecodeRefuses(t *testing.T) {
	good := encode(t, tinyModel(t))
	var zipped bytes.Buffer
	writer := gzip.NewWriter(&zipped)
	writer.Write(good)
	writer.Close()

	claim := protowire.AppendVarint(protowire.AppendTag(nil, 7, protowire.BytesType), 2<<30) // graph of 2 GiB
	// graph.node[0].attribute[0].g.node[0]…, a thousand deep
	var deep []byte
	for range 1000 {
		deep = nested(6, 1, deep) // AttributeProto.g
		deep = nested(5, 1, deep) // NodeProto.attribute
		deep = nested(1, 1, deep) // GraphProto.node
	}
	for _, test := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "is empty"},
		{"text", []byte("hello, world"), "no ONNX model"},
		{"HTML", []byte("<!DOCTYPE html>"), "HTML"},
		{"JSON", []byte(`{"ir_version": 7}`), "JSON"},
		{"gzip", zipped.Bytes(), "decompress it"},
		{"zip", []byte("PK\x03\x04rest"), "zip archive"},
		{"Git LFS pointer", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
			"git lfs pull"},
		{"zeros", make([]byte, 64), "no ONNX model"},
		{"half", good[:len(good)/2], "truncated"},
		{"one byte less", good[:len(good)-1], "truncated"},
		{"truncated varint", append(bytes.Clone(good), 0x28, 0x80), "truncated"},
		{"trailing garbage", append(bytes.Clone(good), "garbage"...), "damaged"},
		{"trailing zeros", append(bytes.Clone(good), 0, 0, 0), "damaged"},
		{"two models", append(bytes.Clone(good), good...), "two files are joined"},
		{"no graph", []byte{0x08, 7}, "holds no graph"},
		{"2 GB in a few bytes", claim, "claims 2147483648 bytes, but only 0 are left"},
		{"deep nesting", nested(7, 1, deep), "nested deeper than 100"},
		{"wrong wire type", []byte{0x38, 1}, "wire type"},
		{"group", []byte{0x3b, 0x3c}, "wire type"},
		{"unknown field", append(bytes.Clone(good), 0xf8, 0x7, 1), "field 127 does not exist"},
		{"two kinds of dimension",
			nested(7, 1,
				nested(11, 1,
					nested(2, 1, nested(1, 1, nested(2, 1, nested(1, 1, []byte{0x08, 1, 0x12, 1, 'N'})))))),
			"only one may be"},
		{"nodes of two bytes", nested(7, 1, bytes.Repeat([]byte{0x0a, 0}, 1<<21)), "more memory"},
		{"packed floats cut", nested(7, 1, nested(5, 1, []byte{0x22, 3, 0, 0, 0})), "4-byte values"},
	} {
		t.Run(test.name, func(t *testing.T) {
			start := cputime.Used()
			_, err := onnx.Decode(test.data)
			if err == nil {
				t.Fatal("it is decoded")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q, want one with %q", err, test.want)
			}
			if elapsed := cputime.Used() - start; elapsed > 5*time.Second {
				t.Errorf("took %v", elapsed)
			}
		})
	}
}

// Every byte cut off and every bit flipped gives an error or a model, nothing else.
func TestDecodeOfDamagedFiles(t *testing.T) {
	good := encode(t, tinyModel(t))
	for length := range good {
		if _, err := onnx.Decode(good[:length]); err == nil {
			model, _ := onnx.Decode(good[:length])
			if model.Check() == nil && length < len(good)/2 {
				t.Errorf("the first %d of %d bytes pass", length, len(good))
			}
		}
	}
	for bit := range 8 * len(good) {
		damaged := bytes.Clone(good)
		damaged[bit/8] ^= 1 << (bit % 8)
		if model, err := onnx.Decode(damaged); err == nil {
			_ = model.Check()
			_ = onnx.Inspect(model).String()
		}
	}
}

func TestHostileFilesTakeLittleMemory(t *testing.T) {
	data := nested(7, 1, bytes.Repeat([]byte{0x0a, 0}, 1<<21))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := onnx.Decode(data); err == nil {
		t.Fatal("it is decoded")
	}
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
		t.Errorf("refusing a file of %d bytes allocated %d", len(data), allocated)
	}
}

// withExternal writes a model whose first initializer (72 bytes) lies outside.
func withExternal(t *testing.T, folder string, entries ...string) string {
	t.Helper()
	model := tinyModel(t)
	tensor := model.Proto.Graph.Initializer[0]
	tensor.RawData = nil
	tensor.DataLocation = onnxpb.TensorProto_EXTERNAL.Enum()
	for i := 0; i < len(entries); i += 2 {
		tensor.ExternalData = append(tensor.ExternalData,
			&onnxpb.StringStringEntryProto{Key: proto.String(entries[i]), Value: proto.String(entries[i+1])})
	}
	path := filepath.Join(folder, "model.onnx")
	if err := model.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExternalData(t *testing.T) {
	folder := t.TempDir()
	want := tinyModel(t).Proto.Graph.Initializer[0].RawData
	if err := os.MkdirAll(filepath.Join(folder, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "sub", "weights.bin"),
		append(make([]byte, 16), want...), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, entries := range [][]string{
		{"location", "sub/weights.bin", "offset", "16", "length", "72"},
		{"location", "sub/weights.bin", "offset", "16"},
		{"location", "./sub/weights.bin", "length", "72", "offset", "16", "checksum", "abc"},
	} {
		model, err := onnx.Read(withExternal(t, folder, entries...))
		if err != nil {
			t.Fatal(err)
		}
		if err := model.Check(); err != nil {
			t.Fatal(err)
		}
		if tensor, _ := model.Initializer("conv1.weight"); !bytes.Equal(tensor.GetRawData(), want) {
			t.Error("other data was loaded")
		}
		if report := onnx.Inspect(model); report.ExternalBytes != 72 {
			t.Errorf("%d external bytes, want 72", report.ExternalBytes)
		}
		if !bytes.Equal(encode(t, model), encode(t, tinyModel(t))) {
			t.Error("the model with its data inside differs from the one that always had it")
		}
	}
}

func TestExternalDataRefuses(t *testing.T) {
	outside := t.TempDir()
	folder := filepath.Join(outside, "model")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(outside, "secret")
	for path, size := range map[string]int{secret: 72, filepath.Join(folder, "short"): 71,
		filepath.Join(folder, "long"): 73} {
		if err := os.WriteFile(path, make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"link": secret, "relative": "../secret", "up": ".."} {
		if err := os.Symlink(target, filepath.Join(folder, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(folder, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		entries []string
		want    string
	}{
		{"absolute", []string{"location", secret}, "leads out of the model's folder"},
		{"going up", []string{"location", "../secret"}, "leads out of the model's folder"},
		{"up and down", []string{"location", "sub/../short"}, "contains .."},
		{"of Windows, absolute", []string{"location", `C:\secret`}, "is absolute"},
		{"of Windows, going up", []string{"location", `sub\..\..\secret`}, "contains .."},
		{"NUL", []string{"location", "short\x00"}, "leads out"},
		{"link out", []string{"location", "link"}, "within the model's folder"},
		{"relative link out", []string{"location", "relative"}, "within the model's folder"},
		{"through a linked folder", []string{"location", "up/secret"}, "within the model's folder"},
		{"FIFO", []string{"location", "fifo"}, "is a FIFO, not a file"},
		{"folder", []string{"location", "."}, "is a folder, not a file"},
		{"missing", []string{"location", "nowhere"}, "is missing in the model's folder"},
		{"no location", []string{"offset", "0"}, "no location"},
		{"location twice", []string{"location", "long", "location", "short"}, "given twice"},
		{"short", []string{"location", "short", "length", "72"},
			"is 71 bytes long, but 72 bytes from byte 0"},
		{"beyond the end", []string{"location", "long", "offset", "2", "length", "72"},
			"72 bytes from byte 2"},
		{"offset overflows", []string{"location", "long", "offset", "9223372036854775807"},
			"from byte 9223372036854775807"},
		{"negative offset", []string{"location", "long", "offset", "-1"}, `offset is "-1"`},
		{"offset no number", []string{"location", "long", "offset", "1e1"}, `offset is "1e1"`},
		{"length not the shape's", []string{"location", "long", "length", "73"},
			"length is 73, but the tensor's shape [2 1 3 3] needs 72"},
		{"rest of file not the shape's", []string{"location", "long"}, "has 73 bytes, not the 72"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := withExternal(t, folder, test.entries...)
			_, err := onnx.Read(path)
			if err == nil {
				t.Fatal("it is read")
			}
			for _, part := range []string{path, `tensor "conv1.weight"`, test.want} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q, want one with %q", err, part)
				}
			}
		})
	}
}

func TestReadRefusesWhatIsNoFile(t *testing.T) {
	folder := t.TempDir()
	fifo := filepath.Join(folder, "fifo")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		fifo: "is a FIFO", folder: "is a folder", filepath.Join(folder, "none"): "no such file",
		os.DevNull: "is a device",
	} {
		if _, err := onnx.Read(path); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one with %q", path, err, want)
		}
	}
}

func TestTestData(t *testing.T) {
	folder := t.TempDir()
	input, err := onnx.FloatTensor("image", []int64{2, 3}, []float32{1, 2, 3, 4, 5, 6})
	if err != nil {
		t.Fatal(err)
	}
	output, err := onnx.FloatTensor("logits", []int64{2}, []float32{-1, 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := onnx.WriteTestData(folder, []*onnxpb.TensorProto{input},
		[]*onnxpb.TensorProto{output}); err != nil {
		t.Fatal(err)
	}
	inputs, outputs, err := onnx.ReadTestData(folder)
	if err != nil || len(inputs) != 1 || len(outputs) != 1 || !proto.Equal(inputs[0], input) ||
		!proto.Equal(outputs[0], output) {
		t.Errorf("read back %v, %v, %v", inputs, outputs, err)
	}
	if err := os.WriteFile(filepath.Join(folder, "test_data_set_0", "input_0.pb"), []byte{8, 2, 16},
		0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := onnx.ReadTestData(folder); err == nil ||
		!strings.Contains(err.Error(), "input_0.pb") {
		t.Errorf("a truncated tensor gives %v", err)
	}
	if _, _, err := onnx.ReadTestData(t.TempDir()); err == nil {
		t.Error("no test data gives no error")
	}
}
