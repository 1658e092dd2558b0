package infer

import (
	"slipway/dataset"
	"slipway/infer/port"
	"slipway/onnx"
)

// What a runtime is, takes and gives is said in package port, which programs that only
// classify use without this one.
type (
	// Runtime runs one image classifier. OpenONNXRuntime, OpenNative and OpenONNXGo make one, and a
	// type of your own may be one: docs/add-a-runtime.md.
	Runtime = port.Runtime
	// Info names a runtime and what it runs on.
	Info = port.Info
	// Batch is N images, N×C×H×W, in the units that the network was trained on.
	Batch = port.Batch
	// Logits are the scores of N images for K classes, N×K.
	Logits = port.Logits
	// Head is the last function of a classifier, which makes scores of logits.
	Head = port.Head
)

// ErrUnsupported says that a runtime cannot run a model, which another one may.
// The error that is it names the runtime.
var ErrUnsupported = port.ErrUnsupported

// FindHead returns the function that a model's scores come from, as port.FindHead does.
func FindHead(model *onnx.Model, output string) Head { return port.FindHead(model, output) }

// A Scale says what a model's scores are: logits, probabilities or their logarithms.
type Scale = port.Scale

// ScaleOf returns what the scores are by the function that the model ends in, or by its record,
// as port.ScaleOf does.
func ScaleOf(model *onnx.Model, output string) Scale { return port.ScaleOf(model, output) }

// PixelsOf returns how the record's network wants its pixels.
func PixelsOf(record onnx.TrainingRecord) (dataset.Pixels, error) { return port.PixelsOf(record) }

// PixelsOfModel returns how the model wants its pixels, as its record says; 0…255
// where it has none.
func PixelsOfModel(model *onnx.Model) (dataset.Pixels, error) { return port.PixelsOfModel(model) }
