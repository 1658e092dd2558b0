package onnx

import (
	"bytes"
	"errors"
	"runtime/debug"
	"strconv"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/onnxpb"
)

// leftTensor is from how many bytes on a tensor is left in the file: others are no burden, and what
// takes them from the file maps whole pages.
const leftTensor = 64 << 10

// errLeft says that the weights of a model are not there.
var errLeft = errors.New("its weights were left in the file: Load brings them")

// errHeld says that a model is none whose weights can be left in its file.
var errHeld = errors.New("its weights are held")

// Open reads and checks a model, as Read and Check do, for a program that takes the weights from
// the file by itself and would hold them once more. Of a large model the large tensors of its graph
// stay in the file: Left is that file then. Such a model has its nodes and the shapes of its
// tensors, but cannot be encoded, checked or computed with before Load. Others are as of Read:
// small ones, those whose weights lie elsewhere, and all where a system cannot map a file.
func Open(path string) (*Model, error) {
	if model := openLeaving(path); model != nil {
		return model, nil
	}
	// It says what is wrong, too.
	model, err := Read(path)
	if err != nil {
		return nil, err
	}
	if err := model.Check(); err != nil {
		return nil, err
	}
	return model, nil
}

// openLeaving returns a sound model whose weights are left in its file, nil for any other.
func openLeaving(path string) *Model {
	file, err := openFile(path)
	if err != nil {
		return nil
	}
	model, err := file.model(path)
	if err != nil {
		_ = file.Close() // nothing was written
		return nil
	}
	return model
}

// model decodes and checks the model of a file, and leaves its weights there.
func (f *File) model(path string) (m *Model, err error) {
	data, unmap, err := mapFile(f.file, int(f.size))
	if err != nil {
		return nil, err
	}
	defer unmap()
	// What lies behind the end of a file that was cut meanwhile is a fault.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }:
			m, err = nil, changed(path)
		default:
			panic(fault)
		}
	}()
	if m, err = decode(data); err != nil {
		return nil, err
	}
	m.path = path
	if m.content == nil || m.hasExternal() {
		return nil, errHeld
	}
	if err := m.Check(); err != nil {
		return nil, err
	}
	f.leave(m.Proto.GetGraph().GetInitializer(), data)
	m.content, m.left, m.opened = nil, f, f
	return m, nil
}

// hasExternal reports whether a tensor has its data in another file.
func (m *Model) hasExternal() bool {
	return eachTensor(m.Proto, func(_ string, tensor *onnxpb.TensorProto) error {
		if tensor.GetDataLocation() == onnxpb.TensorProto_EXTERNAL {
			return errHeld
		}
		return nil
	}) != nil
}

// leave takes the weights out of tensors that lie in data, the content of the file, and notes where
// they are. The tensors have nothing of data then.
func (f *File) leave(initializers []*onnxpb.TensorProto, data []byte) {
	i := 0
	for graph, at := range fields(data, modelGraph) {
		graphBegin := at.end - len(graph)
		for tensor, at := range fields(graph, graphInitializer) {
			tensorBegin := graphBegin + at.end - len(tensor)
			for raw, at := range fields(tensor, tensorRawData) {
				f.take(i, initializers[i], int64(tensorBegin+at.end-len(raw)))
			}
			i++
		}
	}
}

// take leaves the raw data of an initializer in the file, where it begins at the byte, or copies it.
func (f *File) take(i int, tensor *onnxpb.TensorProto, offset int64) {
	elementType := onnxpb.TensorProto_DataType(tensor.GetDataType())
	if len(tensor.RawData) < leftTensor || !isNumber(elementType) {
		tensor.RawData = bytes.Clone(tensor.RawData)
		return
	}
	f.weights = append(f.weights, Weight{Name: tensor.GetName(), Type: elementType,
		Dims: tensor.GetDims(), Offset: offset, Length: int64(len(tensor.RawData)), index: i})
	tensor.RawData = nil
}

// isNumber reports whether an element is a number of whole bytes that every runtime knows.
func isNumber(elementType onnxpb.TensorProto_DataType) bool {
	switch elementType {
	case onnxpb.TensorProto_FLOAT, onnxpb.TensorProto_FLOAT16, onnxpb.TensorProto_BFLOAT16,
		onnxpb.TensorProto_DOUBLE, onnxpb.TensorProto_INT8, onnxpb.TensorProto_UINT8,
		onnxpb.TensorProto_INT32, onnxpb.TensorProto_INT64:
		return true
	}
	return false
}

// Left returns the file that Open has left the model's weights in, nil for a model that has all.
func (m *Model) Left() *File { return m.left }

// Load brings the weights that Open has left in the file, which must not have changed. Nothing is
// left then. The file stays open until Close, for who takes weights from it already.
func (m *Model) Load() error {
	if m.left == nil {
		return nil
	}
	content, err := m.left.read()
	if err != nil {
		return err
	}
	initializers := m.Proto.GetGraph().GetInitializer()
	for _, weight := range m.left.weights {
		end := weight.Offset + weight.Length
		initializers[weight.index].RawData = content[weight.Offset:end:end]
	}
	if len(m.notes) == 0 {
		m.content = content
	}
	m.left = nil
	return nil
}

// Close closes the file that Open has left the model's weights in. Other models need no Close.
func (m *Model) Close() error {
	if m.opened == nil {
		return nil
	}
	return m.opened.Close()
}

// EncodeReferring returns the model's bytes as Encode does, but those of the weights that were left
// in the file: as external data of that location they are said to lie in it.
func (m *Model) EncodeReferring(location string) ([]byte, error) {
	if m.left == nil {
		return Encode(m)
	}
	referring := proto.Clone(m.Proto).(*onnxpb.ModelProto)
	for _, weight := range m.left.weights {
		tensor := referring.GetGraph().GetInitializer()[weight.index]
		tensor.DataLocation = onnxpb.TensorProto_EXTERNAL.Enum()
		for _, entry := range [][2]string{{"location", location},
			{"offset", strconv.FormatInt(weight.Offset, 10)},
			{"length", strconv.FormatInt(weight.Length, 10)}} {
			tensor.ExternalData = append(tensor.ExternalData, &onnxpb.StringStringEntryProto{
				Key: proto.String(entry[0]), Value: proto.String(entry[1])})
		}
	}
	return Encode(&Model{Proto: referring, path: m.path})
}
