/* Descriptors of cuDNN's graph API, as cudnn_graph.h documents them. */
#ifndef SLIPWAY_SIMULATOR_BACKEND_H
#define SLIPWAY_SIMULATOR_BACKEND_H

#include "convolution.h"

#include <cstring>

namespace simulator {

struct Value {
    int64_t count = 0;
    std::vector<char> bytes;
};

struct Backend {
    cudnnBackendDescriptorType_t type;
    bool finalized = false;
    std::map<int, Value> values; /* by attribute */
    const struct Engine *engine = nullptr; /* of an engine, of its configuration, of a plan */
    Backend *graph = nullptr;

    template <class T> std::vector<T> all(int attribute) const {
        auto found = values.find(attribute);
        if (found == values.end()) return {};
        std::vector<T> list(found->second.count);
        memcpy(list.data(), found->second.bytes.data(), list.size() * sizeof(T));
        return list;
    }
    template <class T> T one(int attribute, T otherwise = T()) const {
        auto found = values.find(attribute);
        if (found != values.end()) memcpy(&otherwise, found->second.bytes.data(), sizeof otherwise);
        return otherwise;
    }
    Backend *to(int attribute) const { return one<Backend *>(attribute); }
    bool has(int attribute) const { return values.count(attribute); }
};

/* An engine that the heuristics offer: what it notes of its arithmetic, and whether it has a plan in the end. */
struct Engine {
    int64_t number;
    std::vector<cudnnBackendNumericalNote_t> notes;
    bool planned;

    bool has(cudnnBackendNumericalNote_t note) const {
        for (auto own : notes)
            if (own == note) return true;
        return false;
    }
    bool strict() const { return has(CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP); }
    bool tensor_cores() const { return has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE); }
    /* In a fixed order, of float32 or, with tensor cores, of TF32. */
    bool repeatable() const { return notes.size() == (size_t)strict() + (size_t)tensor_cores(); }
};

/* The graph that is known here: a convolution, the sum with a bias, and perhaps a ReLU. */
struct Fused {
    cudnnTensorStruct x, y;
    cudnnFilterStruct w;
    cudnnConvolutionStruct c;
    Backend *x_tensor, *w_tensor, *bias_tensor, *y_tensor;
    bool rectifier;
};

/* What finalizing such a descriptor finds wrong, empty if nothing. */
std::string wrong_tensor(const Backend &d);
std::string wrong_convolution(const Backend &d);
std::string wrong_operation(const Backend &d);
std::string wrong_pointwise(const Backend &d);
std::string wrong_pointwise_operation(const Backend &d);
std::string wrong_graph(const Backend &d);

Fused fused_of(const Backend &graph);

/* The engines for a graph, the best first. */
std::vector<const Engine *> engines_for(const Fused &f, cudnnBackendHeurMode_t mode);

/* The bytes of a plan's workspace. */
int64_t plan_workspace(const Backend &plan);

cudnnStatus_t run_plan(cudnnHandle_t handle, const Backend &plan, const Backend &pack);

cudnnTensorStruct shape_of(const Backend &tensor);

} // namespace simulator

#endif
