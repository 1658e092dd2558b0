//go:build gpu && linux && amd64

package cuda

import (
	"fmt"

	"gorgonia.org/cu"
)

// Where the pieces come from. The same words are in docs/cuda.md.
const (
	driverRemedy  = "install NVIDIA's driver from your system (nvidia-smi then lists the GPU)"
	deviceRemedy  = "look at what nvidia-smi lists, and at CUDA_VISIBLE_DEVICES; in a container, pass the GPU through"
	libraryRemedy = "install %s, or scripts/setup-cuda --libraries, and put its folder on LD_LIBRARY_PATH or its file into %s"
	withoutRemedy = "; -device cpu trains without"
)

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
	if path, reason := libraryDriver.load(); path == "" {
		return missing(PieceDriver, reason, driverRemedy)
	}
	// A driver without a GPU, or behind one that does not answer, fails here.
	if err := initialise(); err != nil {
		return missing(PieceDevice, err.Error(), deviceRemedy)
	}
	version := cu.Version()
	i.Driver = fmt.Sprintf("%d.%d", version/1000, version%1000/10)
	if err := i.devices(); err != nil {
		return missing(PieceDevice, err.Error(), deviceRemedy)
	}
	if len(i.Devices) == 0 {
		return missing(PieceDevice, "the driver sees no GPU", deviceRemedy)
	}
	path, reason := libraryCUDNN.load()
	if path == "" {
		return missing(PieceCUDNN, reason, fmt.Sprintf(libraryRemedy, "cuDNN 9 (and zlib, libz.so.1, which it needs)", "SLIPWAY_CUDNN"))
	}
	i.CUDNN = fmt.Sprintf("%s (%s)", dnnVersion(), path)
	if path, reason = libraryCUBLAS.load(); path == "" {
		return missing(PieceCUBLAS, reason, fmt.Sprintf(libraryRemedy, "cuBLAS", "SLIPWAY_CUBLAS"))
	}
	i.CUBLAS = path
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
