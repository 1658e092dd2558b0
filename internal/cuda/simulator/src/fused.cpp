/* The graph that is known here, of cuDNN's graph API: a convolution, the sum with a bias, and perhaps a ReLU. What its
 * descriptors have to be, the engines that are offered for it, and what a plan computes. */
#include "backend.h"

namespace simulator {

cudnnTensorStruct shape_of(const Backend &tensor) {
    auto d = tensor.all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS);
    return {(int)d[0], (int)d[1], (int)d[2], (int)d[3]};
}

static bool is_virtual(const Backend &tensor) { return tensor.one<bool>(CUDNN_ATTR_TENSOR_IS_VIRTUAL); }
static int64_t identity(const Backend &tensor) { return tensor.one<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID); }

std::string wrong_tensor(const Backend &d) {
    auto sizes = d.all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS), strides = d.all<int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
    if (sizes.size() != 4 || strides.size() != 4) return "a tensor has not four dimensions and strides";
    if (d.one<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE) != CUDNN_DATA_FLOAT) return "a tensor is not of float32";
    int64_t alignment = d.one<int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT), stride = 1;
    if (alignment <= 0 || alignment % 4) return "a tensor's alignment is no multiple of its values' size";
    for (int i = 3; i >= 0; i--) {
        if (sizes[i] < 1) return "a tensor has a dimension without values";
        if (strides[i] != stride) return "a tensor is not packed";
        stride *= sizes[i];
    }
    return "";
}

std::string wrong_convolution(const Backend &d) {
    if (d.one<int64_t>(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS) != 2) return "a convolution has not two dimensions";
    if (d.one<cudnnDataType_t>(CUDNN_ATTR_CONVOLUTION_COMP_TYPE) != CUDNN_DATA_FLOAT) return "a convolution does not compute in float32";
    if (d.one<cudnnConvolutionMode_t>(CUDNN_ATTR_CONVOLUTION_CONV_MODE) != CUDNN_CROSS_CORRELATION) return "a convolution that turns its filters";
    const int pairs[] = {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES,
                         CUDNN_ATTR_CONVOLUTION_DILATIONS};
    for (int name : pairs) {
        auto values = d.all<int64_t>(name);
        int64_t least = name == CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS || name == CUDNN_ATTR_CONVOLUTION_POST_PADDINGS ? 0 : 1;
        if (values.size() != 2 || values[0] < least || values[1] < least) return "a convolution's padding, stride or dilation is not two numbers in range";
    }
    if (d.all<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS) != d.all<int64_t>(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS)) return "a convolution has another padding behind";
    return "";
}

static cudnnConvolutionStruct geometry(const Backend &d) {
    auto pad = d.all<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), stride = d.all<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
    auto dilation = d.all<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS);
    cudnnConvolutionStruct c;
    c.pad_h = pad[0], c.pad_w = pad[1], c.stride_h = stride[0], c.stride_w = stride[1], c.dilation_h = dilation[0], c.dilation_w = dilation[1];
    return c;
}

/* The shapes of a convolution's operation. The channels of x and of w say how many groups there are. */
static void shapes(const Backend &d, Fused &f) {
    f.x_tensor = d.to(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X), f.w_tensor = d.to(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W);
    f.x = shape_of(*f.x_tensor), f.y = shape_of(*d.to(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y));
    cudnnTensorStruct w = shape_of(*f.w_tensor);
    f.w = {w.n, w.c, w.h, w.w};
    f.c = geometry(*d.to(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC));
    f.c.groups = f.x.c % f.w.c == 0 ? f.x.c / f.w.c : 1;
}

std::string wrong_operation(const Backend &d) {
    Fused f;
    shapes(d, f);
    if (!agree("cudnnBackendFinalize", f.x, f.w, f.c, f.y)) return "a convolution's shapes do not agree";
    if (d.one<float>(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA) != 1 || d.one<float>(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA) != 0)
        return "a convolution that is scaled, or added to what was there";
    return "";
}

std::string wrong_pointwise(const Backend &d) {
    auto mode = d.one<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE);
    if (mode != CUDNN_POINTWISE_ADD && mode != CUDNN_POINTWISE_RELU_FWD) return "a pointwise operation that the simulator does not know";
    if (d.one<cudnnDataType_t>(CUDNN_ATTR_POINTWISE_MATH_PREC) != CUDNN_DATA_FLOAT) return "a pointwise operation that does not compute in float32";
    if (mode == CUDNN_POINTWISE_RELU_FWD && d.one<cudnnNanPropagation_t>(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_NOT_PROPAGATE_NAN) != CUDNN_PROPAGATE_NAN)
        return "a ReLU that need not propagate NaN";
    return "";
}

static bool is_sum(const Backend &operation) {
    return operation.to(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR)->one<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE) == CUDNN_POINTWISE_ADD;
}
static bool same(cudnnTensorStruct a, cudnnTensorStruct b) { return a.n == b.n && a.c == b.c && a.h == b.h && a.w == b.w; }

std::string wrong_pointwise_operation(const Backend &d) {
    cudnnTensorStruct x = shape_of(*d.to(CUDNN_ATTR_OPERATION_POINTWISE_XDESC)), y = shape_of(*d.to(CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
    Backend *b = d.to(CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
    if (!same(x, y)) return "a pointwise operation with another shape behind it than before it";
    if (is_sum(d) != (b != nullptr)) return "a sum without its second value, or a ReLU with one";
    if (b && !same(shape_of(*b), {1, x.c, 1, 1})) return "a bias that is not one value a channel";
    return "";
}

/* The operations in order: each reads what the one before it writes, which is virtual but for the last. */
std::string wrong_graph(const Backend &d) {
    auto operations = d.all<Backend *>(CUDNN_ATTR_OPERATIONGRAPH_OPS);
    if (operations.size() < 2 || operations.size() > 3 || operations[0]->type != CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR)
        return "a graph that is not a convolution with a bias, and perhaps a ReLU";
    const Backend *written = operations[0]->to(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
    std::vector<const Backend *> tensors = {operations[0]->to(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X), operations[0]->to(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W)};
    for (size_t i = 1; i < operations.size(); i++) {
        const Backend &o = *operations[i];
        if (o.type != CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR || is_sum(o) != (i == 1)) return "a graph with another order than convolution, bias, ReLU";
        if (o.to(CUDNN_ATTR_OPERATION_POINTWISE_XDESC) != written) return "an operation that does not read what the one before it writes";
        if (!is_virtual(*written)) return "a tensor inside of the graph that is not virtual";
        if (i == 1) tensors.push_back(o.to(CUDNN_ATTR_OPERATION_POINTWISE_BDESC));
        written = o.to(CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
    }
    tensors.push_back(written);
    std::map<int64_t, int> identities;
    for (const Backend *tensor : tensors)
        if (is_virtual(*tensor) || identities[identity(*tensor)]++) return "a tensor at the graph's edge is virtual, or has another's identity";
    return "";
}

Fused fused_of(const Backend &graph) {
    auto operations = graph.all<Backend *>(CUDNN_ATTR_OPERATIONGRAPH_OPS);
    Fused f;
    shapes(*operations[0], f);
    f.bias_tensor = operations[1]->to(CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
    f.y_tensor = operations.back()->to(CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
    f.rectifier = operations.size() == 3;
    return f;
}

/* As cuDNN's for an H200, in kind: most are not to be had for a run that can be repeated, one has no plan in the end, and with
 * strides only those of the fallback are left. */
std::vector<const Engine *> engines_for(const Fused &f, cudnnBackendHeurMode_t mode) {
    static const Engine half = {53, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS}, true},
                        strict_tensor_core = {52, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP}, true},
                        tensor_core = {51, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE}, true}, winograd = {15, {CUDNN_NUMERICAL_NOTE_WINOGRAD}, true},
                        atomics = {7, {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}, true}, plain = {44, {}, true},
                        unplanned = {20, {CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP}, false}, strict = {0, {CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP}, true};
    if (mode == CUDNN_HEUR_MODE_FALLBACK) return {&plain, &strict};
    if (f.c.stride_h * f.c.stride_w > 1) return {&tensor_core, &atomics};
    return {&half, &tensor_core, &winograd, &atomics, &strict_tensor_core, &unplanned, &plain, &strict};
}

int64_t plan_workspace(const Backend &plan) {
    Fused f = fused_of(*plan.graph);
    return f.rectifier ? workspace_bytes(forward, f.x, f.w) : 0; /* some have one */
}

cudnnStatus_t run_plan(cudnnHandle_t handle, const Backend &plan, const Backend &pack) {
    const char *call = "cudnnBackendExecute";
    Fused f = fused_of(*plan.graph);
    auto identities = pack.all<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    auto addresses = pack.all<float *>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    std::map<int64_t, float *> at;
    for (size_t i = 0; i < identities.size(); i++) at[identities[i]] = addresses[i];
    const Backend *tensors[] = {f.x_tensor, f.w_tensor, f.bias_tensor, f.y_tensor};
    float *values[4];
    for (int i = 0; i < 4; i++) {
        values[i] = at[identity(*tensors[i])];
        if (values[i] && (size_t)values[i] % tensors[i]->one<int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT) == 0) continue;
        violate("%s: tensor %ld has no address, or one that is not aligned as it was described", call, (long)identity(*tensors[i]));
        return CUDNN_STATUS_BAD_PARAM;
    }
    if (at.size() != 4) {
        violate("%s: addresses for %zu tensors, the graph has 4 that are not virtual", call, at.size());
        return CUDNN_STATUS_BAD_PARAM;
    }
    float *x = values[0], *w = values[1], *bias = values[2], *y = values[3];
    void *workspace = pack.one<void *>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
    size_t bytes = plan_workspace(plan);
    bool strict = plan.engine->strict(), reduced = plan.engine->tensor_cores() && grants_tf32(call);
    f.c.math = reduced ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH;
    long number = plan.engine->number;
    return (cudnnStatus_t)submit(handle->stream, [=]() -> int {
        note("convolution %d %ld %d %d %d %d %d %d %d %d %d %d", forward, number, f.x.n, f.x.c, f.x.h, f.x.w, f.w.k, f.w.h, f.w.w, f.y.h, f.y.w, f.c.groups);
        spend();
        bool ok = !bytes || reachable(call, "workspace", workspace, bytes, written);
        ok = ok && reads(call, "x", x, f.x.size()) && reads(call, "w", w, f.w.size()) && reads(call, "the bias", bias, f.y.c) && writes(call, "y", y, f.y.size(), 0);
        if (!ok) return CUDNN_STATUS_EXECUTION_FAILED;
        if (bytes) memset(workspace, 0xff, bytes); /* nothing stays in a workspace */
        if (reduced) count("TF32 cudnnBackendExecute");
        /* Rounded once, behind the bias: other bits than those of the legacy calls. */
        for (size_t i = 0; i < f.y.size(); i++) y[i] = bias[i / ((size_t)f.y.h * f.y.w) % f.y.c];
        convolve(forward, f.x, f.y, f.w, f.c, x, w, y, 1, 1);
        for (size_t i = 0; i < f.y.size() && f.rectifier; i++) y[i] = strict ? (y[i] < 0 ? 0 : y[i]) : (y[i] > 0 ? y[i] : 0);
        return 0;
    });
}

} // namespace simulator
