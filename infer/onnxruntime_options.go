package infer

import "time"

// ONNXRuntimeOptions are the choices for OpenONNXRuntime.
type ONNXRuntimeOptions struct {
	// Device to run on; DeviceAuto when empty.
	Device Device
	// Threads that compute one batch on the CPU; 0 for as many as Go would use.
	Threads int
	// Library is the file to load instead of searching as FindLibrary does.
	Library string
	// Output names the score output of a model with several.
	Output string
	// TF32 lets products on CUDA round their factors to 10 bits of mantissa.
	TF32 bool
	// Unoptimized runs the nodes one by one as the file has them, without the graph
	// optimizations that merge them and choose other kernels: the same function, rounded otherwise.
	Unoptimized bool
	// TimeLimit bounds the time of a batch, and that of making the session, which is ErrTimeLimit
	// where it takes longer; DefaultTimeLimit if 0.
	TimeLimit time.Duration
	// MemoryLimit bounds the bytes that a batch takes between the nodes, which is ErrBatchMemory
	// where it takes more; DefaultMemoryLimit if 0. Making the session may take a quarter of it, and
	// four times the model.
	MemoryLimit int64
}
