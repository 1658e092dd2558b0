// Package reference holds the operators of a convolutional network written as their definitions
// read: plain loops, sums in float64, no blocking, no concurrency. It is the oracle that faster
// implementations are compared with.
//
// Tensors are flat slices, row-major: images N×C×H×W, convolution weights O×C×KH×KW, dense weights
// Out×In. Each operator has a forward function and the gradient of it. Functions are generic, so
// that a gradient can be checked by finite differences in float64 and used as an oracle in float32.
// Inputs are trusted: slices must have the lengths that the configuration implies.
package reference

// Float is the element type of a tensor.
type Float interface{ ~float32 | ~float64 }
