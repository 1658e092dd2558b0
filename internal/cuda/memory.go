//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"gorgonia.org/cu"
	cudnn "gorgonia.org/cu/dnn"
)

// buffer is memory of the device, or a part of one.
type buffer struct {
	address cu.DevicePtr
	bytes   int64
}

var _ cudnn.Memory = (*buffer)(nil)

// Uintptr and IsNativelyAccessible implement cudnn.Memory.
func (b *buffer) Uintptr() uintptr           { return uintptr(b.address) }
func (b *buffer) IsNativelyAccessible() bool { return false }

// part is the bytes from offset on.
func (b *buffer) part(offset, bytes int64) *buffer {
	return &buffer{b.address + cu.DevicePtr(offset), bytes}
}

// from returns the buffer from an offset on.
func (b *buffer) from(offset int) *buffer { return b.part(int64(offset), b.bytes-int64(offset)) }

// alignment is that of every part of a buffer, in float32 values: cuDNN reads
// whole vectors.
const alignment = 64

// pool owns buffers, which are freed together.
type pool struct {
	gpu   *gpu
	owned []*buffer
}

// allocate returns memory of which nothing is known; what names it in an error.
func (p *pool) allocate(what string, bytes int64) (*buffer, error) {
	p.gpu.count.Allocations++
	address, err := cu.MemAlloc(max(bytes, 1))
	if err != nil {
		err = called("cuMemAlloc", err)
		var call *callError
		if errors.As(err, &call) && call.outOfMemory() {
			return nil, fmt.Errorf("%s, %d bytes: %w; end other programs on the device or train with a smaller -batch", what, bytes, err)
		}
		return nil, fmt.Errorf("%s, %d bytes: %w", what, bytes, err)
	}
	b := &buffer{address, bytes}
	p.owned = append(p.owned, b)
	return b, nil
}

// allocateFloats is allocate for n float32 values.
func (p *pool) allocateFloats(what string, n int) (*buffer, error) {
	return p.allocate(what, int64(n)*4)
}

// free frees all that the pool owns.
func (p *pool) free() error {
	var all []error
	for _, b := range p.owned {
		if err := cu.MemFree(b.address); err != nil {
			all = append(all, called("cuMemFree", err))
		}
	}
	p.owned = nil
	return errors.Join(all...)
}

// upload copies values to the device, after all that was launched, and waits.
func upload[T any](g *gpu, to *buffer, values []T) error {
	return transfer(g, "cuMemcpyHtoDAsync", to, values, func(host unsafe.Pointer, bytes int64) error {
		return cu.MemcpyHtoDAsync(to.address, host, bytes, g.stream)
	})
}

// download copies values from the device, after all that was launched, and waits.
func download[T any](g *gpu, values []T, from *buffer) error {
	return transfer(g, "cuMemcpyDtoHAsync", from, values, func(host unsafe.Pointer, bytes int64) error {
		return cu.MemcpyDtoHAsync(host, from.address, bytes, g.stream)
	})
}

func transfer[T any](g *gpu, call string, b *buffer, values []T, copy func(unsafe.Pointer, int64) error) error {
	if len(values) == 0 {
		return nil
	}
	bytes := int64(len(values)) * int64(unsafe.Sizeof(values[0]))
	if bytes > b.bytes {
		return fmt.Errorf("%s: %d bytes, the device's memory there has %d", call, bytes, b.bytes)
	}
	g.count.Copies++
	// The copy is under way when the call returns: the values stay where they are
	// until it is done.
	pinner := new(runtime.Pinner)
	pinner.Pin(&values[0])
	err := copy(unsafe.Pointer(&values[0]), bytes)
	if err != nil {
		err = called(call, err)
	} else {
		err = g.wait()
	}
	if err != nil {
		// Nobody knows whether the copy is done: its memory must not become another's before the
		// stream is gone.
		g.unfinished = append(g.unfinished, pinner)
		return err
	}
	pinner.Unpin()
	return nil
}
