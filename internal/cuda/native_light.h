/* cuBLASLt's product, with the addresses of the device that cgo has as numbers. */
#ifndef SLIPWAY_CUDA_NATIVE_LIGHT_H
#define SLIPWAY_CUDA_NATIVE_LIGHT_H

#include <cublasLt.h>
#include <cuda.h>

/* What a product is computed by, whatever its matrices hold. */
struct slipway_light_matmul {
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t a, b, d;
    cublasLtMatmulAlgo_t algorithm;
};

/* Puts D = op(A)·op(B), with its epilogue, into a stream. Answers a cublasStatus_t. */
int slipway_light_run(const struct slipway_light_matmul *matmul, CUdeviceptr a, CUdeviceptr b,
                      CUdeviceptr d, CUdeviceptr workspace, size_t bytes, CUstream stream);

#endif
