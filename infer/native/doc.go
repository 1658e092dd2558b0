// Package native evaluates ONNX graphs in Go, on the native engine's kernels. It
// needs no library and no process of its own.
//
//	evaluator, err := native.New(ctx, model, native.Options{})
//	defer evaluator.Close()
//	outputs, err := evaluator.Run(ctx, map[string]*native.Tensor{"image": image})
//
// # What it runs
//
// Operators lists what is implemented: what small classifiers are made of, as this project,
// PyTorch's exporters, tf2onnx and skl2onnx write them. Each follows its definition in the model's
// opset; an attribute, a type or an opset that is not implemented is an error, which names the
// node. Subgraphs (If, Loop), functions of the model, sparse tensors, strings and bfloat16 are not
// supported; float16 is stored and cast, not computed with. docs/backend-tests.md says which of
// ONNX's own tests pass.
//
// # How
//
// New checks the model, drops what the outputs do not need, computes once what depends on no input,
// folds BatchNormalization into the Conv before it, and joins nodes where nothing else uses what is
// between: Conv with an Add, with Relu, Clip or HardSwish (also as HardSigmoid and Mul) and with
// MaxPool; Concat with BatchNormalization, Relu or Clip, and a pointwise Conv; MatMul or Gemm, Add
// and Relu; arithmetic and Relu; QuantizeLinear and DequantizeLinear. Run walks the steps. Each
// keeps plans of internal/kernel for the shapes last seen, so that a second batch finds the weights
// packed; a plan that does not exist, such as that of a dilated convolution, is replaced by plain
// loops.
// Between operators that allow it, images stay channels last, as the kernels want them. Where maps
// are larger than weights, a batch goes through a few images at a time. docs/native-evaluation.md
// says more.
//
// Sums of products are float32, as in every runtime, and taken in one order, so that an image has
// the same bits alone and in a batch, on any number of threads. So are bounds, HardSwish behind a
// Conv, and BatchNormalization. Softmax, reductions other than means over maps, and all else that
// is computed element by element from one number is float64, rounded once.
//
// # Numbers that are none
//
// NaN stays: in Relu, Clip, Min and Max, and in MaxPool, where it wins, as in
// PyTorch.
//
// # Hostile models
//
// Memory is planned by liveness: what lies between the nodes shares one block, whose size is that
// of what is needed at the same time, and a sum may lie in the memory of what it adds. It is
// counted before it is allocated, and bounded by Options.MemoryLimit; what depends on no input is
// bounded by the size of the weights, too. Nothing in a model makes the process end; the context
// ends what takes long.
package native
