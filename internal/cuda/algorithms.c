//go:build gpu && linux && amd64

#include "algorithms.h"

#include <cudnn.h>

/* The three passes have a type of their own each for the same fields. */
#define COPY(found, perf, count)                                                                                                      \
    for (int i = 0; i < count; i++)                                                                                                   \
    found[i] = (slipway_found){perf[i].algo, perf[i].status, perf[i].determinism == CUDNN_DETERMINISTIC, perf[i].mathType, perf[i].time, \
                               perf[i].memory}

int slipway_dnn_find(slipway_convolution of, slipway_address x_values, slipway_address w_values, slipway_address y_values, slipway_address memory,
                     size_t bytes, slipway_found *found, int *count) {
    void *x = (void *)x_values, *w = (void *)w_values, *y = (void *)y_values, *workspace = (void *)memory;
    cudnnConvolutionFwdAlgoPerf_t forward[SLIPWAY_MOST_FOUND];
    cudnnConvolutionBwdFilterAlgoPerf_t filter[SLIPWAY_MOST_FOUND];
    cudnnConvolutionBwdDataAlgoPerf_t data[SLIPWAY_MOST_FOUND];
    int status;
    *count = 0;
    switch (of.pass) {
    case SLIPWAY_FORWARD:
        status = cudnnFindConvolutionForwardAlgorithmEx(of.handle, of.x, x, of.w, w, of.convolution, of.y, y, SLIPWAY_MOST_FOUND, count, forward,
                                                        workspace, bytes);
        COPY(found, forward, *count);
        return status;
    case SLIPWAY_FILTER:
        status = cudnnFindConvolutionBackwardFilterAlgorithmEx(of.handle, of.x, x, of.y, y, of.convolution, of.w, w, SLIPWAY_MOST_FOUND, count,
                                                               filter, workspace, bytes);
        COPY(found, filter, *count);
        return status;
    default:
        status = cudnnFindConvolutionBackwardDataAlgorithmEx(of.handle, of.w, w, of.y, y, of.convolution, of.x, x, SLIPWAY_MOST_FOUND, count, data,
                                                             workspace, bytes);
        COPY(found, data, *count);
        return status;
    }
}

int slipway_dnn_suggest(slipway_convolution of, slipway_found *found, int *count) {
    cudnnConvolutionFwdAlgoPerf_t forward[SLIPWAY_MOST_FOUND];
    cudnnConvolutionBwdFilterAlgoPerf_t filter[SLIPWAY_MOST_FOUND];
    cudnnConvolutionBwdDataAlgoPerf_t data[SLIPWAY_MOST_FOUND];
    int status;
    *count = 0;
    switch (of.pass) {
    case SLIPWAY_FORWARD:
        status = cudnnGetConvolutionForwardAlgorithm_v7(of.handle, of.x, of.w, of.convolution, of.y, SLIPWAY_MOST_FOUND, count, forward);
        COPY(found, forward, *count);
        return status;
    case SLIPWAY_FILTER:
        status = cudnnGetConvolutionBackwardFilterAlgorithm_v7(of.handle, of.x, of.y, of.convolution, of.w, SLIPWAY_MOST_FOUND, count, filter);
        COPY(found, filter, *count);
        return status;
    default:
        status = cudnnGetConvolutionBackwardDataAlgorithm_v7(of.handle, of.w, of.y, of.convolution, of.x, SLIPWAY_MOST_FOUND, count, data);
        COPY(found, data, *count);
        return status;
    }
}

int slipway_dnn_workspace(slipway_convolution of, int algorithm, size_t *bytes) {
    *bytes = 0;
    switch (of.pass) {
    case SLIPWAY_FORWARD: return cudnnGetConvolutionForwardWorkspaceSize(of.handle, of.x, of.w, of.convolution, of.y, algorithm, bytes);
    case SLIPWAY_FILTER: return cudnnGetConvolutionBackwardFilterWorkspaceSize(of.handle, of.x, of.y, of.convolution, of.w, algorithm, bytes);
    default: return cudnnGetConvolutionBackwardDataWorkspaceSize(of.handle, of.w, of.y, of.convolution, of.x, algorithm, bytes);
    }
}

int slipway_dnn_set_math_type(void *convolution, int math) { return cudnnSetConvolutionMathType(convolution, math); }
