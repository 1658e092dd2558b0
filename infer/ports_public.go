package infer

import (
	"fmt"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// A Port is the image input or the score output of a model, for a program that offers the
// model to others.
type Port struct {
	Name string
	// Type is the element type in the file: float32, float16, float64 or uint8 of an input,
	// one of the floats of an output, whose scores Runtime.Run returns as float32.
	Type onnxpb.TensorProto_DataType
	// Shape begins with the batch; -1 is a size that the model leaves open. It is nil for an
	// output of which nothing is known.
	Shape []int
}

// PortsOf returns the image input and the score output that a Runtime uses of a model. Output
// names the score output, as in RuntimeOptions, and may be empty where only one can be it.
//
// An input of the shape N×a×b×c is fed by a Batch of C=a, H=b, W=c in the input's own order,
// N×a×b by C=1, H=a, W=b, and N×a by C=1, H=1, W=a.
func PortsOf(model *onnx.Model, output string) (image, scores Port, err error) {
	p, err := findPorts(model, output)
	if err != nil {
		return Port{}, Port{}, fmt.Errorf("%s: %w", model.Path(), err)
	}
	return Port{p.input, p.inputType, p.inputDims}, Port{p.output, p.outputType, p.outputDims}, nil
}
