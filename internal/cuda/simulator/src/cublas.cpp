/* cuBLAS, as "cuBLAS Library", CUDA Toolkit documentation 13.0, describes it. */
#include "bf16.h"

#include <cublas_v2.h>

struct cublasContext {
    cudaStream_t stream = nullptr;
    void *workspace = nullptr; /* of the caller's */
    size_t workspace_bytes = 0;
    cublasMath_t math = CUBLAS_DEFAULT_MATH;
};

using namespace simulator;

#define ENTER \
    if (int fault = enter(__func__)) return (cublasStatus_t)fault

/* C = alpha * op(A) * op(B) + beta * C, columns first: "2.7.1 cublas<t>gemm". With beta 0, C need not be a valid input. */
static cublasStatus_t multiply(const char *call, bool reduced, Format in, Format out, cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                               const float *alpha_address, const void *a_values, int lda, const void *b_values, int ldb, const float *beta_address,
                               void *c_values, int ldc) {
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    bool at = ta != CUBLAS_OP_N, bt = tb != CUBLAS_OP_N;
    int max1 = 1;
    auto least = [&](int rows) { return rows > max1 ? rows : max1; };
    if (m < 0 || n < 0 || k < 0 || lda < least(at ? k : m) || ldb < least(bt ? n : k) || ldc < least(m)) {
        violate("%s: m %d, n %d, k %d, lda %d, ldb %d, ldc %d", call, m, n, k, lda, ldb, ldc);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (!handle->workspace) violate("%s: its handle has no workspace of the caller's and may allocate", call);
    /* Sums of parts are rounded to the output's type unless that is disallowed: "CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION". */
    bool wide = handle->math & CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
    if (wide != (in == bfloats)) violate("%s: a math mode of the handle's that is not this product's", call);
    float alpha = *alpha_address, beta = *beta_address;
    if (in == bfloats && (alpha != 1 || beta != 0)) violate("%s: of bfloat16, and scaled", call);
    void *workspace = handle->workspace;
    size_t workspace_bytes = handle->workspace_bytes;
    int failed = submit(handle->stream, [=]() -> int {
        size_t a_size = (size_t)lda * ((at ? m : k) - 1) + (at ? k : m), b_size = (size_t)ldb * ((bt ? k : n) - 1) + (bt ? n : k);
        size_t c_size = (size_t)ldc * (n - 1) + m;
        spend();
        note("product %d %d %d", m, n, k);
        std::vector<float> a, b;
        if (!load(call, "A", a_values, a_size, in, a) || !load(call, "B", b_values, b_size, in, b) ||
            (beta && !readable(call, "C", (const float *)c_values, c_size)) || !room(call, "C", c_values, c_size, out))
            return CUBLAS_STATUS_EXECUTION_FAILED;
        if (workspace && !occupied(call, workspace, workspace_bytes)) return CUBLAS_STATUS_EXECUTION_FAILED;
        if (in == bfloats) count((std::string("bf16 ") + call).c_str());
        if (state().shallow) {
            std::vector<float> some(c_size);
            pretend(some.data(), c_size);
            store(some, c_values, out);
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
                size_t at = i + (size_t)j * ldc;
                float before = beta ? ((const float *)c_values)[at] : 0, value = (float)(alpha * sum + (beta ? (double)beta * before : 0));
                if (out == floats) ((float *)c_values)[at] = value;
                else ((uint16_t *)c_values)[at] = bf16(value);
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
    handle->workspace = nullptr;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes) {
    ENTER;
    if (!reachable(__func__, "workspace", workspace, bytes)) return CUBLAS_STATUS_INVALID_VALUE;
    handle->workspace = workspace, handle->workspace_bytes = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const float *alpha,
                              const float *a, int lda, const float *b, int ldb, const float *beta, float *c, int ldc) {
    ENTER;
    return multiply("cublasSgemm", false, floats, floats, handle, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
    ENTER;
    handle->math = mode;
    return CUBLAS_STATUS_SUCCESS;
}
/* "cublasGemmEx": of float32, or of bfloat16 into either. */
cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const void *alpha, const void *a,
                            cudaDataType a_type, int lda, const void *b, cudaDataType b_type, int ldb, const void *beta, void *c, cudaDataType c_type,
                            int ldc, cublasComputeType_t compute, cublasGemmAlgo_t algorithm) {
    ENTER;
    const char *call = "cublasGemmEx";
    bool halves = a_type == CUDA_R_16BF && b_type == CUDA_R_16BF && (c_type == CUDA_R_16BF || c_type == CUDA_R_32F);
    if (halves && compute == CUBLAS_COMPUTE_32F && algorithm == CUBLAS_GEMM_DEFAULT) {
        if (!grants_bf16(call)) return CUBLAS_STATUS_NOT_SUPPORTED;
        return multiply(call, false, bfloats, c_type == CUDA_R_32F ? floats : bfloats, handle, ta, tb, m, n, k, (const float *)alpha, a, lda, b, ldb,
                        (const float *)beta, c, ldc);
    }
    if (a_type != CUDA_R_32F || b_type != CUDA_R_32F || c_type != CUDA_R_32F || algorithm != CUBLAS_GEMM_DEFAULT ||
        (compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_FAST_TF32)) {
        violate("%s: other types than float32 and bfloat16, or another algorithm than the default", call);
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    bool reduced = compute == CUBLAS_COMPUTE_32F_FAST_TF32 && grants_tf32(call);
    return multiply(call, reduced, floats, floats, handle, ta, tb, m, n, k, (const float *)alpha, a, lda, b, ldb, (const float *)beta, c, ldc);
}
}
