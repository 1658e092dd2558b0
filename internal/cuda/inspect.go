//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"strings"

	"gorgonia.org/cu"

	"slipway/internal/nccl"
)

// Where the pieces come from. The same words are in docs/cuda.md.
const (
	driverRemedy  = "install NVIDIA's driver from your system (nvidia-smi then lists the GPU)"
	deviceRemedy  = "look at what nvidia-smi lists, and at CUDA_VISIBLE_DEVICES; in a container, pass the GPU through"
	libraryRemedy = "install %s, or scripts/setup-cuda --libraries, and put its folder on LD_LIBRARY_PATH or its file into %s"
	withoutRemedy = "; -device cpu trains without"
)

// newerDriverRemedy names the oldest driver of the CUDA release built for, where it is
// one of those that the build is known with.
func newerDriverRemedy() string {
	oldest, known := map[int]int{12: 525, 13: 580}[release()]
	if !known {
		return "install a newer NVIDIA driver"
	}
	return fmt.Sprintf("install a newer NVIDIA driver (%d or newer for CUDA %d)", oldest, release())
}

func findNCCL() (string, error) {
	library, err := nccl.Find()
	if err != nil {
		return "", err
	}
	return library.String(), nil
}

func inspect() Inspection {
	i := Inspection{Built: true}
	i.Missing = i.look()
	return i
}

// look finds one piece after the other and returns the first that is missing.
func (i *Inspection) look() *MissingError {
	missing := func(piece Piece, reason, remedy string) *MissingError {
		return &MissingError{Piece: piece, Reason: reason, Remedy: remedy + withoutRemedy}
	}
	path, reason := libraryDriver.load()
	if path == "" {
		return missing(PieceDriver, reason, driverRemedy)
	}
	served := cu.Version()
	if served < 0 {
		return missing(PieceDriver, fmt.Sprintf("its library (%s) does not say which CUDA release it serves", path), driverRemedy)
	}
	i.Driver = fmt.Sprintf("%d.%d", served/1000, served%1000/10)
	// The libraries of a release need a driver of that release, of any minor version.
	if served/1000 < release() {
		return missing(PieceDriver, fmt.Sprintf("it serves CUDA %s, this build needs CUDA %d", i.Driver, release()), newerDriverRemedy())
	}
	// A driver without a GPU, or behind one that does not answer, fails here.
	if err := initialise(); err != nil {
		return missing(PieceDevice, err.Error(), deviceRemedy)
	}
	if err := i.devices(); err != nil {
		return missing(PieceDevice, err.Error(), deviceRemedy)
	}
	if len(i.Devices) == 0 {
		return missing(PieceDevice, "the driver sees no GPU", deviceRemedy)
	}
	dnnRemedy := fmt.Sprintf(libraryRemedy, fmt.Sprintf("cuDNN 9 for CUDA %d (and zlib, libz.so.1, which it needs)", release()), "SLIPWAY_CUDNN")
	if path, reason = libraryCUDNN.load(); path == "" {
		return missing(PieceCUDNN, reason, dnnRemedy)
	}
	i.CUDNN = fmt.Sprintf("%s (%s)", dnnVersion(), path)
	// The file has one name in all releases; inside, it loads the cuBLAS of its own.
	if own := dnnRelease(); own != release() {
		reason := fmt.Sprintf("%s is built with CUDA %d, this build needs CUDA %d", i.CUDNN, own, release())
		if lacks := libraryCUDNN.lacks(); strings.Contains(lacks, "cudnnGetCudartVersion") { // it answered nothing
			i.CUDNN, reason = "", path+" lacks "+lacks
		}
		return missing(PieceCUDNN, reason, dnnRemedy)
	}
	if path, reason = libraryCUBLAS.load(); path == "" {
		return missing(PieceCUBLAS, reason, fmt.Sprintf(libraryRemedy, "cuBLAS", "SLIPWAY_CUBLAS"))
	}
	i.CUBLAS = path
	if i.CUBLASLT, reason = libraryCUBLASLT.load(); i.CUBLASLT == "" {
		i.CUBLASLT = fmt.Sprintf("none (%s)", reason)
	}
	return nil
}

// devices asks the driver for what it sees.
func (i *Inspection) devices() error {
	count, err := cu.NumDevices()
	if err != nil {
		return called("cuDeviceGetCount", err)
	}
	for ordinal := range count {
		device, err := cu.GetDevice(ordinal)
		if err != nil {
			return called("cuDeviceGet", err)
		}
		name, err := device.Name()
		if err != nil {
			return called("cuDeviceGetName", err)
		}
		memory, err := device.TotalMem()
		if err != nil {
			return called("cuDeviceTotalMem", err)
		}
		major, err := device.Attribute(cu.ComputeCapabilityMajor)
		if err != nil {
			return called("cuDeviceGetAttribute", err)
		}
		minor, err := device.Attribute(cu.ComputeCapabilityMinor)
		if err != nil {
			return called("cuDeviceGetAttribute", err)
		}
		i.Devices = append(i.Devices, DeviceInfo{Name: name, Capability: fmt.Sprintf("%d.%d", major, minor), Memory: memory})
	}
	return nil
}
