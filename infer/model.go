package infer

import "slipway/onnx"

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
