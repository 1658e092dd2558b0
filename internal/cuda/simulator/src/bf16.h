/* Tensors of bfloat16, the upper halves of float32. */
#ifndef SLIPWAY_SIMULATOR_BF16_H
#define SLIPWAY_SIMULATOR_BF16_H

#include "convolution.h"

namespace simulator {

/* The bfloat16 next to x, of two as near the one that is even. */
uint16_t bf16(float x);
float of_bf16(uint16_t x);

/* Whether a call that takes bfloat16 may: a violation unless somebody wants it, and not before compute capability 8.0. */
bool grants_bf16(const char *call);

/* Reads values of that format as float32, or fails. */
bool load(const char *call, const char *what, const void *values, size_t count, Format format, std::vector<float> &into);

/* Whether values of that format can be written. */
bool room(const char *call, const char *what, const void *values, size_t count, Format format);

/* Writes float32 in that format, bfloat16 rounded. */
void store(const std::vector<float> &from, void *values, Format format);

/* A pass of a convolution all of whose tensors are bfloat16: products and sums in float64, rounded to float32 once and to bfloat16 then. */
int convolve_bf16(const char *call, Pass pass, cudnnTensorStruct x, cudnnTensorStruct y, cudnnFilterStruct w, cudnnConvolutionStruct c, const void *x_values,
                  const void *w_values, const void *y_values);

} // namespace simulator

#endif
