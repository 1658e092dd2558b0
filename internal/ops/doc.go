// Package ops holds Slipway's own Gorgonia operators, one file each, with its
// mathematics, its forward pass and its gradient.
//
// There are two families. The operators in this package replace stock
// operators of Gorgonia v0.9.18 that are wrong or missing; the reference
// engine uses them beside the stock ones, on N×C×H×W float32 tensors. The
// operators whose names begin with Native run the kernels of internal/kernel,
// on N×H×W×C tensors; with them the native engine trains.
//
// Every operator is applied by a function that takes the graph's nodes and
// returns the new node. An operator owns its output tensor and returns the same
// one at every step, so that a training step allocates nothing for it; a value
// that must outlive the step has to be copied. Gradients are symbolic: SymDiff
// adds further operators to the graph, which Gorgonia's TapeMachine runs in
// order like any other.
package ops
