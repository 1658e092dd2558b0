//go:build gpu && linux && amd64

#include "native.h"

#include <cublas_v2.h>
#include <cudnn.h>

int slipway_capture_begin(CUstream stream) { return cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL); }

int slipway_capture_end(CUstream stream, CUgraphExec *executable) {
    CUgraph graph = 0;
    int result = cuStreamEndCapture(stream, &graph);
    if (result != CUDA_SUCCESS) return result;
    result = cuGraphInstantiateWithFlags(executable, graph, 0);
    int destroyed = cuGraphDestroy(graph);
    if (result == CUDA_SUCCESS && destroyed != CUDA_SUCCESS) cuGraphExecDestroy(*executable);
    return result != CUDA_SUCCESS ? result : destroyed;
}

int slipway_graph_launch(CUgraphExec graph, CUstream stream) { return cuGraphLaunch(graph, stream); }
int slipway_graph_destroy(CUgraphExec graph) { return cuGraphExecDestroy(graph); }
int slipway_launch(CUfunction function, unsigned blocks, unsigned rows, unsigned threads, CUstream stream, unsigned long long *values, int count) {
    void *arguments[SLIPWAY_ARGUMENTS];
    if (count > SLIPWAY_ARGUMENTS) return CUDA_ERROR_INVALID_VALUE;
    for (int i = 0; i < count; i++) arguments[i] = values + i;
    return cuLaunchKernel(function, blocks, rows, 1, threads, 1, 1, 0, stream, arguments, 0);
}

int slipway_stream_wait(CUstream stream) { return cuStreamSynchronize(stream); }

int slipway_copy_async(CUdeviceptr destination, CUdeviceptr source, size_t bytes, CUstream stream) {
    return cuMemcpyDtoDAsync(destination, source, bytes, stream);
}

int slipway_zero_async(CUdeviceptr destination, size_t words, CUstream stream) { return cuMemsetD32Async(destination, 0, words, stream); }

int slipway_host_allocate(void **memory, size_t bytes) { return cuMemHostAlloc(memory, bytes, 0); }

const char *slipway_driver_error(int result) {
    const char *name = 0;
    return cuGetErrorName(result, &name) == CUDA_SUCCESS && name ? name : "";
}

const char *slipway_dnn_error(int status) { return cudnnGetErrorString(status); }

void slipway_dnn_last_error(char *message, size_t size) {
    message[0] = 0;
    cudnnGetLastErrorString(message, size);
    message[size - 1] = 0;
}

int slipway_dnn_version(void) { return (int)cudnnGetVersion(); }
int slipway_dnn_runtime(void) { return (int)cudnnGetCudartVersion(); }
int slipway_dnn_set_stream(void *handle, CUstream stream) { return cudnnSetStream(handle, (cudaStream_t)stream); }

/* Of tensors of float32 CUDNN_DEFAULT_MATH permits TF32 from compute capability 8.0 on, and nothing less than that. */
int slipway_dnn_set_math(void *convolution, int tf32) {
    return cudnnSetConvolutionMathType(convolution, tf32 ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH);
}

int slipway_dnn_set_groups(void *convolution, int groups) { return cudnnSetConvolutionGroupCount(convolution, groups); }

int slipway_dnn_is_fma(void *convolution, int *fma) {
    cudnnMathType_t type = CUDNN_DEFAULT_MATH;
    int status = cudnnGetConvolutionMathType(convolution, &type);
    *fma = type == CUDNN_FMA_MATH;
    return status;
}

int slipway_dnn_destroy_filter(void *filter) { return cudnnDestroyFilterDescriptor(filter); }

const char *slipway_blas_error(int status) { return cublasGetStatusName(status); }
int slipway_blas_version(void *handle, int *version) { return cublasGetVersion(handle, version); }
int slipway_blas_set_stream(void *handle, CUstream stream) { return cublasSetStream(handle, (cudaStream_t)stream); }

/* cublasSgemm with alpha 1 and beta 0, or the same in TF32 by a call that says so itself: the handle's math mode, which would
 * say it for all that follow, stays as it is. */
int slipway_blas_product(void *handle, int tf32, int transpose_a, int transpose_b, int rows, int columns, int inner, CUdeviceptr a, int lda,
                         CUdeviceptr b, int ldb, CUdeviceptr c, int ldc) {
    const float one = 1, zero = 0;
    cublasOperation_t op_a = transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, op_b = transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    if (tf32)
        return cublasGemmEx(handle, op_a, op_b, rows, columns, inner, &one, (const void *)a, CUDA_R_32F, lda, (const void *)b, CUDA_R_32F, ldb,
                            &zero, (void *)c, CUDA_R_32F, ldc, CUBLAS_COMPUTE_32F_FAST_TF32, CUBLAS_GEMM_DEFAULT);
    return cublasSgemm(handle, op_a, op_b, rows, columns, inner, &one, (const float *)a, lda, (const float *)b, ldb, &zero, (float *)c, ldc);
}

int slipway_blas_set_workspace(void *handle, CUdeviceptr workspace, size_t bytes) {
    return cublasSetWorkspace(handle, (void *)workspace, bytes);
}
