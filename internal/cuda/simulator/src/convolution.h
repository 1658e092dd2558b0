/* What the legacy calls of cuDNN and its graph API have in common: tensors and convolutions. */
#ifndef SLIPWAY_SIMULATOR_CONVOLUTION_H
#define SLIPWAY_SIMULATOR_CONVOLUTION_H

#include "simulator.h"

#include <cudnn.h>

struct cudnnContext {
    cudaStream_t stream = nullptr;
};
struct cudnnTensorStruct {
    int n, c, h, w;
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    size_t size() const { return (size_t)n * c * h * w; }
};
struct cudnnFilterStruct {
    int k, c, h, w;
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    size_t size() const { return (size_t)k * c * h * w; }
};
struct cudnnConvolutionStruct {
    int pad_h = 0, pad_w = 0, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1, groups = 1;
    cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    cudnnMathType_t math = CUDNN_DEFAULT_MATH;
    bool math_is_set = false; /* behind the rest of the descriptor */
};

namespace simulator {

/* Counts a call of cuDNN's, and returns the fault that it was to have, or 0; the fault is its thread's last error. */
int cudnn_enters(const char *call);

/* Whether floats can be read, or written, beta * what was there among it. */
bool reads(const char *call, const char *what, const void *values, size_t count);
bool writes(const char *call, const char *what, void *values, size_t count, float beta);

int output_size(int in, int pad, int window, int stride, int dilation);

enum Pass { forward, filter_gradient, data_gradient };

/* The bytes that a pass asks for here: some, so that a workspace must be there. Algorithm 1 is what plans have, too. */
size_t workspace_bytes(Pass pass, const cudnnTensorStruct &x, const cudnnFilterStruct &w, int algorithm = 1);

/* How many times as long as the first choice an algorithm takes, 0 where it is not supported. */
double slowness(Pass pass, int algorithm);

/* Whether an algorithm adds up in any order, with other bits each time. */
bool in_any_order(Pass pass, int algorithm);

/* Whether the shapes of a convolution agree: a violation says which do not. */
bool agree(const char *call, cudnnTensorStruct x, cudnnFilterStruct w, cudnnConvolutionStruct c, cudnnTensorStruct y);

/* Computes a pass: x, w and y are what it reads and writes. With another math type than FMA_MATH what is multiplied is
 * rounded to TF32. */
void convolve(Pass pass, cudnnTensorStruct x, cudnnTensorStruct y, cudnnFilterStruct w, cudnnConvolutionStruct c, float *x_values, float *w_values,
              float *y_values, float alpha, float beta);

/* destination = alpha * value + beta * destination; with beta 0 the destination is not read ("Scaling Parameters"). */
inline void blend(float *destination, float alpha, double value, float beta) {
    *destination = (float)(alpha * value + (beta ? (double)beta * *destination : 0));
}

} // namespace simulator

#endif
