package main

// plant is a bug: in a file of internal/cuda one text is replaced by another.
type plant struct{ name, file, from, to string }

// plants are the bugs. The first nine were planted by a reviewer and not noticed, before the
// simulator had clocks.
func plants() []plant {
	return []plant{
		{"a memset on the default stream", "native.c", "cuMemsetD32Async(destination, 0, words, stream)", "cuMemsetD32Async(destination, 0, words, 0)"},
		{"own kernels on another stream", "native.c", "    return cuLaunchKernel(function, blocks, rows, 1, threads, 1, 1, 0, stream, arguments, 0);",
			"    static CUstream other;\n    if (!other) cuStreamCreate(&other, CU_STREAM_NON_BLOCKING);\n    return cuLaunchKernel(function, blocks, rows, 1, threads, 1, 1, 0, other, arguments, 0);"},
		{"a stream that blocks", "device.go", "cu.MakeStream(cu.NonBlocking)", "cu.MakeStream(cu.DefaultStream)"},
		{"a capture that forbids calls to all threads", "native.c", "CU_STREAM_CAPTURE_MODE_THREAD_LOCAL", "CU_STREAM_CAPTURE_MODE_GLOBAL"},
		{"a race that in-order threads do not show", "kernels/kernels.cu", "if (i < n) sum[i] = a[i] + b[i];",
			"if (i < n) sum[i] = a[i] + b[i] + (i % 256 == 255 ? 0 * sum[i - 1] : 0);"},
		{"pooling's height and width swapped", "machine_layers.go", "[]int{w.KernelHeight, w.KernelWidth},\n\t\t[]int{w.StrideHeight, w.StrideWidth}",
			"[]int{w.KernelWidth, w.KernelHeight},\n\t\t[]int{w.StrideHeight, w.StrideWidth}"},
		{"parameters that are not aligned", "memory.go", "const alignment = 64", "const alignment = 1"},
		{"an index of 32 bits", "kernels/kernels.cu", "x[i] = table[images[image * size + i % size]];", "x[i] = table[images[(int)image * (int)size + (int)(i % size)]];"},
		{"the stream destroyed before the handles", "device.go", "\t\tif g.blas != nil {\n\t\t\tall = append(all, called(\"cublasDestroy\"",
			"\t\tif g.stream != (cu.Stream{}) {\n\t\t\tall = append(all, called(\"cuStreamDestroy\", g.stream.Destroy()))\n\t\t\tg.stream = cu.Stream{}\n\t\t}\n\t\tif g.blas != nil {\n\t\t\tall = append(all, called(\"cublasDestroy\""},

		{"a copy that is not waited for", "memory.go", "\t\treturn called(call, err)\n\t}\n\treturn waitFor(g.stream)", "\t\treturn called(call, err)\n\t}\n\treturn nil"},
		{"memory freed under work", "session.go", "all := []error{waitFor(s.gpu.stream)}", "var all []error"},
		{"a context of its own beside the libraries'", "device.go", "context, err := g.device.RetainPrimaryCtx()", "context, err := g.device.MakeContext(cu.SchedAuto)"},
		{"a module that is never unloaded", "device.go", "if g.functions != nil {", "if g.functions == nil {"},
		{"cuBLAS without a workspace", "device.go", "return setBLASWorkspace(g.blas, workspace)", "_ = workspace\n\treturn nil"},
		{"convolutions with TF32", "machine_layers.go", "if err := setFMA(conv); err != nil {", "if err := error(nil); err != nil {"},
		{"a gradient of weights by an algorithm with atomics", "machine_layers.go", "cudnn.ConvolutionBwdFilterAlgo1", "cudnn.ConvolutionBwdFilterAlgo0"},
		{"a gradient of the input by an algorithm with atomics", "machine_layers.go", "cudnn.ConvolutionBwdDataAlgo1", "cudnn.ConvolutionBwdDataAlgo0"},
		{"a workspace that is too small", "machine_layers.go", "m.workspaceBytes = max(m.workspaceBytes, bytes)", "m.workspaceBytes = max(m.workspaceBytes, bytes/2)"},
		{"convolution's strides swapped", "machine_layers.go", "[]int{d.Window.StrideHeight, d.Window.StrideWidth}", "[]int{d.Window.StrideWidth, d.Window.StrideHeight}"},
		{"convolution's padding swapped", "machine_layers.go", "[]int{d.Window.PaddingHeight, d.Window.PaddingWidth}", "[]int{d.Window.PaddingWidth, d.Window.PaddingHeight}"},
		{"a bias that replaces what it is added to", "machine_layers.go", "m.gpu.dnn.AddTensor(1, bd, b, 1, yd, y)", "m.gpu.dnn.AddTensor(1, bd, b, 0, yd, y)"},
		{"a bias gradient that adds up", "machine_layers.go", "input, 0, descriptors[1], output))", "input, 1, descriptors[1], output))"},
		{"a mean over the window without its padding", "machine_layers.go", "mode := cudnn.AverageCountIncludePadding", "mode := cudnn.AverageCountExcludePadding"},
		{"a dense layer's gradient not transposed", "machine_layers.go", "m.appendProduct(plain, transposed, in, out, batch,", "m.appendProduct(transposed, transposed, in, out, batch,"},
		{"sums of residual blocks without their third value", "machine_layers.go", "for _, term := range inputs[1:] {", "for _, term := range inputs[1:2] {"},
		{"an activation's penalty not divided by the batch", "machine_loss.go", "float32(d.Penalty.L1/batch)", "float32(d.Penalty.L1)"},
		{"a penalty with another parameter's factor", "machine_loss.go", "factors.part(int64(i)*4, 4)", "factors.part(int64(i)*0, 4)"},
		{"a gradient that is not a mean", "kernels/kernels.cu", "double scale = (double)*outer / (double)rows;", "double scale = (double)*outer / 32;"},
		{"an epoch's loss that does not weigh its batches", "kernels/kernels.cu", "ledger->loss_sum += (double)loss * (double)batch;", "ledger->loss_sum += (double)loss * 8;"},
		{"Adam's correction one step late", "kernels/kernels.cu", "double t = (double)ledger->step;", "double t = (double)ledger->step + 1;"},
		{"a momentum that is not kept", "kernels/kernels.cu", "        momentum[i] = buffer;\n", ""},
		{"dropout that draws the same in each step", "kernels/kernels.cu", "count step = ledger->step;", "count step = 0;"},
		{"a loss that is not finite and is learned from", "kernels/kernels.cu", "        ledger->diverged = 1;\n", ""},
		{"the kernel that books a step run by all threads", "kernels/kernels.cu", "if (thread_index() != 0 || ledger->diverged) return;", "if (ledger->diverged) return;"},
		{"an order that stays that of the first epoch", "session.go", "if err := upload(s.gpu, s.order, places); err != nil {", "if err := upload(s.gpu, s.order, places); err != nil || l.Step > 0 && upload(s.gpu, s.order, make([]int32, len(places))) != nil {"},
		{"an evaluation by the training's order", "program.go", "set, order, at = evaluated.images, evaluated.order, s.evaluationLedger", "set, order, at = evaluated.images, s.order, s.evaluationLedger"},
		{"an evaluation that drops values", "session.go", "if err := upload(s.gpu, s.evaluationLedger, []ledger{{Position: uint64(first)}}); err != nil {", "if err := upload(s.gpu, s.evaluationLedger, []ledger{{}}); err != nil {"},
		{"a resumed run that counts its steps anew", "session.go", "[]ledger{{Step: uint64(state.Steps)}}", "[]ledger{{}}"},
	}
}
