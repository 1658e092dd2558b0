// Package cuda trains on an NVIDIA GPU.
//
// It implements internal/device.Device. A Machine is a gorgonia.VM: it compiles the graph
// that package builder makes for builder.EnginePlain, with its loss and its
// gradients, into a list of launches whose values all stay on the device.
// Convolution and mean pooling are cuDNN's, through gorgonia.org/cu/dnn;
// the products of dense layers are cuBLAS's, by a call of our own (native.c), or cuBLASLt's, with
// the bias and the ReLU behind them in one launch (machine_light.go, light_plan.go); what
// none of them has, or not as the CPU engines define it, or what costs a launch less beside its
// neighbours (machine_fusion.go), is in kernels/kernels.cu and what it includes.
//
// A session keeps the training set, the weights, running statistics, the optimizer's state and a
// ledger of losses on the device. A step takes its images by their places in the epoch's order, and
// books its loss in the ledger, so that one step needs no copy in either direction and the same
// step can be captured once as a CUDA graph and launched again and again. Batches that the host
// makes are copied in a stream of their own, while the step before computes. Gradients of
// parameters are computed in another one, while the gradient goes on to the layers before
// (second_stream.go, machine_beside.go); in the graph it is a branch.
//
// Where a run asks for bf16, what goes from layer to layer is kept as bfloat16 (machine_maps.go),
// by the same kernels in a second module, kernels/bf16.ptx; weights are float32, and multiplied as
// copies that each step rounds (half_weights.go).
//
// A step that is dealt to shards takes them one after the other, and adds their gradients in a tree
// (shards.go). Several processes, each with a GPU, take a part of the shards each; package
// internal/nccl moves what the others have, and kernels of this package add it, in the same tree,
// so that no bit depends on the number of GPUs (exchange.go, peers.go).
//
// All of it is behind the build tag gpu (Linux, x86-64): make gpu. Without the tag,
// Open says so. With it, no CUDA library is needed to start: folder shim holds
// functions that load them when they are first called. Folder simulator holds
// stand-ins for those libraries, on which the tests run.
//
// What has not met a GPU yet is said in docs/cuda.md.
package cuda
