// Package convert makes an ONNX model of a builder.Network with its weights, and the
// other way round. It is apart from package onnx, which it uses, since a network brings the
// trainer's graph with it, and a program that only runs models needs neither.
//
//	model, err := convert.FromNetwork(net, weights, record, convert.Options{})
//	err = model.Write("e1.onnx")
//
// Back to a network, to evaluate or to train on, also of a model that PyTorch, tf2onnx,
// skl2onnx or Keras made of a classifier:
//
//	net, weights, err := convert.ToNetwork(model, "")
//
// # Choices
//
// FromNetwork writes opset 13 and IR version 7. Newer runtimes refuse old
// opsets, older runtimes refuse new ones, and from opset 22 onnxruntime picks
// kernels whose last digits differ; 13 is the oldest of those that every
// runtime tried accepts, and needs nothing newer than IR 7.
//
// A graph with BatchNormalization is written in opset 15 and IR version 8. Until opset 13 the
// operator's number of outputs says whether it normalises by the batch's own statistics. ONNX's
// reference evaluator does not look at it (seen in 1.23.2): it mixes a tenth of the batch's into
// the running ones, and answers otherwise than all others. Since opset 14 an attribute says it.
//
// Shape inference is left nothing to guess: kernel_shape is explicit, pads are
// symmetric numbers rather than auto_pad, MaxPool has no dilations (its default
// is 1, and onnx-go refuses the attribute), and the step to a vector is Flatten,
// not Reshape with a shape tensor. A dense layer is Gemm with transB = 1, which
// takes the weight as PyTorch lays it out. Dropout is absent: it is the identity
// when a network is evaluated.
//
// # Names
//
// Nodes are called as the layers are (conv1), their values after them
// (conv1.output), initializers as the builder's parameters are (conv1.weight),
// so that a file can be read back as a PyTorch state dict or by WeightsFor. A
// layer's name has no dot, so these never collide with each other or with the
// graph's own values: the input image (N×C×H×W) or features (N×F), and the
// output logits, probabilities (both N×classes) or feature_map (N×C×H×W).
// N is the batch, free unless Options.FixedBatch says otherwise.
package convert
