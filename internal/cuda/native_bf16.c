//go:build gpu && linux && amd64

#include "native_bf16.h"

#include <cublas_v2.h>
#include <cudnn.h>

int slipway_bf16_tensor(void **made, const int *shape) {
    cudnnTensorDescriptor_t d = 0;
    int status = cudnnCreateTensorDescriptor(&d);
    if (status != 0) return status;
    status = cudnnSetTensor4dDescriptor(d, CUDNN_TENSOR_NCHW, CUDNN_DATA_BFLOAT16, shape[0], shape[1], shape[2], shape[3]);
    if (status != 0) cudnnDestroyTensorDescriptor(d);
    else *made = d;
    return status;
}

int slipway_bf16_filter(void **made, const int *shape) {
    cudnnFilterDescriptor_t d = 0;
    int status = cudnnCreateFilterDescriptor(&d);
    if (status != 0) return status;
    status = cudnnSetFilter4dDescriptor(d, CUDNN_DATA_BFLOAT16, CUDNN_TENSOR_NCHW, shape[0], shape[1], shape[2], shape[3]);
    if (status != 0) cudnnDestroyFilterDescriptor(d);
    else *made = d;
    return status;
}

/* Tensor cores are permitted, and no conversion to less than what the tensors are. */
int slipway_bf16_convolution(void **made, const int *padding, const int *strides, const int *dilations, int groups) {
    cudnnConvolutionDescriptor_t d = 0;
    int status = cudnnCreateConvolutionDescriptor(&d);
    if (status != 0) return status;
    status = cudnnSetConvolution2dDescriptor(d, padding[0], padding[1], strides[0], strides[1], dilations[0], dilations[1], CUDNN_CROSS_CORRELATION,
                                             CUDNN_DATA_FLOAT);
    if (status == 0) status = cudnnSetConvolutionMathType(d, CUDNN_TENSOR_OP_MATH);
    if (status == 0 && groups > 1) status = cudnnSetConvolutionGroupCount(d, groups);
    if (status != 0) cudnnDestroyConvolutionDescriptor(d);
    else *made = d;
    return status;
}

int slipway_bf16_destroy_tensor(void *tensor) { return cudnnDestroyTensorDescriptor(tensor); }
int slipway_bf16_destroy_convolution(void *convolution) { return cudnnDestroyConvolutionDescriptor(convolution); }

int slipway_bf16_forward(struct slipway_bf16_parts p) {
    const float one = 1, zero = 0;
    return cudnnConvolutionForward(p.handle, &one, p.x, (const void *)p.x_values, p.w, (const void *)p.w_values, p.convolution, p.algorithm,
                                   (void *)p.workspace, p.bytes, &zero, p.y, (void *)p.y_values);
}

int slipway_bf16_filter_gradient(struct slipway_bf16_parts p) {
    const float one = 1, zero = 0;
    return cudnnConvolutionBackwardFilter(p.handle, &one, p.x, (const void *)p.x_values, p.y, (const void *)p.y_values, p.convolution, p.algorithm,
                                          (void *)p.workspace, p.bytes, &zero, p.w, (void *)p.w_values);
}

int slipway_bf16_data_gradient(struct slipway_bf16_parts p) {
    const float one = 1, zero = 0;
    return cudnnConvolutionBackwardData(p.handle, &one, p.w, (const void *)p.w_values, p.y, (const void *)p.y_values, p.convolution, p.algorithm,
                                        (void *)p.workspace, p.bytes, &zero, p.x, (void *)p.x_values);
}

/* cuBLAS may divide a long sum and round its parts to the type of C, which the handle's math mode forbids. It is as it was when the
 * call is done: it is the host's alone, and other products are as they are. */
int slipway_bf16_product(void *handle, int wide, int transpose_a, int transpose_b, int rows, int columns, int inner, CUdeviceptr a, int lda,
                         CUdeviceptr b, int ldb, CUdeviceptr c, int ldc) {
    const float one = 1, zero = 0;
    cublasOperation_t op_a = transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, op_b = transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    int status = cublasSetMathMode(handle, CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);
    if (status != 0) return status;
    status = cublasGemmEx(handle, op_a, op_b, rows, columns, inner, &one, (const void *)a, CUDA_R_16BF, lda, (const void *)b, CUDA_R_16BF, ldb, &zero,
                          (void *)c, wide ? CUDA_R_32F : CUDA_R_16BF, ldc, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    int restored = cublasSetMathMode(handle, CUBLAS_DEFAULT_MATH);
    return status != 0 ? status : restored;
}
