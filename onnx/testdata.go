package onnx

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"slipway/internal/atomicfile"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// testDataFolder is the folder that ONNX's own tests keep beside a model.
const testDataFolder = "test_data_set_0"

// WriteTestData writes inputs and the outputs they must give to
// dir/test_data_set_0/input_0.pb, …, output_0.pb, …, as ONNX's own tests have
// them: one TensorProto a file, called after the graph's input or output.
func WriteTestData(dir string, inputs, outputs []*onnxpb.TensorProto) error {
	if len(inputs) == 0 || len(outputs) == 0 {
		return errors.New("test data: at least one input and one output are needed")
	}
	folder := filepath.Join(dir, testDataFolder)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("test data: %w", err)
	}
	for _, list := range []struct {
		kind    string
		tensors []*onnxpb.TensorProto
	}{{"input", inputs}, {"output", outputs}} {
		for i, tensor := range list.tensors {
			path := filepath.Join(folder, fmt.Sprintf("%s_%d.pb", list.kind, i))
			if err := message.CheckTensor(tensor); err != nil {
				return fmt.Errorf("%s: tensor %q: %w", path, tensor.GetName(), err)
			}
			data, err := proto.MarshalOptions{Deterministic: true}.Marshal(tensor)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			err = atomicfile.Write(path, func(w io.Writer) error {
				_, err := w.Write(data)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadTestData reads what WriteTestData wrote, or a test_data_set_0 of ONNX's own
// whose inputs and outputs are all tensors.
func ReadTestData(dir string) (inputs, outputs []*onnxpb.TensorProto, err error) {
	folder := filepath.Join(dir, testDataFolder)
	if inputs, err = readTensors(folder, "input"); err != nil {
		return nil, nil, err
	}
	if outputs, err = readTensors(folder, "output"); err != nil {
		return nil, nil, err
	}
	if len(outputs) == 0 {
		return nil, nil, fmt.Errorf("%s holds no output_0.pb", folder)
	}
	return inputs, outputs, nil
}

func readTensors(folder, kind string) ([]*onnxpb.TensorProto, error) {
	var tensors []*onnxpb.TensorProto
	for i := 0; ; i++ {
		path := filepath.Join(folder, fmt.Sprintf("%s_%d.pb", kind, i))
		tensor, err := ReadTensor(path)
		if errors.Is(err, fs.ErrNotExist) {
			return tensors, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read test data: %w", err)
		}
		tensors = append(tensors, tensor)
	}
}

// ReadTensor reads a file that holds one TensorProto, as those of test data do,
// and verifies it as Read and Check do the tensors of a model.
func ReadTensor(path string) (*onnxpb.TensorProto, error) {
	data, err := readRegular(path)
	if err != nil {
		return nil, err
	}
	tensor := new(onnxpb.TensorProto)
	if err := scanWire(data, tensor.ProtoReflect().Descriptor()); err != nil {
		return nil, fmt.Errorf("%s: not a tensor: %w", path, err)
	}
	if err := proto.Unmarshal(data, tensor); err != nil {
		return nil, fmt.Errorf("%s: not a tensor: %w", path, err)
	}
	if err := message.CheckTensor(tensor); err != nil {
		return nil, fmt.Errorf("%s: tensor %q: %w", path, message.Shorten(tensor.GetName()), err)
	}
	return tensor, nil
}
