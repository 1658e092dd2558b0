package train

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"

	"slipway/builder"
	"slipway/internal/display"
	"slipway/internal/safetensors"
	"slipway/internal/torchfile"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// weightsFile is a file that weights are taken from.
type weightsFile struct {
	file *safetensors.File
	// containers are, of a file of torch.save, the paths of the dicts that the tensors lie in,
	// each with the dot behind it.
	containers map[string]bool
	// isModel tells an ONNX model, which has initializers that are no weights.
	isModel bool
}

// readWeightsFile reads a file of any kind that holds weights, which its beginning tells.
func readWeightsFile(path string) (*weightsFile, error) {
	begin, err := beginning(path)
	switch {
	case err != nil:
		return nil, err
	case torchfile.Is(begin):
		return readTorchFile(path)
	case isONNX(begin):
		return readModelWeights(path)
	}
	if len(begin) > 8 && begin[8] != '{' {
		// The header of safetensors is a JSON object behind its length.
		return nil, fmt.Errorf(
			"%s: it is no file of weights that is read, which are safetensors, PyTorch's own "+
				"(.pt, .pth) and ONNX; %s", path, looksLike(begin))
	}
	file, err := safetensors.Read(path)
	if err != nil {
		return nil, err
	}
	return &weightsFile{file: file}, nil
}

// looksLike says what the beginning of a file that is not read tells of it, and what to do.
func looksLike(begin []byte) string {
	for _, kind := range []struct{ begin, is string }{
		{"\x89HDF\r\n\x1a\n",
			"it looks like HDF5, as Keras writes it (.h5): export the model to ONNX, and take it with -from"},
		{"\x93NUMPY", "it looks like an array of NumPy (.npy): save the state dict as safetensors"},
		{"GGUF", "it looks like GGUF: save the state dict as safetensors"},
		{"\x1f\x8b", "it looks compressed by gzip: unpack it first"},
		{"version https://", "it looks like a pointer of Git LFS: git lfs pull brings the file itself"},
		{"<", "it looks like a page of the web: the download brought something else than the file"},
		{"{", "it looks like JSON: it has no tensors"},
	} {
		if strings.HasPrefix(string(begin), kind.begin) {
			return kind.is
		}
	}
	return fmt.Sprintf("it begins with the bytes % x", begin[:8])
}

// beginning returns the first bytes of a file, fewer where it has no more, and none where it is no
// regular file, which the reader of its kind refuses.
func beginning(path string) ([]byte, error) {
	info, err := os.Stat(path) // before opening: a named pipe would block
	if err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	begin := make([]byte, min(info.Size(), 16))
	_, err = io.ReadFull(file, begin)
	return begin, err
}

// isONNX tells an ONNX model by its beginning, the field ir_version, from a safetensors file, whose
// ninth byte begins a JSON object.
func isONNX(begin []byte) bool {
	const irVersion = 1 << 3 // field 1, a varint
	return len(begin) > 8 && begin[0] == irVersion && begin[8] != '{'
}

func readTorchFile(path string) (*weightsFile, error) {
	saved, err := torchfile.Read(path)
	if err != nil {
		return nil, err
	}
	f := &weightsFile{
		file: &safetensors.File{Tensors: saved.Tensors}, containers: make(map[string]bool),
	}
	for _, container := range saved.Containers {
		f.containers[container] = true
	}
	return f, nil
}

// readModelWeights takes a model's initializers of floating point for its weights.
func readModelWeights(path string) (*weightsFile, error) {
	model, err := onnx.Read(path)
	if err != nil {
		return nil, err
	}
	f := &weightsFile{file: &safetensors.File{}, isModel: true}
	for _, initializer := range model.Proto.GetGraph().GetInitializer() {
		tensor, ok, err := initializerTensor(initializer)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if ok {
			f.file.Tensors = append(f.file.Tensors, tensor)
		}
	}
	return f, nil
}

// initializerTensor returns an initializer as a tensor, and whether it is of floating point.
func initializerTensor(initializer *onnxpb.TensorProto) (
	tensor safetensors.Tensor, ok bool, err error,
) {
	shape := make([]int, len(initializer.GetDims()))
	for i, dimension := range initializer.GetDims() {
		shape[i] = int(dimension)
	}
	tensor = safetensors.Tensor{
		Name: initializer.GetName(), Shape: shape, Data: initializer.GetRawData(),
	}
	switch onnxpb.TensorProto_DataType(initializer.GetDataType()) {
	case onnxpb.TensorProto_FLOAT:
		values, err := onnx.Floats(initializer)
		return safetensors.NewFloat32(tensor.Name, shape, values), true, err
	case onnxpb.TensorProto_DOUBLE:
		if values := initializer.GetDoubleData(); len(values) > 0 {
			return safetensors.NewFloat64(tensor.Name, shape, values), true, nil
		}
		tensor.DType = safetensors.F64
	case onnxpb.TensorProto_FLOAT16:
		tensor.DType = safetensors.F16
		// A variant of ours keeps a weight so, and casts it to one of its name.
		tensor.Name = strings.TrimSuffix(tensor.Name, ".float16")
	case onnxpb.TensorProto_BFLOAT16:
		tensor.DType = safetensors.BF16
	default:
		return tensor, false, nil
	}
	// Halves that are not raw are the lower 16 bits of integers.
	for _, bits := range initializer.GetInt32Data() {
		tensor.Data = binary.LittleEndian.AppendUint16(tensor.Data, uint16(bits))
	}
	return tensor, true, nil
}

// notes says what was done with the file's tensors to make weights of them.
func (f *weightsFile) notes(
	path, prefix string, outside []safetensors.Tensor, network *builder.Network,
) []string {
	var notes []string
	say := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if prefix != "" {
		say("the names in %s begin with %q, which is left out", path, prefix)
	}
	if len(outside) > 0 {
		say("%s has %s more in %s, which %s left out", path, display.Count(len(outside), "tensor"),
			display.Printable(firstNames(tops(outside))), isOrAre(len(outside)))
	}
	counts := make(map[safetensors.DType]int)
	for _, spec := range network.Tensors() {
		if tensor, ok := f.file.Tensor(prefix + spec.Name); ok {
			counts[tensor.DType]++
		}
	}
	for _, kind := range []struct {
		dtype      safetensors.DType
		name, done string
	}{
		{safetensors.F16, "float16", "widened"}, {safetensors.BF16, "bfloat16", "widened"},
		{safetensors.F64, "float64", "rounded"},
	} {
		if n := counts[kind.dtype]; n > 0 {
			say("%s of %s %s of %s, and %s to float32", display.Count(n, "tensor"), path,
				isOrAre(n), kind.name, kind.done)
		}
	}
	return notes
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
