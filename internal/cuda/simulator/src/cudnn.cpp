/* cuDNN, as "NVIDIA cuDNN, API reference", 9.x, describes the legacy calls. Tensors N x C x H x W, packed, of float32, and of bfloat16 in
 * convolutions alone. */
#include "bf16.h"

#include <cmath>
#include <cstring>

struct cudnnPoolingStruct {
    cudnnPoolingMode_t mode;
    cudnnNanPropagation_t nan;
    int h, w, pad_h, pad_w, stride_h, stride_w;
};
struct cudnnActivationStruct {
    cudnnActivationMode_t mode;
    cudnnNanPropagation_t nan;
};

using namespace simulator;

/* What cudnnGetLastErrorString says: of the thread's last error. */
static thread_local std::string last_error;

int simulator::cudnn_enters(const char *call) {
    int fault = enter(call);
    if (fault) last_error = std::string(call) + " was to fail";
    return fault;
}

#define ENTER \
    if (int fault = cudnn_enters(__func__)) return (cudnnStatus_t)fault
#define NEEDS(condition) \
    if (!(condition)) return violate("%s: it is not so that %s", __func__, #condition), CUDNN_STATUS_BAD_PARAM

/* Creating and destroying: each kind is counted. */
#define LIFE(Kind, kind)                                                                   \
    cudnnStatus_t cudnnCreate##Kind##Descriptor(cudnn##Kind##Descriptor_t *descriptor) {   \
        ENTER;                                                                             \
        *descriptor = new cudnn##Kind##Struct();                                           \
        live(kind, 1);                                                                     \
        return CUDNN_STATUS_SUCCESS;                                                       \
    }                                                                                      \
    cudnnStatus_t cudnnDestroy##Kind##Descriptor(cudnn##Kind##Descriptor_t descriptor) {   \
        delete descriptor;                                                                 \
        live(kind, -1);                                                                    \
        return CUDNN_STATUS_SUCCESS;                                                       \
    }

static bool known(cudnnDataType_t type) { return type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_BFLOAT16; }
static float scale(const void *factor) { return *(const float *)factor; }

/* What cudnnConvolutionForward and the two gradients have in common: the shapes agree, the workspace is there, and what is
 * read was written. */
static cudnnStatus_t convolution(const char *call, Pass pass, int algorithm, cudnnHandle_t handle, cudnnTensorStruct x, const void *x_values, cudnnFilterStruct w,
                                 const void *w_values, cudnnConvolutionStruct c, void *workspace, size_t bytes, cudnnTensorStruct y,
                                 const void *y_values, float alpha, float beta) {
    if (c.groups < 1 || c.mode != CUDNN_CROSS_CORRELATION) return CUDNN_STATUS_NOT_SUPPORTED;
    if (!c.math_is_set) violate("%s: its math type was not set behind the rest of its descriptor", call);
    /* "PSEUDO_BFLOAT16_CONFIG": all three of bfloat16, computed in float32. */
    bool halves = x.type == CUDNN_DATA_BFLOAT16;
    if (x.type != w.type || x.type != y.type) {
        violate("%s: tensors of bfloat16 beside others of float32", call);
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    if (halves && !grants_bf16(call)) return CUDNN_STATUS_NOT_SUPPORTED;
    if (halves && (c.math != CUDNN_TENSOR_OP_MATH || alpha != 1 || beta != 0)) violate("%s: bfloat16 without tensor cores, or scaled", call);
    bool reduced = !halves && c.math != CUDNN_FMA_MATH && grants_tf32(call);
    if (!reduced) c.math = CUDNN_FMA_MATH;
    if (!agree(call, x, w, c, y)) return CUDNN_STATUS_BAD_PARAM;
    if (!slowness(pass, algorithm)) return CUDNN_STATUS_NOT_SUPPORTED;
    if (in_any_order(pass, algorithm)) violate("%s: its algorithm is not deterministic", call);
    if (bytes < workspace_bytes(pass, x, w, algorithm)) {
        violate("%s: a workspace of %zu bytes, less than it asked for", call, bytes);
        return CUDNN_STATUS_BAD_PARAM;
    }
    return (cudnnStatus_t)submit(handle->stream, [=]() -> int {
        spend();
        note("convolution %d %d %d %d %d %d %d %d %d %d %d %d", pass, algorithm, x.n, x.c, x.h, x.w, w.k, w.h, w.w, y.h, y.w, c.groups);
        bool ok = reachable(call, "workspace", workspace, bytes, written);
        if (ok && halves) {
            memset(workspace, 0xff, bytes);
            return convolve_bf16(call, pass, x, y, w, c, x_values, w_values, y_values);
        }
        ok = ok && (pass == data_gradient ? writes(call, "dx", (void *)x_values, x.size(), beta) : reads(call, "x", x_values, x.size()));
        ok = ok && (pass == filter_gradient ? writes(call, "dw", (void *)w_values, w.size(), beta) : reads(call, "w", w_values, w.size()));
        ok = ok && (pass == forward ? writes(call, "y", (void *)y_values, y.size(), beta) : reads(call, "dy", y_values, y.size()));
        if (!ok) return CUDNN_STATUS_EXECUTION_FAILED;
        memset(workspace, 0xff, bytes); /* nothing stays in a workspace */
        if (reduced) count((std::string("TF32 ") + call).c_str());
        convolve(pass, x, y, w, c, (float *)x_values, (float *)w_values, (float *)y_values, alpha, beta);
        return 0;
    });
}

/* Calls f(output position, input position) for each value inside of each window. */
template <class F> static void windows(cudnnPoolingStruct p, cudnnTensorStruct x, cudnnTensorStruct y, F f) {
    for (size_t plane = 0; plane < (size_t)x.n * x.c; plane++)
        for (int i = 0; i < y.h; i++)
            for (int j = 0; j < y.w; j++)
                for (int u = 0; u < p.h; u++)
                    for (int v = 0; v < p.w; v++) {
                        int h = i * p.stride_h - p.pad_h + u, k = j * p.stride_w - p.pad_w + v;
                        if (h >= 0 && h < x.h && k >= 0 && k < x.w) f((plane * y.h + i) * y.w + j, (plane * x.h + h) * x.w + k);
                    }
}
static bool pools(cudnnPoolingStruct p, cudnnTensorStruct x, cudnnTensorStruct y) {
    return x.n == y.n && x.c == y.c && y.h == output_size(x.h, p.pad_h, p.h, p.stride_h, 1) && y.w == output_size(x.w, p.pad_w, p.w, p.stride_w, 1);
}
/* What a mean divides by at each output position: the window, or what of it lies inside. */
static std::vector<double> divisors(cudnnPoolingStruct p, cudnnTensorStruct x, cudnnTensorStruct y) {
    if (p.mode != CUDNN_POOLING_AVERAGE_COUNT_EXCLUDE_PADDING) return std::vector<double>(y.size(), (double)p.h * p.w);
    std::vector<double> inside(y.size());
    windows(p, x, y, [&](size_t o, size_t) { inside[o]++; });
    return inside;
}
static bool is_max(cudnnPoolingStruct p) { return p.mode == CUDNN_POOLING_MAX || p.mode == CUDNN_POOLING_MAX_DETERMINISTIC; }

extern "C" {

size_t cudnnGetVersion(void) { return CUDNN_VERSION; }
/* "the CUDA Toolkit version that the currently used cuDNN library has been compiled against" */
size_t cudnnGetCudartVersion(void) { return state().cudnn_release; }
const char *cudnnGetErrorString(cudnnStatus_t status) {
    switch ((int)status) {
    case CUDNN_STATUS_SUCCESS: return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_EXECUTION_FAILED: return "CUDNN_STATUS_EXECUTION_FAILED";
    case CUDNN_STATUS_NOT_INITIALIZED: return "CUDNN_STATUS_NOT_INITIALIZED";
    }
    return "a cuDNN status that the simulator has no name for";
}
void cudnnGetLastErrorString(char *message, size_t size) { snprintf(message, size, "%s", last_error.c_str()); }
cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
    ENTER;
    needs_primary(__func__);
    *handle = new cudnnContext;
    live("cuDNN handle", 1);
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
    outlives(__func__, handle->stream);
    delete handle;
    live("cuDNN handle", -1);
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
    ENTER;
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

LIFE(Tensor, "tensor descriptor")
LIFE(Filter, "filter descriptor")
LIFE(Convolution, "convolution descriptor")
LIFE(Pooling, "pooling descriptor")
LIFE(Activation, "activation descriptor")

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t d, cudnnTensorFormat_t format, cudnnDataType_t type, int n, int c, int h, int w) {
    ENTER;
    NEEDS(format == CUDNN_TENSOR_NCHW && known(type) && n > 0 && c > 0 && h > 0 && w > 0);
    *d = {n, c, h, w, type};
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t d, cudnnDataType_t type, cudnnTensorFormat_t format, int k, int c, int h, int w) {
    ENTER;
    NEEDS(format == CUDNN_TENSOR_NCHW && known(type) && k > 0 && c > 0 && h > 0 && w > 0);
    *d = {k, c, h, w, type};
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t d, cudnnMathType_t math) {
    ENTER;
    d->math = math, d->math_is_set = true;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t d, int groups) {
    ENTER;
    d->groups = groups;
    return CUDNN_STATUS_SUCCESS;
}
/* Whether this keeps the math type and the number of groups is not documented, so here it does not. */
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t d, int pad_h, int pad_w, int stride_h, int stride_w, int dilation_h,
                                              int dilation_w, cudnnConvolutionMode_t mode, cudnnDataType_t type) {
    ENTER;
    NEEDS(pad_h >= 0 && pad_w >= 0 && stride_h > 0 && stride_w > 0 && dilation_h > 0 && dilation_w > 0 && type == CUDNN_DATA_FLOAT);
    d->pad_h = pad_h, d->pad_w = pad_w, d->stride_h = stride_h, d->stride_w = stride_w, d->dilation_h = dilation_h, d->dilation_w = dilation_w;
    d->mode = mode;
    d->math = CUDNN_DEFAULT_MATH, d->math_is_set = false;
    d->groups = 1;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetPooling2dDescriptor(cudnnPoolingDescriptor_t d, cudnnPoolingMode_t mode, cudnnNanPropagation_t nan, int h, int w, int pad_h,
                                          int pad_w, int stride_h, int stride_w) {
    ENTER;
    NEEDS(h > 0 && w > 0 && pad_h >= 0 && pad_w >= 0 && stride_h > 0 && stride_w > 0);
    *d = {mode, nan, h, w, pad_h, pad_w, stride_h, stride_w};
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t d, cudnnActivationMode_t mode, cudnnNanPropagation_t nan, double) {
    ENTER;
    *d = {mode, nan};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t, const cudnnTensorDescriptor_t x, const cudnnFilterDescriptor_t w,
                                                      const cudnnConvolutionDescriptor_t, const cudnnTensorDescriptor_t,
                                                      cudnnConvolutionFwdAlgo_t algorithm, size_t *bytes) {
    ENTER;
    if (!slowness(forward, algorithm)) return CUDNN_STATUS_NOT_SUPPORTED;
    *bytes = workspace_bytes(forward, *x, *w, algorithm);
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnnHandle_t, const cudnnTensorDescriptor_t x, const cudnnTensorDescriptor_t,
                                                             const cudnnConvolutionDescriptor_t, const cudnnFilterDescriptor_t w,
                                                             cudnnConvolutionBwdFilterAlgo_t algorithm, size_t *bytes) {
    ENTER;
    if (!slowness(filter_gradient, algorithm)) return CUDNN_STATUS_NOT_SUPPORTED;
    *bytes = workspace_bytes(filter_gradient, *x, *w, algorithm);
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t, const cudnnFilterDescriptor_t w, const cudnnTensorDescriptor_t,
                                                           const cudnnConvolutionDescriptor_t, const cudnnTensorDescriptor_t x,
                                                           cudnnConvolutionBwdDataAlgo_t algorithm, size_t *bytes) {
    ENTER;
    if (!slowness(data_gradient, algorithm)) return CUDNN_STATUS_NOT_SUPPORTED;
    *bytes = workspace_bytes(data_gradient, *x, *w, algorithm);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t xd, const void *x,
                                      const cudnnFilterDescriptor_t wd, const void *w, const cudnnConvolutionDescriptor_t cd, cudnnConvolutionFwdAlgo_t algorithm,
                                      void *workspace, size_t bytes, const void *beta, const cudnnTensorDescriptor_t yd, void *y) {
    ENTER;
    return convolution("cudnnConvolutionForward", forward, algorithm, handle, *xd, x, *wd, w, *cd, workspace, bytes, *yd, y, scale(alpha), scale(beta));
}
cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t xd, const void *x,
                                             const cudnnTensorDescriptor_t dyd, const void *dy, const cudnnConvolutionDescriptor_t cd,
                                             cudnnConvolutionBwdFilterAlgo_t algorithm, void *workspace, size_t bytes, const void *beta,
                                             const cudnnFilterDescriptor_t dwd, void *dw) {
    ENTER;
    return convolution("cudnnConvolutionBackwardFilter", filter_gradient, algorithm, handle, *xd, x, *dwd, dw, *cd, workspace, bytes, *dyd, dy, scale(alpha),
                       scale(beta));
}
cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void *alpha, const cudnnFilterDescriptor_t wd, const void *w,
                                           const cudnnTensorDescriptor_t dyd, const void *dy, const cudnnConvolutionDescriptor_t cd,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void *workspace, size_t bytes, const void *beta,
                                           const cudnnTensorDescriptor_t dxd, void *dx) {
    ENTER;
    return convolution("cudnnConvolutionBackwardData", data_gradient, algorithm, handle, *dxd, dx, *wd, w, *cd, workspace, bytes, *dyd, dy, scale(alpha),
                       scale(beta));
}
cudnnStatus_t cudnnConvolutionBackwardBias(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t dyd, const void *dy, const void *beta,
                                           const cudnnTensorDescriptor_t dbd, void *db) {
    ENTER;
    NEEDS(dbd->n == 1 && dbd->h == 1 && dbd->w == 1 && dbd->c == dyd->c && dyd->type == CUDNN_DATA_FLOAT && dbd->type == CUDNN_DATA_FLOAT);
    cudnnTensorStruct y = *dyd;
    float a = scale(alpha), b = scale(beta);
    return (cudnnStatus_t)submit(handle->stream, [=]() -> int {
        spend();
        if (!reads("cudnnConvolutionBackwardBias", "dy", dy, y.size()) || !writes("cudnnConvolutionBackwardBias", "db", db, y.c, b)) return CUDNN_STATUS_EXECUTION_FAILED;
        std::vector<double> sums(y.c);
        for (size_t i = 0; i < y.size(); i++) sums[i / ((size_t)y.h * y.w) % y.c] += ((const float *)dy)[i];
        for (int i = 0; i < y.c; i++) blend((float *)db + i, a, sums[i], b);
        return 0;
    });
}
/* "Each dimension of the bias tensor A must match the corresponding dimension of the destination tensor C or must be equal to 1." */
cudnnStatus_t cudnnAddTensor(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t ad, const void *a, const void *beta,
                             const cudnnTensorDescriptor_t cd, void *c) {
    ENTER;
    NEEDS(ad->n == 1 && ad->h == 1 && ad->w == 1 && ad->c == cd->c && ad->type == CUDNN_DATA_FLOAT && cd->type == CUDNN_DATA_FLOAT);
    cudnnTensorStruct shape = *cd;
    float factor = scale(alpha), keep = scale(beta);
    return (cudnnStatus_t)submit(handle->stream, [=]() -> int {
        spend();
        if (!reads("cudnnAddTensor", "A", a, shape.c) || !writes("cudnnAddTensor", "C", c, shape.size(), keep)) return CUDNN_STATUS_EXECUTION_FAILED;
        for (size_t i = 0; i < shape.size(); i++) blend((float *)c + i, factor, ((const float *)a)[i / ((size_t)shape.h * shape.w) % shape.c], keep);
        return 0;
    });
}

cudnnStatus_t cudnnActivationForward(cudnnHandle_t handle, cudnnActivationDescriptor_t d, const void *alpha, const cudnnTensorDescriptor_t xd, const void *x,
                                     const void *beta, const cudnnTensorDescriptor_t yd, void *y) {
    ENTER;
    NEEDS(d->mode == CUDNN_ACTIVATION_RELU && d->nan == CUDNN_PROPAGATE_NAN && xd->size() == yd->size());
    size_t size = xd->size();
    float a = scale(alpha), b = scale(beta);
    return (cudnnStatus_t)submit(handle->stream, [=]() -> int {
        spend();
        if (!reads("cudnnActivationForward", "x", x, size) || !writes("cudnnActivationForward", "y", y, size, b)) return CUDNN_STATUS_EXECUTION_FAILED;
        for (size_t i = 0; i < size; i++) {
            float v = ((const float *)x)[i];
            blend((float *)y + i, a, v < 0 ? 0 : v, b);
        }
        return 0;
    });
}
cudnnStatus_t cudnnActivationBackward(cudnnHandle_t handle, cudnnActivationDescriptor_t d, const void *alpha, const cudnnTensorDescriptor_t yd, const void *y,
                                      const cudnnTensorDescriptor_t dyd, const void *dy, const cudnnTensorDescriptor_t xd, const void *x,
                                      const void *beta, const cudnnTensorDescriptor_t dxd, void *dx) {
    ENTER;
    NEEDS(d->mode == CUDNN_ACTIVATION_RELU && xd->size() == yd->size() && dyd->size() == yd->size() && dxd->size() == yd->size());
    size_t size = yd->size();
    float a = scale(alpha), b = scale(beta);
    return (cudnnStatus_t)submit(handle->stream, [=]() -> int {
        const char *call = "cudnnActivationBackward";
        spend();
        if (!reads(call, "y", y, size) || !reads(call, "dy", dy, size) || !reads(call, "x", x, size) || !writes(call, "dx", dx, size, b))
            return CUDNN_STATUS_EXECUTION_FAILED;
        for (size_t i = 0; i < size; i++) blend((float *)dx + i, a, ((const float *)x)[i] <= 0 ? 0 : ((const float *)dy)[i], b);
        return 0;
    });
}

cudnnStatus_t cudnnPoolingForward(cudnnHandle_t handle, const cudnnPoolingDescriptor_t d, const void *alpha, const cudnnTensorDescriptor_t xd, const void *x,
                                  const void *beta, const cudnnTensorDescriptor_t yd, void *y) {
    ENTER;
    NEEDS(pools(*d, *xd, *yd) && xd->type == CUDNN_DATA_FLOAT && yd->type == CUDNN_DATA_FLOAT);
    cudnnPoolingStruct p = *d;
    cudnnTensorStruct xs = *xd, ys = *yd;
    float a = scale(alpha), b = scale(beta);
    return (cudnnStatus_t)submit(handle->stream, [=]() -> int {
        spend();
        if (!reads("cudnnPoolingForward", "x", x, xs.size()) || !writes("cudnnPoolingForward", "y", y, ys.size(), b)) return CUDNN_STATUS_EXECUTION_FAILED;
        std::vector<double> out(ys.size(), is_max(p) ? -INFINITY : 0), by = divisors(p, xs, ys);
        windows(p, xs, ys, [&](size_t o, size_t i) {
            float v = ((const float *)x)[i];
            if (!is_max(p)) out[o] += v / by[o];
            else if (v > out[o] || (v != v && p.nan == CUDNN_PROPAGATE_NAN)) out[o] = v;
        });
        for (size_t i = 0; i < ys.size(); i++) blend((float *)y + i, a, out[i], b);
        return 0;
    });
}
/* Which of several equal maxima the gradient goes to is not documented; here it is the last, which is not that of the CPU
 * engines, so that nothing relies on it. */
cudnnStatus_t cudnnPoolingBackward(cudnnHandle_t handle, const cudnnPoolingDescriptor_t d, const void *alpha, const cudnnTensorDescriptor_t yd, const void *y,
                                   const cudnnTensorDescriptor_t dyd, const void *dy, const cudnnTensorDescriptor_t xd, const void *x,
                                   const void *beta, const cudnnTensorDescriptor_t dxd, void *dx) {
    ENTER;
    NEEDS(pools(*d, *xd, *yd) && dyd->size() == yd->size() && dxd->size() == xd->size() && d->mode != CUDNN_POOLING_MAX && xd->type == CUDNN_DATA_FLOAT);
    cudnnPoolingStruct p = *d;
    cudnnTensorStruct xs = *xd, ys = *yd;
    float a = scale(alpha), b = scale(beta);
    return (cudnnStatus_t)submit(handle->stream, [=]() -> int {
        const char *call = "cudnnPoolingBackward";
        spend();
        if (!reads(call, "y", y, ys.size()) || !reads(call, "dy", dy, ys.size()) || !reads(call, "x", x, xs.size()) || !writes(call, "dx", dx, xs.size(), b))
            return CUDNN_STATUS_EXECUTION_FAILED;
        std::vector<double> out(xs.size()), by = divisors(p, xs, ys);
        std::vector<size_t> last(ys.size(), SIZE_MAX);
        windows(p, xs, ys, [&](size_t o, size_t i) {
            double gradient = ((const float *)dy)[o];
            if (!is_max(p)) {
                out[i] += gradient / by[o];
                return;
            }
            float v = ((const float *)x)[i], top = ((const float *)y)[o];
            if (v == top || (v != v && top != top)) last[o] = i;
        });
        for (size_t o = 0; o < ys.size(); o++)
            if (last[o] != SIZE_MAX) out[last[o]] += ((const float *)dy)[o];
        for (size_t i = 0; i < xs.size(); i++) blend((float *)dx + i, a, out[i], b);
        return 0;
    });
}
}
