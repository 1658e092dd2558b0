/* The calls of cuDNN's graph API. A wrong attribute, type or count, and a descriptor that is used before it is finalized or
 * changed behind that, is a violation, and CUDNN_STATUS_BAD_PARAM as in cuDNN. */
#include "backend.h"

#include <set>

using namespace simulator;

namespace {

struct Attribute {
    cudnnBackendDescriptorType_t of;
    int name;
    cudnnBackendAttributeType_t type;
    int64_t least, most; /* elements */
    bool required;
    int refers = -1; /* the type of the descriptors that it refers to */
};

const Attribute attributes[] = {
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, 1, true},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 1, CUDNN_DIM_MAX, true},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 1, CUDNN_DIM_MAX, true},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, 1, true},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, 1, true},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, 1, false},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, 1, true},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, 1, true},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, 1, true},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 1, 6, true},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 1, 6, true},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 1, 6, true},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 1, 6, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true,
     CUDNN_BACKEND_TENSOR_DESCRIPTOR},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true,
     CUDNN_BACKEND_TENSOR_DESCRIPTOR},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true,
     CUDNN_BACKEND_TENSOR_DESCRIPTOR},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true,
     CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, 1, true},
    {CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, 1, true},
    {CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, 1, true},
    {CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1, 1, false},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true,
     CUDNN_BACKEND_POINTWISE_DESCRIPTOR},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true,
     CUDNN_BACKEND_TENSOR_DESCRIPTOR},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, false,
     CUDNN_BACKEND_TENSOR_DESCRIPTOR},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true,
     CUDNN_BACKEND_TENSOR_DESCRIPTOR},
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, 1, true},
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 16, true},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true,
     CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, 1, true},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, 1, true},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, true,
     CUDNN_BACKEND_ENGINECFG_DESCRIPTOR},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 1, 64, true},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 1, 64, true},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, 1, false},
};

size_t size_of(cudnnBackendAttributeType_t type) {
    switch (type) {
    case CUDNN_TYPE_BOOLEAN: return sizeof(bool);
    case CUDNN_TYPE_INT64: case CUDNN_TYPE_DOUBLE: return 8;
    case CUDNN_TYPE_VOID_PTR: case CUDNN_TYPE_HANDLE: case CUDNN_TYPE_BACKEND_DESCRIPTOR: return sizeof(void *);
    default: return 4; /* float and the enumerations */
    }
}

std::set<const void *> backends; /* those that are live */

Backend *live_backend(const char *call, const char *what, const void *descriptor) {
    if (backends.count(descriptor)) return (Backend *)descriptor;
    violate("%s: %s is not a live descriptor", call, what);
    return nullptr;
}

cudnnStatus_t wrong(const char *call, const std::string &why) {
    violate("%s: %s", call, why.c_str());
    return CUDNN_STATUS_BAD_PARAM;
}

/* What is the matter with the descriptors that an attribute refers to, empty if nothing. */
std::string refers(const Attribute &a, const void *const *to, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (!backends.count(to[i])) return "refers to what is not a live descriptor";
        const Backend &other = *(const Backend *)to[i];
        if (a.refers >= 0 && other.type != a.refers) return "refers to a descriptor of type " + std::to_string(other.type);
        if (!other.finalized) return "refers to a descriptor that is not finalized";
    }
    return "";
}

} // namespace

#define ENTER \
    if (int fault = cudnn_enters(__func__)) return (cudnnStatus_t)fault

extern "C" {

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *descriptor) {
    ENTER;
    auto *made = new Backend();
    made->type = type;
    backends.insert(made);
    live("backend descriptor", 1);
    *descriptor = made;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
    Backend *d = live_backend(__func__, "what is destroyed", descriptor);
    if (!d) return CUDNN_STATUS_BAD_PARAM;
    backends.erase(d);
    delete d;
    live("backend descriptor", -1);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                                       const void *elements) {
    ENTER;
    Backend *d = live_backend(__func__, "what is set", descriptor);
    if (!d) return CUDNN_STATUS_BAD_PARAM;
    std::string which = "attribute " + std::to_string(name) + " of a descriptor of type " + std::to_string(d->type) + " ";
    if (d->finalized) return wrong(__func__, which + "is set behind its finalizing");
    for (const Attribute &a : attributes) {
        if (a.of != d->type || a.name != name) continue;
        if (a.type != type) return wrong(__func__, which + "is set with the type " + std::to_string(type));
        if (count < a.least || count > a.most || !elements) return wrong(__func__, which + "is set with " + std::to_string(count) + " elements");
        std::string bad = type == CUDNN_TYPE_BACKEND_DESCRIPTOR ? refers(a, (const void *const *)elements, count) : "";
        if (!bad.empty()) return wrong(__func__, which + bad);
        const char *bytes = (const char *)elements;
        d->values[name] = {count, std::vector<char>(bytes, bytes + count * size_of(type))};
        return CUDNN_STATUS_SUCCESS;
    }
    return wrong(__func__, which + "is none, or only read");
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
    ENTER;
    Backend *d = live_backend(__func__, "what is finalized", descriptor);
    if (!d) return CUDNN_STATUS_BAD_PARAM;
    if (d->finalized) return wrong(__func__, "a descriptor is finalized twice");
    for (const Attribute &a : attributes)
        if (a.of == d->type && a.required && !d->has(a.name))
            return wrong(__func__, "a descriptor of type " + std::to_string(d->type) + " lacks attribute " + std::to_string(a.name));
    std::string bad;
    switch (d->type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR: bad = wrong_tensor(*d); break;
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR: bad = wrong_convolution(*d); break;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR: bad = wrong_operation(*d); break;
    case CUDNN_BACKEND_POINTWISE_DESCRIPTOR: bad = wrong_pointwise(*d); break;
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: bad = wrong_pointwise_operation(*d); break;
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        bad = wrong_graph(*d);
        /* Some graph that cuDNN does not know: here, one with dilation. */
        if (bad.empty() && fused_of(*d).c.dilation_h * fused_of(*d).c.dilation_w > 1) return CUDNN_STATUS_NOT_SUPPORTED;
        break;
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR: d->graph = d->to(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH); break;
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: {
        Backend *configuration = d->to(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
        d->engine = configuration->engine, d->graph = configuration->graph;
        if (d->one<void *>(CUDNN_ATTR_EXECUTION_PLAN_HANDLE) != d->graph->one<void *>(CUDNN_ATTR_OPERATIONGRAPH_HANDLE)) bad = "a plan has another handle than its graph";
        if (!d->engine->planned) return CUDNN_STATUS_NOT_SUPPORTED;
        if (!d->engine->repeatable()) bad = "a plan's engine is not deterministic, or rounds to less than TF32";
        if (d->engine->tensor_cores() && !state().tf32) bad = "a plan's engine rounds to TF32, and nobody wants that";
        break;
    }
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
        if (d->all<void *>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS).size() != d->all<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS).size())
            bad = "a variant pack has more addresses than tensors, or fewer";
        break;
    default: bad = "a descriptor of type " + std::to_string(d->type) + " is not one that is finalized";
    }
    if (!bad.empty()) return wrong(__func__, bad);
    d->finalized = true;
    return CUDNN_STATUS_SUCCESS;
}

/* Results of the heuristics are written into descriptors that the caller has made. As in cuDNN, fewer are written than were
 * counted. */
cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const descriptor, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                                       int64_t requested, int64_t *count, void *elements) {
    ENTER;
    Backend *d = live_backend(__func__, "what is asked", descriptor);
    if (!d) return CUDNN_STATUS_BAD_PARAM;
    bool is_engine = d->type == CUDNN_BACKEND_ENGINE_DESCRIPTOR;
    if (!d->finalized) return wrong(__func__, "a descriptor is asked before it is finalized");
    if (d->type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR && name == CUDNN_ATTR_ENGINEHEUR_RESULTS && type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
        auto found = engines_for(fused_of(*d->graph), d->one<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE));
        *count = found.size() + (requested ? 0 : 2);
        for (int64_t i = 0; i < requested && i < (int64_t)found.size(); i++) {
            Backend *to = live_backend(__func__, "a result's descriptor", ((void **)elements)[i]);
            if (!to || to->type != CUDNN_BACKEND_ENGINECFG_DESCRIPTOR) return wrong(__func__, "a result's descriptor is of another type");
            to->engine = found[i], to->graph = d->graph, to->finalized = true;
        }
    } else if (d->type == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR && name == CUDNN_ATTR_ENGINECFG_ENGINE && type == CUDNN_TYPE_BACKEND_DESCRIPTOR && requested == 1) {
        Backend *to = live_backend(__func__, "an engine's descriptor", *(void **)elements);
        if (!to || to->type != CUDNN_BACKEND_ENGINE_DESCRIPTOR) return wrong(__func__, "an engine's descriptor is of another type");
        to->engine = d->engine, to->finalized = true, *count = 1;
    } else if (is_engine && name == CUDNN_ATTR_ENGINE_GLOBAL_INDEX && type == CUDNN_TYPE_INT64 && requested == 1) {
        *(int64_t *)elements = d->engine->number, *count = 1;
    } else if (is_engine && name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE && type == CUDNN_TYPE_NUMERICAL_NOTE) {
        *count = d->engine->notes.size();
        for (int64_t i = 0; i < requested && i < *count; i++) ((cudnnBackendNumericalNote_t *)elements)[i] = d->engine->notes[i];
    } else if (d->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR && name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE && type == CUDNN_TYPE_INT64 && requested == 1) {
        *(int64_t *)elements = plan_workspace(*d), *count = 1;
    } else {
        return wrong(__func__, "attribute " + std::to_string(name) + " of a descriptor of type " + std::to_string(d->type) + " is not asked so");
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack) {
    ENTER;
    Backend *p = live_backend(__func__, "the plan", plan), *v = live_backend(__func__, "the variant pack", pack);
    if (!p || !v || !p->finalized || !v->finalized || p->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR || v->type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
        return wrong(__func__, "not a plan and a variant pack, both finalized");
    if (p->one<void *>(CUDNN_ATTR_EXECUTION_PLAN_HANDLE) != handle) return wrong(__func__, "another handle than the plan's");
    if (!backends.count(p->graph)) return wrong(__func__, "the plan's graph was destroyed");
    return run_plan(handle, *p, *v);
}
}
