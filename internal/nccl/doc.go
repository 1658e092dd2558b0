// Package nccl has GPUs of several processes send each other what they have, by NVIDIA's NCCL: over
// NVLink, PCI Express or a network, whichever is between them, in the order of a CUDA stream and
// within a CUDA graph.
//
// NCCL moves bytes here and adds nothing. Its own sums (ncclAllReduce) are taken in an order that
// depends on the number of ranks, on the cables between them and on the library's release, and so
// would the bits of a run. Whoever uses this package adds up by himself, in an order of his own.
//
// The library is loaded when it is first asked for, and what of its header is needed is declared
// here: no NCCL is needed to build a program or to start it. All but the name of the variable is
// behind the build tag gpu.
package nccl

// LibraryVariable names the environment variable with the file of the library to load. Without it
// the system's loader looks for libnccl.so.2, and then it is looked for where CUDA's libraries and
// Python's packages lie.
const LibraryVariable = "SLIPWAY_NCCL"
