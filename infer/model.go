package infer

import "slipway/onnx"

// OpenModel does as LoadModel for a model that one runtime alone is opened with. onnxruntime takes
// the weights of a large one from its file, and the model holds none, as onnx.Open says: what needs
// them, such as Trace, fails then, and the other runtimes load them. Batches are onnx.ErrChanged once
// the file was written to; another one may take its place. The model is to be closed after the
// runtime.
func OpenModel(path string) (*onnx.Model, error) { return onnx.Open(path) }

// LoadModel reads an ONNX file and checks it. Every runtime is given a checked
// model only: onnxruntime trusts what it loads, and some bad models end the
// process by a signal that no Go code can catch.
func LoadModel(path string) (*onnx.Model, error) {
	model, err := onnx.Read(path)
	if err != nil {
		return nil, err
	}
	if err := model.Check(); err != nil {
		return nil, err
	}
	return model, nil
}
