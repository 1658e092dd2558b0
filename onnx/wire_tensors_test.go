package onnx

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/onnxpb"
)

// sharedModel returns a model with a large tensor, a small one, one that is empty and one of other
// elements, and its file.
func sharedModel(t *testing.T) (*onnxpb.ModelProto, string) {
	t.Helper()
	tensor := func(name string, n int) *onnxpb.TensorProto {
		raw := make([]byte, 4*n)
		for i := range raw {
			raw[i] = byte(i%61 + len(name))
		}
		return &onnxpb.TensorProto{Name: proto.String(name), Dims: []int64{int64(n)},
			DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)), RawData: raw}
	}
	model := &onnxpb.ModelProto{IrVersion: proto.Int64(8), Graph: &onnxpb.GraphProto{
		Name: proto.String("g"),
		Initializer: []*onnxpb.TensorProto{tensor("small", 3), tensor("large", 100_000),
			tensor("none", 0),
			{Name: proto.String("floats"), Dims: []int64{2},
				DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)), FloatData: []float32{1, 2}},
			tensor("last", largeTensor/4)},
	}}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := (&Model{Proto: model}).Write(path); err != nil {
		t.Fatal(err)
	}
	return model, path
}

// A model that is read shares its tensors with the file's memory, and is what it was before.
func TestReadSharesTensors(t *testing.T) {
	want, path := sharedModel(t)
	model, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(model.Proto, want) {
		t.Error("the model that is read is another one")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content, err := model.Content()
	if err != nil || !bytes.Equal(content, data) {
		t.Errorf("its content is not the file's: %v", err)
	}
	if &content[0] != &model.content[0] {
		t.Error("its content is a copy")
	}
	for _, i := range []int{1, 4} {
		raw := model.Proto.Graph.Initializer[i].RawData
		at := bytes.Index(content, raw)
		if at < 0 || &content[at] != &raw[0] {
			t.Errorf("tensor %d is a copy", i)
		}
		if cap(raw) != len(raw) {
			t.Errorf("what is appended to tensor %d is written into the next field", i)
		}
	}
	// What is decoded from bytes of the caller's is its own.
	decoded, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	clear(data)
	if !proto.Equal(decoded.Proto, want) {
		t.Error("a decoded model changes with the bytes that it was made of")
	}
	if content, err = decoded.Content(); err != nil || len(content) == 0 {
		t.Errorf("the content of a decoded model: %v", err)
	}
}

// The content of a model that was changed is that of the changed one.
func TestContentOfChangedModels(t *testing.T) {
	for name, change := range map[string]func(*onnxpb.ModelProto){
		"a name": func(m *onnxpb.ModelProto) { m.Graph.Name = proto.String("other") },
		"a tensor": func(m *onnxpb.ModelProto) {
			m.Graph.Initializer[1].RawData = make([]byte, 400_000)
		},
		"a byte of it": func(m *onnxpb.ModelProto) { m.Graph.Initializer[1].RawData[7]++ },
		"one less":     func(m *onnxpb.ModelProto) { m.Graph.Initializer = m.Graph.Initializer[1:] },
		"other order": func(m *onnxpb.ModelProto) {
			i := m.Graph.Initializer
			i[1], i[4] = i[4], i[1]
		},
		"empty graph": func(m *onnxpb.ModelProto) { m.Graph = new(onnxpb.GraphProto) },
		"no graph":    func(m *onnxpb.ModelProto) { m.Graph = nil },
	} {
		_, path := sharedModel(t)
		model, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		change(model.Proto)
		content, err := model.Content()
		if err != nil {
			t.Fatal(err)
		}
		again := new(onnxpb.ModelProto)
		if err := proto.Unmarshal(content, again); err != nil || !proto.Equal(again, model.Proto) {
			t.Errorf("%s: the content is not the model's: %v", name, err)
		}
	}
}

// Reading a model takes little more memory than its file.
func TestReadTakesTheFileOnce(t *testing.T) {
	if raceDetector {
		t.Skip("with the race detector, a buffer that grows is allocated twice")
	}
	_, path := sharedModel(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	least := int64(math.MaxInt64) // others of the process allocate, too
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Read(path); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		least = min(least, int64(after.TotalAlloc-before.TotalAlloc))
	}
	if least > info.Size()*5/4 {
		t.Errorf("reading %d bytes allocated %d", info.Size(), least)
	}
}

// Weights that are no raw data are not copied twice: the file's memory is let go.
func TestReadOfOtherWeights(t *testing.T) {
	floats := make([]float32, 100_000)
	for i := range floats {
		floats[i] = float32(i)
	}
	model := &onnxpb.ModelProto{IrVersion: proto.Int64(8), Graph: &onnxpb.GraphProto{
		Name: proto.String("g"), Initializer: []*onnxpb.TensorProto{{Name: proto.String("floats"),
			Dims: []int64{100_000}, DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)),
			FloatData: floats}}}}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := (&Model{Proto: model}).Write(path); err != nil {
		t.Fatal(err)
	}
	read, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(read.Proto, model) || read.content != nil {
		t.Errorf("the model is another one, or holds its file's %d bytes", len(read.content))
	}
	content, err := read.Content()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(content)
	if err != nil || !proto.Equal(again.Proto, model) {
		t.Errorf("its content is another model's: %v", err)
	}
}
