// Package onnx reads, checks, describes, rewrites and writes ONNX models. It knows the
// format and nothing of networks or of training, so that a program that only runs models
// has none of that in it; package convert makes a model of a network, and a network of a
// model.
//
// Reading:
//
//	model, err := onnx.Read("e1.onnx") // well formed, external data loaded
//	err = model.Check()                // safe to hand to a runtime
//	fmt.Print(onnx.Inspect(model))     // the graph as a table
//
// Writing:
//
//	err = model.Write("copy.onnx")
//
// # Choices
//
// The types (package onnxpb) are generated from ONNX's proto2 definition, not
// from its proto3 twin: with proto3 an attribute that is zero, such as Gemm's
// transA = 0, is not written. onnxruntime and ONNX's checker take the default
// then, but OpenCV, TVM, tinygrad and onnx2torch refuse the file. For the same
// reason every attribute is written out, also where it equals its default.
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
