// Package onnx reads, checks, describes and writes ONNX models, and lowers a
// builder.Network with its weights to one, and the other way round.
//
// Writing:
//
//	model, err := onnx.FromNetwork(net, weights, record, onnx.Options{})
//	err = model.Write("e1.onnx")
//
// Reading:
//
//	model, err := onnx.Read("e1.onnx") // well formed, external data loaded
//	err = model.Check()                // safe to hand to a runtime
//	fmt.Print(onnx.Inspect(model))     // the graph as a table
//
// Back to a network, to evaluate or to train on, also of a model that PyTorch,
// tf2onnx or skl2onnx made of a small classifier:
//
//	net, weights, err := onnx.ToNetwork(model, "")
//
// # Choices
//
// The types (package onnxpb) are generated from ONNX's proto2 definition, not
// from its proto3 twin: with proto3 an attribute that is zero, such as Gemm's
// transA = 0, is not written. onnxruntime and ONNX's checker take the default
// then, but OpenCV, TVM, tinygrad and onnx2torch refuse the file. For the same
// reason every attribute is written out, also where it equals its default.
//
// FromNetwork writes opset 13 and IR version 7. Newer runtimes refuse old
// opsets, older runtimes refuse new ones, and from opset 22 onnxruntime picks
// kernels whose last digits differ; 13 is the oldest of those that every
// runtime tried accepts, and needs nothing newer than IR 7.
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
//
// # Same weights, same bytes
//
// Encode is deterministic. Nothing in a model depends on the time, the machine or
// the order of a map; metadata is sorted by key.
//
// # Hostile files
//
// Runtimes trust what they load: some onnxruntime versions die by a signal on a
// stride of 0 or negative pads, and expand a recursive function until memory
// ends. Three steps stand before them. Decode walks the protobuf wire format
// before it allocates anything: truncation, unknown or repeated fields, nesting,
// and how much memory the message will take. Read resolves external data
// inside the model's folder only. Check verifies versions, names, order, tensors,
// functions, and the attributes and shapes of the operators it knows; nodes of
// other operators pass, listed by Inspect as not checked, except for attribute
// values that are known to end a process.
package onnx
