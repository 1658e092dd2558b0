/* What gorgonia.org/cu does not have, or not soundly, and this package needs: launches, stream capture, streams of the two
 * libraries' handles, workspaces, products, and the names of errors. Handles and descriptors come as the pointers that they
 * are. */
#ifndef SLIPWAY_CUDA_NATIVE_H
#define SLIPWAY_CUDA_NATIVE_H

#include <cuda.h>
#include <stddef.h>

/* Each answers a CUresult, a cudnnStatus_t or a cublasStatus_t; 0 is success. */
int slipway_capture_begin(CUstream stream);
int slipway_capture_end(CUstream stream, CUgraphExec *graph);
int slipway_graph_launch(CUgraphExec graph, CUstream stream);
int slipway_graph_destroy(CUgraphExec graph);
/* Launches a kernel of at most that many arguments, each the first bytes of its value. */
enum { SLIPWAY_ARGUMENTS = 24 };
int slipway_launch(CUfunction function, unsigned blocks, unsigned rows, unsigned threads, CUstream stream, unsigned long long *values, int count);
int slipway_stream_wait(CUstream stream);
int slipway_copy_async(CUdeviceptr destination, CUdeviceptr source, size_t bytes, CUstream stream);
/* Page-locked memory of the host. The host reads it, too, so that it is not write-combined. */
int slipway_host_allocate(void **memory, size_t bytes);
int slipway_zero_async(CUdeviceptr destination, size_t words, CUstream stream);

const char *slipway_driver_error(int result);
const char *slipway_dnn_error(int status);
void slipway_dnn_last_error(char *message, size_t size);
int slipway_dnn_version(void);
int slipway_dnn_runtime(void);
int slipway_dnn_set_stream(void *handle, CUstream stream);
/* The math type: TF32 where the device has it, or float32 by FMA alone. */
int slipway_dnn_set_math(void *convolution, int tf32);
int slipway_dnn_set_groups(void *convolution, int groups);
int slipway_dnn_is_fma(void *convolution, int *fma);
int slipway_dnn_destroy_filter(void *filter);

const char *slipway_blas_error(int status);
int slipway_blas_version(void *handle, int *version);
int slipway_blas_set_stream(void *handle, CUstream stream);
/* C = op(A)·op(B); in TF32, what is multiplied is rounded to it, where the device has it. */
int slipway_blas_product(void *handle, int tf32, int transpose_a, int transpose_b, int rows, int columns, int inner, CUdeviceptr a, int lda,
                         CUdeviceptr b, int ldb, CUdeviceptr c, int ldc);
int slipway_blas_set_workspace(void *handle, CUdeviceptr workspace, size_t bytes);

#endif
