/* cuBLAS, as "cuBLAS Library", CUDA Toolkit documentation 13.0, describes it. */
#include "simulator.h"

#include <cublas_v2.h>

struct cublasContext {
    cudaStream_t stream = nullptr;
    size_t workspace = 0;
};

using namespace simulator;

#define ENTER \
    if (int fault = enter(__func__)) return (cublasStatus_t)fault

/* C = alpha * op(A) * op(B) + beta * C, columns first: "2.7.1 cublas<t>gemm". With beta 0, C need not be a valid input. */
static cublasStatus_t multiply(const char *call, bool reduced, cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                               const float *alpha_address, const float *a, int lda, const float *b, int ldb, const float *beta_address, float *c,
                               int ldc) {
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    bool at = ta != CUBLAS_OP_N, bt = tb != CUBLAS_OP_N;
    int max1 = 1;
    auto least = [&](int rows) { return rows > max1 ? rows : max1; };
    if (m < 0 || n < 0 || k < 0 || lda < least(at ? k : m) || ldb < least(bt ? n : k) || ldc < least(m)) {
        violate("%s: m %d, n %d, k %d, lda %d, ldb %d, ldc %d", call, m, n, k, lda, ldb, ldc);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (!handle->workspace) violate("%s: its handle has no workspace of the caller's and may allocate", call);
    float alpha = *alpha_address, beta = *beta_address;
    int failed = submit(handle->stream, [=]() -> int {
        size_t a_size = (size_t)lda * ((at ? m : k) - 1) + (at ? k : m), b_size = (size_t)ldb * ((bt ? k : n) - 1) + (bt ? n : k);
        size_t c_size = (size_t)ldc * (n - 1) + m;
        spend();
        note("product %d %d %d", m, n, k);
        if (!readable(call, "A", a, a_size) ||
            !readable(call, "B", b, b_size) || (beta && !readable(call, "C", c, c_size)) || !reachable(call, "C", c, c_size * 4, written))
            return CUBLAS_STATUS_EXECUTION_FAILED;
        if (state().shallow) {
            for (int j = 0; j < n; j++) pretend(c + (size_t)j * ldc, m);
            return 0;
        }
        std::vector<float> left((size_t)m * k), right((size_t)n * k);
        for (int i = 0; i < m; i++)
            for (int l = 0; l < k; l++) left[(size_t)i * k + l] = at ? a[l + (size_t)i * lda] : a[i + (size_t)l * lda];
        for (int j = 0; j < n; j++)
            for (int l = 0; l < k; l++) right[(size_t)j * k + l] = bt ? b[j + (size_t)l * ldb] : b[l + (size_t)j * ldb];
        if (reduced) {
            count((std::string("TF32 ") + call).c_str());
            for (float &value : left) value = tf32(value);
            for (float &value : right) value = tf32(value);
        }
        for (int j = 0; j < n; j++)
            for (int i = 0; i < m; i++) {
                const float *x = &left[(size_t)i * k], *y = &right[(size_t)j * k];
                double sum = 0;
#pragma omp simd reduction(+ : sum)
                for (int l = 0; l < k; l++) sum += (double)x[l] * y[l];
                float &out = c[i + (size_t)j * ldc];
                out = (float)(alpha * sum + (beta ? (double)beta * out : 0));
            }
        return 0;
    });
    return (cublasStatus_t)failed;
}

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
    ENTER;
    needs_primary(__func__);
    *handle = new cublasContext;
    live("cuBLAS handle", 1);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    outlives(__func__, handle->stream);
    delete handle;
    live("cuBLAS handle", -1);
    return CUBLAS_STATUS_SUCCESS;
}
const char *cublasGetStatusName(cublasStatus_t status) {
    switch (status) {
    case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    default: return "a cuBLAS status that the simulator has no name for";
    }
}
cublasStatus_t cublasGetVersion_v2(cublasHandle_t, int *version) {
    *version = CUBLAS_VERSION;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    ENTER;
    /* "unconditionally resets the cuBLAS library workspace back to the default workspace pool" */
    handle->stream = stream;
    handle->workspace = 0;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes) {
    ENTER;
    if (!reachable(__func__, "workspace", workspace, bytes)) return CUBLAS_STATUS_INVALID_VALUE;
    handle->workspace = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const float *alpha,
                              const float *a, int lda, const float *b, int ldb, const float *beta, float *c, int ldc) {
    ENTER;
    return multiply("cublasSgemm", false, handle, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
/* "cublasGemmEx": of float32 alone here. */
cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const void *alpha, const void *a,
                            cudaDataType a_type, int lda, const void *b, cudaDataType b_type, int ldb, const void *beta, void *c, cudaDataType c_type,
                            int ldc, cublasComputeType_t compute, cublasGemmAlgo_t algorithm) {
    ENTER;
    const char *call = "cublasGemmEx";
    if (a_type != CUDA_R_32F || b_type != CUDA_R_32F || c_type != CUDA_R_32F || algorithm != CUBLAS_GEMM_DEFAULT ||
        (compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_FAST_TF32)) {
        violate("%s: other types than float32, or another algorithm than the default", call);
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    bool reduced = compute == CUBLAS_COMPUTE_32F_FAST_TF32 && grants_tf32(call);
    return multiply(call, reduced, handle, ta, tb, m, n, k, (const float *)alpha, (const float *)a, lda, (const float *)b, ldb, (const float *)beta,
                    (float *)c, ldc);
}
}
