/* The algorithms of cuDNN's legacy convolutions, of all three passes by the same calls. */
#ifndef SLIPWAY_CUDA_ALGORITHMS_H
#define SLIPWAY_CUDA_ALGORITHMS_H

#include <stddef.h>

enum { SLIPWAY_FORWARD, SLIPWAY_FILTER, SLIPWAY_DATA };

/* A pass of a convolution, by the handles of its descriptors. */
typedef struct {
    void *handle, *x, *w, *convolution, *y;
    int pass;
} slipway_convolution;

/* What cuDNN says of an algorithm: a time below 0 is none. */
typedef struct {
    int algorithm, status, deterministic, math;
    float milliseconds;
    size_t memory;
} slipway_found;

/* Each answers a cudnnStatus_t, and writes at most room algorithms, in cuDNN's order. The first runs them all, which overwrites
 * what the pass writes and waits for the device. */
enum { SLIPWAY_MOST_FOUND = 64 };
typedef unsigned long long slipway_address; /* of the device */
int slipway_dnn_find(slipway_convolution of, slipway_address x, slipway_address w, slipway_address y, slipway_address workspace, size_t bytes,
                     slipway_found *found, int *count);
int slipway_dnn_suggest(slipway_convolution of, slipway_found *found, int *count);
int slipway_dnn_workspace(slipway_convolution of, int algorithm, size_t *bytes);
int slipway_dnn_set_math_type(void *convolution, int math);

#endif
