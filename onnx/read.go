package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"slipway/internal/hugepages"
	"slipway/internal/nonblock"
	"slipway/onnx/onnxpb"
)

// maxBytes is the largest message that protobuf allows, and so the largest
// model with all its tensors inside.
const maxBytes = math.MaxInt32

// Read reads a model from a file and loads its external data, which must lie in
// the file's folder or below it. At most 2 GiB are read. It verifies the
// encoding and sorts nodes that are in no topological order, which Notes tells; what
// the model says is for Check.
func Read(path string) (*Model, error) { return read(path, nil) }

// ReadVerified does as Read, but has verify look at the whole content of each file before anything
// of it is used: first the model's own, by its base name, then those with external data, by their
// names relative to its folder, with slashes. Each is read once: what verify has seen is what the
// model is made of, whatever becomes of the file meanwhile. An error of verify is ReadVerified's.
func ReadVerified(path string, verify func(name string, content []byte) error) (*Model, error) {
	return read(path, verify)
}

func read(path string, verify func(name string, content []byte) error) (*Model, error) {
	data, err := readRegular(path)
	if err != nil {
		return nil, fmt.Errorf("read the model: %w", err)
	}
	if verify != nil {
		if err := verify(filepath.Base(path), data); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	model, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	model.path = path
	if err := model.loadExternal(verify); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if model.externalBytes > 0 || len(model.notes) > 0 {
		model.content = nil // the model is not the file's
	}
	return model, nil
}

// Decode reads a model from memory, as Read does from a file; what the model says is
// for Check, which refuses external data in a model of no folder.
func Decode(data []byte) (*Model, error) {
	model, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	model.ownTensors()
	return model, nil
}

// decode makes a model whose large tensors lie in data, its content, where they are most of it.
func decode(data []byte) (*Model, error) {
	if err := looksLikeModel(data); err != nil {
		return nil, err
	}
	message := new(onnxpb.ModelProto)
	if err := scanWire(data, message.ProtoReflect().Descriptor()); err != nil {
		return nil, fmt.Errorf("not a whole ONNX model: %w", err)
	}
	decoded, content := unmarshal, []byte(nil)
	if shares(data) {
		decoded, content = unmarshalSharing, data
	}
	if err := decoded(data, message); err != nil {
		return nil, fmt.Errorf("not a whole ONNX model: %w", err)
	}
	if message.Graph == nil {
		return nil, errors.New("it holds no graph; it is not an ONNX model, or an empty one")
	}
	return &Model{Proto: message, content: content, fileBytes: int64(len(data)),
		notes: sortNodes(message)}, nil
}

// looksLikeModel names the usual things that are mistaken for a model.
func looksLikeModel(data []byte) error {
	if len(data) == 0 {
		return errors.New("it is empty; it is not an ONNX model")
	}
	if len(data) > maxBytes {
		return fmt.Errorf(
			"it is %d bytes long; an ONNX model is less than 2 GiB, with external data for more", len(data))
	}
	for _, other := range []struct{ prefix, problem string }{
		{"version https://git-lfs",
			"it is a Git LFS pointer, not the model; fetch the file with git lfs pull"},
		{"PK\x03\x04",
			"it is a zip archive (a PyTorch .pt file, perhaps), not an ONNX model; unpack or export it"},
		{"\x1f\x8b", "it is compressed with gzip; decompress it"},
		{"<", "it is a text in HTML or XML, not an ONNX model; fetch the file itself"},
		{"{", "it is a text in JSON, not an ONNX model"},
		{"\x89HDF", "it is an HDF5 file (a Keras model, perhaps), not an ONNX model; export it"},
	} {
		if bytes.HasPrefix(data, []byte(other.prefix)) {
			return errors.New(other.problem)
		}
	}
	return nil
}

// readRegular reads a file of less than 2 GiB. A FIFO or a device, which could
// block or never end, is refused.
func readRegular(path string) ([]byte, error) {
	// O_NONBLOCK: opening a FIFO to look at it must not wait for a writer.
	file, err := os.OpenFile(path, os.O_RDONLY|nonblock.Flag, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is %s, not a file", path, kindOf(info.Mode()))
	}
	if info.Size() > maxBytes {
		return nil, fmt.Errorf(
			"%s is %d bytes long; an ONNX model is less than 2 GiB, with external data for more", path,
			info.Size())
	}
	buffer := bytes.NewBuffer(hugepages.Bytes(int(info.Size()) + bytes.MinRead)[:0])
	// The file may grow while it is read.
	if _, err := buffer.ReadFrom(io.LimitReader(file, maxBytes+1)); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

func kindOf(mode os.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&os.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&os.ModeSocket != 0:
		return "a socket"
	case mode&os.ModeDevice != 0:
		return "a device"
	}
	return "something special"
}
