package cuda

import (
	"fmt"

	"slipway/internal/device"
)

// Device is a GPU that trains.
type Device interface {
	device.Device
	// Close gives the device back. Sessions end before it.
	Close() error
}

// Open returns the first GPU. What it lacks is a *MissingError.
func Open() (Device, error) { return open(0) }

// OpenLocal returns the GPU of a process that is one of several on its machine, numbered from 0 on:
// the one of that number, or the only one, where a launcher shows each process its own.
func OpenLocal(number int) (Device, error) { return open(number) }

// NCCL names the library by which the GPUs of several ranks exchange, or says why there is none. It
// loads it.
func NCCL() (string, error) { return findNCCL() }

// A Piece is something that training on CUDA needs.
type Piece string

// The pieces, in the order in which they are looked for.
const (
	PieceBuild   Piece = "build"   // this program, with the tag gpu
	PieceDriver  Piece = "driver"  // NVIDIA's driver, libcuda.so.1
	PieceDevice  Piece = "device"  // a GPU that the driver sees
	PieceCUDNN   Piece = "cuDNN"   // libcudnn.so.9
	PieceCUBLAS  Piece = "cuBLAS"  // libcublas.so of the CUDA release built for
	PieceKernels Piece = "kernels" // Slipway's own, as this driver takes them
)

// MissingError names the piece without which there is no training on CUDA.
type MissingError struct {
	Piece Piece
	// Reason is what was found instead, Remedy where to get it.
	Reason, Remedy string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("CUDA is not usable: %s: %s; %s", e.Piece, e.Reason, e.Remedy)
}

// Inspection is what of CUDA is on this machine.
type Inspection struct {
	// Built says that this program has the GPU in it.
	Built bool
	// Driver is the CUDA release that the driver serves, such as "13.0".
	Driver string
	// Devices are the GPUs that the driver sees.
	Devices []DeviceInfo
	// CUDNN and CUBLAS are the libraries' versions and files.
	CUDNN, CUBLAS string
	// CUBLASLT is that of cuBLASLt, or why there is none, which training goes without.
	CUBLASLT string
	// Missing is the first piece that is not there, nil if all are.
	Missing *MissingError
}

// DeviceInfo is what the driver says of a GPU.
type DeviceInfo struct {
	Name string
	// Capability is the compute capability, such as "9.0".
	Capability string
	// Memory is the device's, in bytes.
	Memory int64
}

// Inspect looks at what is there. It changes nothing.
func Inspect() Inspection { return inspect() }
