// Package workerproto is what infer and its onnx-go worker say to each other
// over the worker's standard input and output.
//
// The worker first writes Magic, so that a program that is no worker is told from its first byte,
// then a stream of gob values: a Hello; the client answers with a Load, the worker with a Loaded;
// then each Images is answered by a Scores, until the client closes the stream.
package workerproto

// Magic are the worker's first bytes.
const Magic = "slipway onnx-go worker 1\n"

// Hello introduces the worker.
type Hello struct {
	// Version of onnx-go in the worker's build.
	Version string
}

// Load hands the model over.
type Load struct {
	// Model is an ONNX model with one input and one output.
	Model []byte
	// Input is the input's shape, N first, without open dimensions.
	Input []int
}

// Loaded says whether the model is taken: Error is "" then.
type Loaded struct{ Error string }

// Images are one batch, in the shape of Load.Input.
type Images struct{ Pixels []float32 }

// Scores answer a batch, N×K, or say in Error why there are none.
type Scores struct {
	Error  string
	K      int
	Values []float32
}
