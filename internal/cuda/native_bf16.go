//go:build gpu && linux && amd64

package cuda

// #include "algorithms.h"
// #include "native.h"
// #include "native_bf16.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	cublas "gorgonia.org/cu/blas"
	cudnn "gorgonia.org/cu/dnn"
	"gorgonia.org/tensor"

	"slipway/internal/ops"
)

// halfConvolution is a convolution of tensors of bfloat16, by a legacy call of cuDNN's that adds up
// in float32.
type halfConvolution struct {
	kind  ops.Kind // whichever of its three passes
	parts C.struct_slipway_bf16_parts
}

// newHalfConvolution describes a pass of a convolution of x, w and y of these shapes.
func newHalfConvolution(context *cudnn.Context, x, w, y tensor.Shape,
	d ops.Description) (*halfConvolution, error) {
	c := &halfConvolution{kind: d.Kind}
	c.parts.handle = dnnHandle(context)
	return c, errors.Join(c.describe(x, w, y, d), c.plan())
}

// describe makes the descriptors. Those that were made when it fails, close frees.
func (c *halfConvolution) describe(x, w, y tensor.Shape, d ops.Description) error {
	for _, t := range []struct {
		made  *unsafe.Pointer
		shape tensor.Shape
	}{{&c.parts.x, x}, {&c.parts.y, y}} {
		if err := dnnCall("cudnnSetTensor4dDescriptor",
			C.slipway_bf16_tensor(t.made, four(t.shape))); err != nil {
			return err
		}
	}
	if err := dnnCall("cudnnSetFilter4dDescriptor",
		C.slipway_bf16_filter(&c.parts.w, four(w))); err != nil {
		return err
	}
	pair := func(height, width int) *C.int { return &[]C.int{C.int(height), C.int(width)}[0] }
	return dnnCall("cudnnSetConvolution2dDescriptor", C.slipway_bf16_convolution(&c.parts.convolution,
		pair(d.Window.PaddingHeight, d.Window.PaddingWidth),
		pair(d.Window.StrideHeight, d.Window.StrideWidth),
		pair(d.DilationHeight, d.DilationWidth), C.int(d.Groups)))
}

// four is a shape of four dimensions as C takes it.
func four(shape tensor.Shape) *C.int {
	all := make([]C.int, 4)
	for i := range all {
		all[i] = 1
		if i < len(shape) {
			all[i] = C.int(shape[i])
		}
	}
	return &all[0]
}

// plan takes the algorithm that float32 prefers, which is deterministic, and asks for the bytes of
// its workspace. None is measured.
func (c *halfConvolution) plan() error {
	p := &c.parts
	if p.convolution == nil {
		return nil // what describe has failed to make
	}
	switch c.kind {
	case ops.Conv2DForward, ops.Conv2DWeightGradient, ops.Conv2DInputGradient:
	default:
		return fmt.Errorf("an operator of kind %d is no convolution", c.kind)
	}
	pass := passOf(c.kind)
	p.algorithm = preferred[pass]
	call := legacyConvolution{of: C.slipway_convolution{handle: p.handle, x: p.x, w: p.w, y: p.y,
		convolution: p.convolution, pass: pass}}
	bytes, err := call.workspace(algorithm{number: p.algorithm})
	p.bytes = C.size_t(bytes)
	return err
}

// workspaceBytes is what the workspace has to have.
func (c *halfConvolution) workspaceBytes() int64 { return int64(c.parts.bytes) }

// call is the name of cuDNN's.
func (c *halfConvolution) call() string {
	switch c.kind {
	case ops.Conv2DForward:
		return "cudnnConvolutionForward"
	case ops.Conv2DWeightGradient:
		return "cudnnConvolutionBackwardFilter"
	}
	return "cudnnConvolutionBackwardData"
}

// run puts the convolution into a stream: x, w and y are what it reads and writes.
func (c *halfConvolution) run(on *lane, x, w, y, workspace *buffer) error {
	p := c.parts
	p.handle = dnnHandle(on.dnn)
	p.x_values, p.w_values = C.CUdeviceptr(x.address), C.CUdeviceptr(w.address)
	p.y_values, p.workspace = C.CUdeviceptr(y.address), C.CUdeviceptr(workspace.address)
	var status C.int
	switch c.kind {
	case ops.Conv2DForward:
		status = C.slipway_bf16_forward(p)
	case ops.Conv2DWeightGradient:
		status = C.slipway_bf16_filter_gradient(p)
	default:
		status = C.slipway_bf16_data_gradient(p)
	}
	return dnnCall(c.call(), status)
}

// close frees the descriptors.
func (c *halfConvolution) close() error {
	var all []error
	for _, d := range []unsafe.Pointer{c.parts.x, c.parts.y} {
		if d != nil {
			all = append(all, dnnCall("cudnnDestroyTensorDescriptor", C.slipway_bf16_destroy_tensor(d)))
		}
	}
	if d := c.parts.w; d != nil {
		all = append(all, dnnCall("cudnnDestroyFilterDescriptor", C.slipway_dnn_destroy_filter(d)))
	}
	if d := c.parts.convolution; d != nil {
		all = append(all, dnnCall("cudnnDestroyConvolutionDescriptor",
			C.slipway_bf16_destroy_convolution(d)))
	}
	c.parts = C.struct_slipway_bf16_parts{}
	return errors.Join(all...)
}

// halfProduct is product of matrices of bfloat16; what it writes is float32 if it is wide.
func halfProduct(blas *cublas.Standard, wide bool, ta, tb form, rows, columns, inner int, a *buffer,
	lda int, b *buffer, ldb int, c *buffer, ldc int) error {
	return blasCall("cublasGemmEx", C.slipway_bf16_product(blasHandle(blas), C.int(flag(wide)),
		C.int(ta), C.int(tb), C.int(rows), C.int(columns), C.int(inner), C.CUdeviceptr(a.address),
		C.int(lda), C.CUdeviceptr(b.address), C.int(ldb), C.CUdeviceptr(c.address), C.int(ldc)))
}
