/* Convolutions and products of tensors of bfloat16, added up in float32, which package cu/dnn does not know. Descriptors come as the
 * pointers that they are. Each answers a cudnnStatus_t or a cublasStatus_t; 0 is success. */
#ifndef SLIPWAY_CUDA_NATIVE_BF16_H
#define SLIPWAY_CUDA_NATIVE_BF16_H

#include <cuda.h>
#include <stddef.h>

/* Make packed N x C x H x W descriptors; what fails leaves none. */
int slipway_bf16_tensor(void **made, const int *shape);
int slipway_bf16_filter(void **made, const int *shape);
/* Padding, strides and dilations, of height and width. */
int slipway_bf16_convolution(void **made, const int *padding, const int *strides, const int *dilations, int groups);
int slipway_bf16_destroy_tensor(void *tensor);
int slipway_bf16_destroy_convolution(void *convolution);

/* What a convolution is made of. */
struct slipway_bf16_parts {
    void *handle, *x, *w, *y, *convolution;
    CUdeviceptr x_values, w_values, y_values, workspace;
    size_t bytes;
    int algorithm;
};
int slipway_bf16_forward(struct slipway_bf16_parts p);
int slipway_bf16_filter_gradient(struct slipway_bf16_parts p);
int slipway_bf16_data_gradient(struct slipway_bf16_parts p);

/* C = op(A)·op(B) of bfloat16, C rounded to it or, if wide, of float32. */
int slipway_bf16_product(void *handle, int wide, int transpose_a, int transpose_b, int rows, int columns, int inner, CUdeviceptr a, int lda,
                         CUdeviceptr b, int ldb, CUdeviceptr c, int ldc);

#endif
