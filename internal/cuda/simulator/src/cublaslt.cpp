/* cuBLASLt, as "Using the cuBLASLt API", CUDA Toolkit documentation 13.0, describes it: products of float32, with the epilogues
 * that add a bias, rectify, or sum the gradient of a bias. A wrong attribute, size or descriptor is a violation. */
#include "bf16.h"

#include <cmath>
#include <cstring>
#include <set>

#include <cublasLt.h>

struct cublasLtContext {};

using namespace simulator;

#define ENTER \
    if (int fault = enter(__func__)) return (cublasStatus_t)fault

namespace {

struct Attribute {
    int name;
    size_t bytes;
};
const Attribute of_operations[] = {
    {CUBLASLT_MATMUL_DESC_TRANSA, 4}, {CUBLASLT_MATMUL_DESC_TRANSB, 4}, {CUBLASLT_MATMUL_DESC_EPILOGUE, 4}, {CUBLASLT_MATMUL_DESC_BIAS_POINTER, 8}};
const Attribute of_preferences[] = {{CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, 8},  {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, 4},
                                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, 4}, {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, 4},
                                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, 4}, {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, 4}};

/* What the library keeps behind a pointer of its own kind: a product, a preference or a matrix. */
struct Described {
    std::map<int, uint64_t> values;
    cublasComputeType_t compute;
    cudaDataType type;
    uint64_t rows = 0, columns = 0;
    int64_t leading = 0;
    uint64_t value(int name, uint64_t otherwise) const { return values.count(name) ? values.at(name) : otherwise; }
};

std::set<const void *> light; /* those that are live, and the handles */

const Described *described(const char *call, const void *pointer) {
    if (light.count(pointer)) return (const Described *)pointer;
    violate("%s: of what is not live", call);
    return nullptr;
}

template <typename Pointer> cublasStatus_t create(Pointer *made, Described of) {
    light.insert(*made = (Pointer) new Described(of));
    live("cuBLASLt descriptor", 1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t destroy(const char *call, const void *pointer) {
    if (!light.erase(pointer)) return violate("%s: of what is not live", call), CUBLAS_STATUS_INVALID_VALUE;
    delete (const Described *)pointer;
    live("cuBLASLt descriptor", -1);
    return CUBLAS_STATUS_SUCCESS;
}

template <size_t count>
cublasStatus_t set(const char *call, const Attribute (&known)[count], const void *pointer, int name, const void *from, size_t bytes) {
    if (!described(call, pointer)) return CUBLAS_STATUS_INVALID_VALUE;
    for (const Attribute &a : known)
        if (a.name == name && a.bytes == bytes) {
            uint64_t value = 0;
            memcpy(&value, from, bytes);
            ((Described *)pointer)->values[name] = value;
            return CUBLAS_STATUS_SUCCESS;
        }
    violate("%s: attribute %d, which nobody here has, or not of %zu bytes", call, name, bytes);
    return CUBLAS_STATUS_INVALID_VALUE;
}

/* An algorithm, made up: the real ones have other numbers. Those that nobody may take are the fastest, as they may be. */
struct Algorithm {
    int number;
    uint32_t scheme;
    uint64_t arithmetic;
    uint32_t alignment; /* of the matrices */
    size_t workspace;
    bool hides; /* makes a 0 of a NaN in its ReLU */
};
const Algorithm algorithms[] = {
    {71, CUBLASLT_REDUCTION_SCHEME_INPLACE, CUBLASLT_NUMERICAL_IMPL_FLAGS_FMA, 4, 1 << 20, false},
    {66, CUBLASLT_REDUCTION_SCHEME_NONE, CUBLASLT_NUMERICAL_IMPL_FLAGS_HMMA, 16, 0, false},
    {20, CUBLASLT_REDUCTION_SCHEME_NONE, CUBLASLT_NUMERICAL_IMPL_FLAGS_FMA, 16, 4 << 20, true},
    {13, CUBLASLT_REDUCTION_SCHEME_NONE, CUBLASLT_NUMERICAL_IMPL_FLAGS_FMA, 4, 1 << 16, false},
};

const Algorithm *algorithm_of(const char *call, const cublasLtMatmulAlgo_t *algorithm) {
    for (const Algorithm &a : algorithms)
        if ((uint64_t)a.number == algorithm->data[0]) return &a;
    violate("%s: an algorithm that the heuristics have not named", call);
    return nullptr;
}

/* D = op(A)·op(B), and what its epilogue has. */
struct Product {
    bool a_turned, b_turned;
    int m, n, k, lda, ldb, ldd;
    cublasLtEpilogue_t epilogue;
    float *bias;
    /* What an algorithm was chosen for. */
    uint64_t digest() const {
        uint64_t all = 0;
        for (uint64_t part : {(uint64_t)a_turned, (uint64_t)b_turned, (uint64_t)m, (uint64_t)n, (uint64_t)k, (uint64_t)epilogue}) all = all * 1000003 + part;
        return all;
    }
    bool adds() const { return epilogue == CUBLASLT_EPILOGUE_BIAS || epilogue == CUBLASLT_EPILOGUE_RELU_BIAS; }
    bool sums() const { return epilogue == CUBLASLT_EPILOGUE_BGRADB; }
};

/* What descriptors say of a product; false where they do not fit. */
bool fits(const char *call, const void *operation, const void *a, const void *b, const void *c, const void *d, Product &p) {
    const Described *o = described(call, operation), *as = described(call, a), *bs = described(call, b), *cs = described(call, c), *ds = described(call, d);
    if (!o || !as || !bs || !cs || !ds) return false;
    p.a_turned = o->value(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_N) != CUBLAS_OP_N, p.b_turned = o->value(CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N) != CUBLAS_OP_N;
    p.epilogue = (cublasLtEpilogue_t)o->value(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_DEFAULT);
    p.bias = (float *)o->value(CUBLASLT_MATMUL_DESC_BIAS_POINTER, 0);
    p.m = (int)ds->rows, p.n = (int)ds->columns, p.k = (int)(p.a_turned ? as->rows : as->columns);
    p.lda = (int)as->leading, p.ldb = (int)bs->leading, p.ldd = (int)ds->leading;
    bool matrices = true;
    for (const Described *x : {as, bs, cs, ds}) matrices &= x->type == CUDA_R_32F && x->leading >= (int64_t)x->rows && x->rows && x->columns;
    bool same = (int)(p.a_turned ? as->columns : as->rows) == p.m && (int)(p.b_turned ? bs->rows : bs->columns) == p.n &&
                (int)(p.b_turned ? bs->columns : bs->rows) == p.k && cs->rows == ds->rows && cs->columns == ds->columns && cs->leading == ds->leading;
    if (!matrices || !same) return violate("%s: matrices of %d×%d, %d that do not fit", call, p.m, p.n, p.k), false;
    if (o->compute != CUBLAS_COMPUTE_32F || o->type != CUDA_R_32F) return violate("%s: in another arithmetic than float32", call), false;
    if (!p.adds() && !p.sums()) return violate("%s: epilogue %d", call, (int)p.epilogue), false;
    if (!p.bias) return violate("%s: its epilogue has no bias", call), false;
    return true;
}

/* Whether an algorithm may compute a product of those matrices with so much of a workspace. */
bool allowed(const char *call, const Algorithm &a, const cublasLtMatmulAlgo_t *chosen, const Product &p, std::initializer_list<const void *> matrices,
             const void *workspace, size_t bytes) {
    if (chosen->data[1] != p.digest()) return violate("%s: algorithm %d was chosen for another product", call, a.number), false;
    if (a.scheme != CUBLASLT_REDUCTION_SCHEME_NONE) return violate("%s: algorithm %d divides sums", call, a.number), false;
    if (a.arithmetic != CUBLASLT_NUMERICAL_IMPL_FLAGS_FMA) return violate("%s: algorithm %d has tensor cores", call, a.number), false;
    for (const void *matrix : matrices)
        if ((size_t)matrix % a.alignment) return violate("%s: a matrix at %p, of which algorithm %d needs %u bytes", call, matrix, a.number, a.alignment), false;
    if (bytes < a.workspace || (a.workspace && !workspace))
        return violate("%s: a workspace of %zu bytes, of which algorithm %d needs %zu", call, bytes, a.number, a.workspace), false;
    return vectors(call, "the bias", p.bias) && (!a.workspace || vectors(call, "the workspace", workspace));
}

/* What a ReLU makes of a value. */
float rectified(float value, bool hides) { return value > 0 || (std::isnan(value) && !hides) ? value : 0; }

/* Sums in float64, rounded to float32 before a bias is added to them, as our kernels add it to what cuBLAS has written. */
void compute(const Product &p, bool hides, const std::vector<float> &a, const std::vector<float> &b, const std::vector<float> &bias, float *d) {
    auto left = [&](int i, int l) { return a[p.a_turned ? l + (size_t)i * p.lda : i + (size_t)l * p.lda]; };
    auto right = [&](int l, int j) { return b[p.b_turned ? j + (size_t)l * p.ldb : l + (size_t)j * p.ldb]; };
    std::vector<float> all(p.k);
    for (int j = 0; j < p.n; j++) {
        for (int l = 0; l < p.k; l++) all[l] = right(l, j);
        for (int i = 0; i < p.m; i++) {
            double sum = 0;
            for (int l = 0; !state().shallow && l < p.k; l++) sum += (double)left(i, l) * all[l];
            float value = state().shallow ? 0.001f * (float)((i + j) % 13) : (float)sum;
            if (p.adds()) value += bias[i];
            d[i + (size_t)j * p.ldd] = p.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS ? rectified(value, hides) : value;
        }
        if (!p.sums()) continue;
        double sum = 0;
        for (float value : all) sum += value;
        p.bias[j] = (float)sum;
    }
}

} // namespace

extern "C" {

size_t cublasLtGetVersion(void) { return CUBLAS_VERSION; }

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
    ENTER;
    needs_primary(__func__);
    light.insert(*handle = new cublasLtContext);
    live("cuBLASLt handle", 1);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    if (!light.erase(handle)) return violate("%s: of what is not live", __func__), CUBLAS_STATUS_INVALID_VALUE;
    delete handle;
    live("cuBLASLt handle", -1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *made, cublasComputeType_t compute, cudaDataType_t type) {
    ENTER;
    return create(made, {{}, compute, type});
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) { return destroy(__func__, operation); }
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t name, const void *from, size_t bytes) {
    ENTER;
    return set(__func__, of_operations, operation, name, from, bytes);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *made, cudaDataType type, uint64_t rows, uint64_t columns, int64_t leading) {
    ENTER;
    return create(made, {{}, CUBLAS_COMPUTE_32F, type, rows, columns, leading});
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) { return destroy(__func__, layout); }

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *made) {
    ENTER;
    return create(made, {{}, CUBLAS_COMPUTE_32F, CUDA_R_32F});
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) { return destroy(__func__, preference); }
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t name, const void *from,
                                                    size_t bytes) {
    ENTER;
    return set(__func__, of_preferences, preference, name, from, bytes);
}

/* The algorithms that the preference allows, the fastest first. */
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int requested,
                                              cublasLtMatmulHeuristicResult_t *results, int *count) {
    ENTER;
    Product p;
    const Described *wanted = described(__func__, preference);
    if (!wanted || !light.count(handle) || !fits(__func__, operation, a, b, c, d, p)) return CUBLAS_STATUS_INVALID_VALUE;
    uint64_t alignment = 256;
    for (int name : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
                     CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
        alignment = std::min(alignment, wanted->value(name, 256));
    *count = 0;
    for (const Algorithm &algorithm : algorithms) {
        uint64_t schemes = wanted->value(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, CUBLASLT_REDUCTION_SCHEME_MASK);
        if (*count == requested || (algorithm.scheme & ~schemes) || algorithm.alignment > alignment ||
            algorithm.workspace > wanted->value(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, 0))
            continue;
        cublasLtMatmulHeuristicResult_t &result = results[(*count)++];
        result = {};
        result.algo.data[0] = algorithm.number, result.algo.data[1] = p.digest();
        result.workspaceSize = algorithm.workspace, result.state = CUBLAS_STATUS_SUCCESS;
    }
    return *count ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algorithm, cublasLtMatmulAlgoConfigAttributes_t name, void *into, size_t bytes,
                                                    size_t *written) {
    ENTER;
    const Algorithm *a = algorithm_of(__func__, algorithm);
    if (!a || bytes != 4) return CUBLAS_STATUS_INVALID_VALUE;
    *written = 4;
    switch (name) {
    case CUBLASLT_ALGO_CONFIG_ID: *(int32_t *)into = a->number; return CUBLAS_STATUS_SUCCESS;
    default: return CUBLAS_STATUS_INVALID_VALUE;
    }
}
cublasStatus_t cublasLtMatmulAlgoCapGetAttribute(const cublasLtMatmulAlgo_t *algorithm, cublasLtMatmulAlgoCapAttributes_t name, void *into, size_t bytes,
                                                 size_t *written) {
    ENTER;
    const Algorithm *a = algorithm_of(__func__, algorithm);
    if (!a || bytes != 8 || name != CUBLASLT_ALGO_CAP_NUMERICAL_IMPL_FLAGS) return CUBLAS_STATUS_INVALID_VALUE;
    *written = 8;
    *(uint64_t *)into = a->arithmetic | CUBLASLT_NUMERICAL_IMPL_FLAGS_ACCUMULATOR_32F | CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_32F;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, const void *alpha, const void *a_values, cublasLtMatrixLayout_t a,
                              const void *b_values, cublasLtMatrixLayout_t b, const void *beta, const void *c_values, cublasLtMatrixLayout_t c, void *d_values,
                              cublasLtMatrixLayout_t d, const cublasLtMatmulAlgo_t *chosen, void *workspace, size_t workspace_bytes, cudaStream_t stream) {
    ENTER;
    const char *call = "cublasLtMatmul";
    Product p;
    const Algorithm *algorithm = algorithm_of(call, chosen);
    if (!algorithm || !light.count(handle) || !fits(call, operation, a, b, c, d, p) ||
        !allowed(call, *algorithm, chosen, p, {a_values, b_values, d_values}, workspace, workspace_bytes))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (*(const float *)alpha != 1 || *(const float *)beta != 0 || c_values != d_values) violate("%s: scaled, or a sum with what was there", call);
    size_t used = algorithm->workspace;
    bool hides = algorithm->hides || state().hides_nan;
    int failed = submit(stream, [=]() -> int {
        size_t a_size = (size_t)p.lda * (p.a_turned ? p.m : p.k), b_size = (size_t)p.ldb * (p.b_turned ? p.k : p.n), d_size = (size_t)p.ldd * p.n;
        spend();
        note("product %d %d %d", p.m, p.n, p.k);
        std::vector<float> left, right, bias;
        if (!load(call, "A", a_values, a_size, floats, left) || !load(call, "B", b_values, b_size, floats, right) || !room(call, "D", d_values, d_size, floats) ||
            (p.adds() && !load(call, "the bias", p.bias, p.m, floats, bias)) || (p.sums() && !room(call, "the bias's gradient", p.bias, p.n, floats)) ||
            (used && !occupied(call, workspace, used)))
            return CUBLAS_STATUS_EXECUTION_FAILED;
        compute(p, hides, left, right, bias, (float *)d_values);
        return 0;
    });
    return (cublasStatus_t)failed;
}
}
