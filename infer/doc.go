// Package infer runs an ONNX image classifier in several runtimes and says how
// well and how equally they answer.
//
//	model, err := infer.LoadModel("e1.onnx")          // read and checked
//	runtime, err := infer.OpenONNXRuntime(ctx, model, infer.ONNXRuntimeOptions{})
//	defer runtime.Close()
//	set, err := dataset.Open(ctx, "t10k", dataset.Options{})
//	result, err := infer.Evaluate(ctx, runtime, set, infer.EvaluateOptions{})
//	fmt.Println(infer.FormatAccuracy(result.Accuracy())) // Accuracy = 98.58 %
//
// # Models
//
// A model has one image input, float32 or uint8, N×C×H×W, N×H×W×C, N×H×W or N×features, and a score
// output N×K, float32. The batch dimension may be open or fixed: a batch of another size is cut
// into pieces and the last one padded. Compare compares the scores of two runtimes, CompareAnswers
// those of models that end in a Softmax (FindHead) before it, and MeasureRounding says what
// rounding alone does to a graph; NewHistogram, ChangedLabels and WorstImages say where they
// differ. A Tracer also shows what the graph's nodes compute on the way, as all three runtimes do:
// package bisect names the one where two graphs part. OpenRuntime opens any runtime by its name.
//
// # ONNX Runtime
//
// OpenONNXRuntime needs onnxruntime's shared library, version 1.24 or newer,
// which FindLibrary finds and scripts/setup-onnxruntime brings. The execution
// provider that runs is in Info: CUDA where it was asked for or there is a
// sign of it, else the CPU, and a fallback is always told. The library is one
// for the process; runtimes share it, and the last one closed ends it. A
// library that loads stays in memory.
//
// # The native runtime
//
// OpenNative runs the model in Go on the training engine's kernels (package
// native). It needs no library, and shares no code with onnxruntime; it runs the
// operators that native.Operators lists.
//
// # onnx-go
//
// OpenONNXGo runs the model in onnx-go on Gorgonia, which shares no code with
// onnxruntime, in a process of its own (package onnxgo). It is slow, and refuses
// more than it takes; what it takes it computes rightly.
package infer
