//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"gorgonia.org/cu"

	"slipway/dataset"
	"slipway/internal/device"
)

// counters count what the program asks of the device.
type counters struct {
	// Allocations of device memory, Copies between host and device, Launches of
	// kernels and library calls one by one, and Graphs of them launched whole.
	Allocations, Copies, Launches, Graphs int
}

// gpu is a GPU, with its context, its streams and the two libraries.
type gpu struct {
	thread    *thread
	device    cu.Device
	ordinal   int           // of those that the driver shows
	retained  bool          // the device's primary context
	lane                    // of the steps
	light     *lightBLAS    // for all lanes; nil without cuBLASLt
	unlit     error         // why it is
	second    *secondStream // nil until work is put beside that of the steps
	module    cu.Module
	functions map[string]cu.Function
	halves    cu.Module // the kernels of maps in bf16, the zero Module until they are needed
	memory    pool      // the device's own
	peers     *peers    // nil of a device that trains alone
	name      string
	info      DeviceInfo
	count     counters
	plans     bool // convolutions by cuDNN's graph API
	// algorithms are those that were measured; nil where the fixed ones compute convolutions.
	algorithms *measuredAlgorithms
	setBytes   int64
	// unfinished pins the memory of copies whose wait has failed.
	unfinished []*runtime.Pinner
}

var _ Device = (*gpu)(nil)

func open(local int) (Device, error) {
	inspection := inspect()
	if inspection.Missing != nil {
		return nil, inspection.Missing
	}
	ordinal, missing := ordinalOf(local, len(inspection.Devices))
	if missing != nil {
		return nil, missing
	}
	g := &gpu{thread: newThread(), ordinal: ordinal, plans: os.Getenv(PlansVariable) != "0"}
	g.memory.gpu = g
	if err := g.thread.do(g.start); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	version, err := blasVersion(g.blas)
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	own := inspection.Devices[ordinal]
	g.info = own
	// The training set and two that are evaluated stay on the device, beside the network.
	g.setBytes = min(dataset.DefaultPictureLimit, own.Memory/4)
	if g.algorithms, err = openAlgorithms(os.Getenv(AlgorithmsVariable), own, dnnVersion()); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	g.name = fmt.Sprintf("cuda:%d (%s, compute capability %s, cuDNN %s, cuBLAS %s, %s%s)", ordinal, own.Name, own.Capability, dnnVersion(), version,
		g.lightName(), g.algorithms)
	return g, nil
}

// ordinalOf returns the GPU of a process that is this one, from 0 on, on its machine, of so many that
// the driver shows. A launcher that gives each process a GPU of its own (CUDA_VISIBLE_DEVICES) shows
// it that one alone.
func ordinalOf(local, shown int) (int, *MissingError) {
	switch {
	case local < shown:
		return local, nil
	case shown == 1:
		return 0, nil // and should it be another's, too, Join says so
	}
	return 0, &MissingError{Piece: PieceDevice,
		Reason: fmt.Sprintf("this is process %d of this machine, counted from 0, and the driver shows "+
			"%d GPUs", local, shown),
		Remedy: fmt.Sprintf("start at most %d on a machine, a GPU each (mpirun --map-by ppr:%d:node), "+
			"since NCCL joins no GPU with itself", shown, shown)}
}

// start makes all that the device works with. What has been made when it fails,
// Close frees.
func (g *gpu) start() error {
	var err error
	if g.device, err = cu.GetDevice(g.ordinal); err != nil {
		return called("cuDeviceGet", err)
	}
	// cuDNN and cuBLAS use the runtime API, whose context is the primary one: one of
	// our own would be a second beside it wherever they look for theirs.
	context, err := g.device.RetainPrimaryCtx()
	if err != nil {
		return called("cuDevicePrimaryCtxRetain", err)
	}
	g.retained = true
	if err := cu.SetCurrentContext(context); err != nil {
		return called("cuCtxSetCurrent", err)
	}
	if err := g.openStream(); err != nil {
		return err
	}
	if err := g.loadKernels(); err != nil {
		return &MissingError{Piece: PieceKernels, Reason: err.Error(),
			Remedy: fmt.Sprintf("the GPU must be of compute capability 7.5 or newer, and the driver of CUDA %d or newer", release())}
	}
	if err := g.openLibraries(&g.memory); err != nil {
		return err
	}
	g.light, g.unlit = openLightBLAS(g)
	return nil
}

// String names the device and the libraries.
func (g *gpu) String() string { return g.name }

// tf32Capability is the first compute capability whose tensor cores multiply in TF32.
const tf32Capability = 8

// CheckTF32 implements device.Device.
func (g *gpu) CheckTF32() error { return g.needs("TF32", tf32Capability) }

// needs returns why the GPU has not what came with a compute capability, nil if it has.
func (g *gpu) needs(what string, capability int) error {
	major, _, _ := strings.Cut(g.info.Capability, ".")
	if number, err := strconv.Atoi(major); err != nil || number < capability {
		return fmt.Errorf("%s needs compute capability %d.0 or newer, this GPU has %s", what, capability,
			g.info.Capability)
	}
	return nil
}

// bf16Capability is the first compute capability whose tensor cores multiply bfloat16.
const bf16Capability = 8

// CheckBF16 implements device.Device.
func (g *gpu) CheckBF16() error { return g.needs("bf16", bf16Capability) }

// SetBytes implements device.Device.
func (g *gpu) SetBytes() int64 { return g.setBytes }

// Close frees the device.
func (g *gpu) Close() error {
	err := g.thread.do(func() error {
		all := []error{g.peers.leave()}
		all = append(all, g.second.close())
		all = append(all, g.light.close())
		all = append(all, g.closeLibraries()...)
		all = append(all, g.memory.free())
		if g.functions != nil {
			all = append(all, called("cuModuleUnload", g.module.Unload()))
			if g.halves != (cu.Module{}) {
				all = append(all, called("cuModuleUnload", g.halves.Unload()))
			}
		}
		all = append(all, g.closeStream())
		if g.retained {
			all = append(all, called("cuDevicePrimaryCtxRelease", g.device.ReleasePrimaryCtx()))
		}
		for _, pinner := range g.unfinished {
			pinner.Unpin()
		}
		g.unfinished = nil
		return errors.Join(all...)
	})
	g.thread.end()
	return err
}

// NewSession implements device.Device.
func (g *gpu) NewSession(job device.Job) (device.Session, error) {
	var s *session
	err := g.thread.do(func() (err error) {
		s, err = newSession(g, job)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}
