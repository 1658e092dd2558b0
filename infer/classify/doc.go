// Package classify says what pictures show, by an ONNX image classifier, in a few lines of a
// program of your own:
//
//	c, err := classify.Open("birds.onnx")
//	defer c.Close()
//	photograph, err := os.Open("robin.jpg")
//	results, err := c.ClassifyReader(ctx, photograph)
//	fmt.Println(results[0].Label, results[0].Probability) // robin 0.98
//
// The answers are those of the command infer on the same file, to the bit: a model that
// Slipway exported says in its metadata what its classes are called, how large its pictures
// are, how others are brought to that size and how pixels are scaled, and it is done so. Of a
// model that was made elsewhere, options say it: WithLabels, WithSizing, WithPixels. An option
// that is not for the model is refused by Open, and so is a model that cannot be run.
//
// # Many callers
//
// A Classifier is for any number of goroutines. As many calls are computed at the same time as
// there are sessions, one for each processor if nothing else is said, each by one thread and in
// memory of its own; others wait until their context ends. ClassifyBatch feeds several images
// together.
//
// # What it brings along
//
// The model runs on the native runtime, in Go, without a library: programs build without cgo,
// for other systems, and for WebAssembly. The package imports neither what trains nor what
// reads data sets: a program of it alone is a static file of a few megabytes. WithRuntime runs
// the model in onnxruntime instead, in programs that import package infer for that.
package classify
