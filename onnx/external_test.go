package onnx

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/onnxpb"
)

// externalTensor is one of that many floats, whose data lies in a file.
func externalTensor(name string, floats int64, entries ...string) *onnxpb.TensorProto {
	tensor := &onnxpb.TensorProto{Name: proto.String(name), Dims: []int64{floats},
		DataType:     proto.Int32(int32(onnxpb.TensorProto_FLOAT)),
		DataLocation: onnxpb.TensorProto_EXTERNAL.Enum()}
	for i := 0; i < len(entries); i += 2 {
		tensor.ExternalData = append(tensor.ExternalData, &onnxpb.StringStringEntryProto{
			Key: proto.String(entries[i]), Value: proto.String(entries[i+1])})
	}
	return tensor
}

// The file and all that lies outside of it may take 2 GiB together.
func TestExternalDataFitsTogether(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "w"), make([]byte, 8), 0o644); err != nil {
		t.Fatal(err)
	}
	for left, want := range map[int64]string{16: "",
		15: `tensor "b": external data: 8 bytes more would make the model larger`} {
		m := &Model{path: filepath.Join(folder, "m.onnx"), fileBytes: maxBytes - left,
			Proto: &onnxpb.ModelProto{Graph: &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{
				externalTensor("a", 2, "location", "w"), externalTensor("b", 2, "location", "w")}}}}
		err := m.loadExternal(nil)
		if want == "" && (err != nil || m.externalBytes != 16) ||
			want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("with %d bytes left: %v, %d external bytes; want %q", left, err, m.externalBytes, want)
		}
	}
}

// An external tensor's place and length at their limits, and with data of its own beside.
func TestExternalDataAtItsLimits(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "w"), make([]byte, 8), 0o644); err != nil {
		t.Fatal(err)
	}
	files, err := openExternal(folder, 8, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer files.close()
	own := func(set func(tensor *onnxpb.TensorProto)) *onnxpb.TensorProto {
		tensor := externalTensor("w", 2, "location", "w")
		set(tensor)
		return tensor
	}
	const both = "holds data of its own as well"
	for name, test := range map[string]struct {
		tensor *onnxpb.TensorProto
		want   string
	}{
		"all of it":          {externalTensor("w", 2, "location", "w"), ""},
		"its end":            {externalTensor("w", 1, "location", "w", "offset", "4"), ""},
		"nothing":            {externalTensor("w", 0, "location", "w", "length", "0"), ""},
		"nothing at the end": {externalTensor("w", 0, "location", "w", "offset", "8"), ""},
		"beyond the end": {externalTensor("w", 0, "location", "w", "offset", "9"),
			"8 bytes long, but 0 bytes from byte 9"},
		"length 0": {externalTensor("w", 2, "location", "w", "length", "0"),
			"length is 0, but"},
		"a rest that is more": {externalTensor("w", 1, "location", "w", "offset", "2"),
			"has 6 bytes, not the 4"},
		"raw data of its own": {own(func(w *onnxpb.TensorProto) { w.RawData = make([]byte, 8) }), both},
		"floats of its own": {own(func(w *onnxpb.TensorProto) { w.FloatData = make([]float32, 2) }),
			both},
		"int32 of its own": {own(func(w *onnxpb.TensorProto) { w.Int32Data = make([]int32, 2) }),
			both},
		"int64 of its own": {own(func(w *onnxpb.TensorProto) { w.Int64Data = make([]int64, 2) }),
			both},
		"doubles of its own": {own(func(w *onnxpb.TensorProto) { w.DoubleData = make([]float64, 2) }),
			both},
		"unsigned of its own": {own(func(w *onnxpb.TensorProto) { w.Uint64Data = make([]uint64, 2) }),
			both},
		"texts of its own": {own(func(w *onnxpb.TensorProto) { w.StringData = make([][]byte, 2) }),
			both},
		"two kinds of its own": {own(func(w *onnxpb.TensorProto) {
			w.RawData, w.FloatData = make([]byte, 8), make([]float32, 8)
		}), both},
	} {
		data, err := readExternal(files, test.tensor, 8)
		if test.want == "" && (err != nil || int64(len(data)) != 4*test.tensor.Dims[0]) ||
			test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %d bytes, %v; want %q", name, len(data), err, test.want)
		}
	}
}

// The files of a model are those that its tensors name, each once, and none outside its folder.
func TestExternalFiles(t *testing.T) {
	model := &onnxpb.ModelProto{Graph: &onnxpb.GraphProto{}}
	for _, location := range []string{"b.bin", "a/c.bin", "b.bin", "../outside.bin", "/etc/hosts"} {
		model.Graph.Initializer = append(model.Graph.Initializer, &onnxpb.TensorProto{
			DataLocation: onnxpb.TensorProto_EXTERNAL.Enum(),
			ExternalData: []*onnxpb.StringStringEntryProto{{Key: proto.String("location"),
				Value: proto.String(location)}}})
	}
	raw, err := proto.Marshal(model)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(path, raw, 0o666); err != nil {
		t.Fatal(err)
	}
	if names, err := ExternalFiles(path); err != nil ||
		!slices.Equal(names, []string{"a/c.bin", "b.bin"}) {
		t.Errorf("%q, %v", names, err)
	}
	if _, err := ExternalFiles(filepath.Dir(path)); err == nil {
		t.Error("a folder has external files")
	}
}

// ReadVerified shows each file once, as a whole and before it is used, and what verify refuses is
// not read; what it has seen is what the model is made of, though the file changes while it looks.
func TestReadVerified(t *testing.T) {
	folder := t.TempDir()
	model, err := proto.Marshal(&onnxpb.ModelProto{Graph: &onnxpb.GraphProto{
		Initializer: []*onnxpb.TensorProto{
			externalTensor("a", 2, "location", "in/w", "length", "8"),
			externalTensor("b", 1, "location", "./in/w", "offset", "8", "length", "4"),
		}}})
	if err != nil {
		t.Fatal(err)
	}
	path, weights := filepath.Join(folder, "m.onnx"), filepath.Join(folder, "in", "w")
	if err := os.Mkdir(filepath.Dir(weights), 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(path string, content []byte) {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(path, model)
	put(weights, []byte("0123456789abc"))
	var seen []string
	read, err := ReadVerified(path, func(name string, content []byte) error {
		seen = append(seen, name+" "+string(content))
		put(weights, []byte("overwritten!!"))
		if name == "m.onnx" {
			put(path, nil)
			put(weights, []byte("0123456789abc"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"m.onnx " + string(model), "in/w 0123456789abc"}; !slices.Equal(seen, want) {
		t.Errorf("seen: %q", seen)
	}
	tensors := read.Proto.GetGraph().GetInitializer()
	if string(tensors[0].GetRawData()) != "01234567" || string(tensors[1].GetRawData()) != "89ab" {
		t.Errorf("read: %q, %q", tensors[0].GetRawData(), tensors[1].GetRawData())
	}

	put(path, model)
	for _, refused := range []string{"m.onnx", "in/w"} {
		_, err := ReadVerified(path, func(name string, _ []byte) error {
			if name == refused {
				return errors.New("not signed")
			}
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "not signed") ||
			!strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), refused) {
			t.Errorf("%s refused: %v", refused, err)
		}
	}
	// No more is held for verify than a model may have.
	files, err := openExternal(folder, 12, func(string, []byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer files.close()
	if _, err := files.open("in/w"); err == nil ||
		!strings.Contains(err.Error(), "larger than 2 GiB") {
		t.Errorf("13 bytes of 12: %v", err)
	}
}
