//go:build gpu && linux && amd64

package cuda

// #include <cudnn.h>
import "C"

import (
	"unsafe"

	"gorgonia.org/tensor"

	"slipway/internal/ops"
)

// fusedConvolution is a convolution with the bias behind it, and the ReLU behind that: what the
// graph API computes in one call.
type fusedConvolution struct {
	x, w, y                       tensor.Shape
	window                        ops.Window // with the same padding on both sides
	dilationHeight, dilationWidth int
	rectifier                     bool
	products                      arithmetic // which engines will do
}

// The identities of the graph's tensors. The last two are virtual: nobody writes them.
const (
	identityX int64 = 1 + iota
	identityW
	identityBias
	identityY
	identityConvolved
	identityBiased
)

// vectorBytes is what the addresses of tensors are multiples of.
const vectorBytes = 16

// operations describes the graph's operations in order.
func (f fusedConvolution) operations(d *descriptors) []descriptor {
	x, w := d.tensor("x", identityX, f.x, false), d.tensor("w", identityW, f.w, false)
	bias := d.tensor("the bias", identityBias, tensor.Shape{1, f.w[0], 1, 1}, false)
	convolved := d.tensor("the convolution's output", identityConvolved, f.y, true)
	y := d.tensor("y", identityY, f.y, false)
	biased := y
	if f.rectifier {
		biased = d.tensor("the sum with the bias", identityBiased, f.y, true)
	}
	all := []descriptor{
		f.convolution(d, x, w, convolved),
		d.pointwise("the bias's addition", C.CUDNN_POINTWISE_ADD, convolved, bias, biased),
	}
	if f.rectifier {
		all = append(all, d.pointwise("the ReLU", C.CUDNN_POINTWISE_RELU_FWD, biased, nil, y))
	}
	return all
}

// tensor describes a packed N×C×H×W tensor of float32.
func (d *descriptors) tensor(what string, identity int64, shape tensor.Shape,
	virtual bool) descriptor {
	sizes, strides := make([]int64, len(shape)), make([]int64, len(shape))
	stride := int64(1)
	for i := len(shape) - 1; i >= 0; i-- {
		sizes[i], strides[i] = int64(shape[i]), stride
		stride *= sizes[i]
	}
	made := d.create(what, C.CUDNN_BACKEND_TENSOR_DESCRIPTOR)
	setType(d, what, made, C.CUDNN_ATTR_TENSOR_DATA_TYPE)
	set(d, what, made, C.CUDNN_ATTR_TENSOR_DIMENSIONS, C.CUDNN_TYPE_INT64, sizes...)
	set(d, what, made, C.CUDNN_ATTR_TENSOR_STRIDES, C.CUDNN_TYPE_INT64, strides...)
	set(d, what, made, C.CUDNN_ATTR_TENSOR_UNIQUE_ID, C.CUDNN_TYPE_INT64, identity)
	set(d, what, made, C.CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, C.CUDNN_TYPE_INT64, int64(vectorBytes))
	set(d, what, made, C.CUDNN_ATTR_TENSOR_IS_VIRTUAL, C.CUDNN_TYPE_BOOLEAN, virtual)
	d.finalize(what, made)
	return made
}

// setType has a descriptor hold, or compute with, float32.
func setType(d *descriptors, what string, of descriptor, name C.cudnnBackendAttributeName_t) {
	set(d, what, of, name, C.CUDNN_TYPE_DATA_TYPE, C.cudnnDataType_t(C.CUDNN_DATA_FLOAT))
}

func (f fusedConvolution) convolution(d *descriptors, x, w, y descriptor) descriptor {
	const what = "the convolution"
	pair := func(of descriptor, name C.cudnnBackendAttributeName_t, height, width int) {
		set(d, what, of, name, C.CUDNN_TYPE_INT64, int64(height), int64(width))
	}
	c := d.create(what, C.CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR)
	setType(d, what, c, C.CUDNN_ATTR_CONVOLUTION_COMP_TYPE)
	set(d, what, c, C.CUDNN_ATTR_CONVOLUTION_CONV_MODE, C.CUDNN_TYPE_CONVOLUTION_MODE,
		C.cudnnConvolutionMode_t(C.CUDNN_CROSS_CORRELATION))
	set(d, what, c, C.CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, C.CUDNN_TYPE_INT64, int64(2))
	pair(c, C.CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, f.window.PaddingHeight, f.window.PaddingWidth)
	pair(c, C.CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, f.window.PaddingHeight, f.window.PaddingWidth)
	pair(c, C.CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, f.window.StrideHeight, f.window.StrideWidth)
	pair(c, C.CUDNN_ATTR_CONVOLUTION_DILATIONS, f.dilationHeight, f.dilationWidth)
	d.finalize(what, c)

	made := d.create(what, C.CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR)
	refer(d, what, made, C.CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x)
	refer(d, what, made, C.CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w)
	refer(d, what, made, C.CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y)
	refer(d, what, made, C.CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, c)
	set(d, what, made, C.CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, C.CUDNN_TYPE_FLOAT,
		float32(1))
	set(d, what, made, C.CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, C.CUDNN_TYPE_FLOAT,
		float32(0))
	d.finalize(what, made)
	return made
}

// pointwise describes y = x + b with values repeated where b has one, or y = ReLU(x).
func (d *descriptors) pointwise(what string, mode C.cudnnPointwiseMode_t,
	x, b, y descriptor) descriptor {
	p := d.create(what, C.CUDNN_BACKEND_POINTWISE_DESCRIPTOR)
	set(d, what, p, C.CUDNN_ATTR_POINTWISE_MODE, C.CUDNN_TYPE_POINTWISE_MODE, mode)
	setType(d, what, p, C.CUDNN_ATTR_POINTWISE_MATH_PREC)
	if b == nil {
		set(d, what, p, C.CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, C.CUDNN_TYPE_NAN_PROPOGATION,
			C.cudnnNanPropagation_t(C.CUDNN_PROPAGATE_NAN))
	}
	d.finalize(what, p)
	made := d.create(what, C.CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR)
	refer(d, what, made, C.CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, p)
	refer(d, what, made, C.CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x)
	if b != nil {
		refer(d, what, made, C.CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b)
	}
	refer(d, what, made, C.CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y)
	d.finalize(what, made)
	return made
}

// refer has a descriptor refer to others.
func refer(d *descriptors, what string, of descriptor, name C.cudnnBackendAttributeName_t,
	to ...descriptor) {
	set(d, what, of, name, C.CUDNN_TYPE_BACKEND_DESCRIPTOR, to...)
}

// graph describes the operation graph, for a handle unless that is nil.
func (f fusedConvolution) graph(d *descriptors, handle unsafe.Pointer) descriptor {
	const what = "the operation graph"
	operations := f.operations(d)
	made := d.create(what, C.CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)
	refer(d, what, made, C.CUDNN_ATTR_OPERATIONGRAPH_OPS, operations...)
	if handle != nil {
		set(d, what, made, C.CUDNN_ATTR_OPERATIONGRAPH_HANDLE, C.CUDNN_TYPE_HANDLE, handle)
	}
	d.finalize(what, made)
	return made
}
