/* The algorithms of cuDNN's legacy calls: which there are, and what cudnnFind and cudnnGet_v7 say of them. Times are made up, but
 * follow from the algorithm and the shapes. */
#include "convolution.h"

#include <algorithm>

namespace simulator {

/* How many times as long as the first choice an algorithm takes, 0 where it is not supported: a test may say otherwise. Those
 * that sum in any order are the fastest, as they may be. */
static const std::vector<double> slownesses[] = {
    {1.5, 1, 2, 0, 3, 2.5, 0, 1.2}, /* forward */
    {0.8, 1, 3, 0.9, 0, 1.3, 2.5},  /* filter_gradient */
    {0.9, 1, 3, 2.5, 0, 1.2},       /* data_gradient */
};

double slowness(Pass pass, int algorithm) {
    auto &said = state().algorithms;
    auto found = said.find({pass, algorithm});
    if (found != said.end()) return found->second;
    auto &known = slownesses[pass];
    return algorithm >= 0 && (size_t)algorithm < known.size() ? known[algorithm] : 0;
}

bool in_any_order(Pass pass, int algorithm) {
    return (pass == filter_gradient && (algorithm == 0 || algorithm == 3)) || (pass == data_gradient && algorithm == 0);
}

struct Answer {
    int algorithm;
    cudnnStatus_t status;
    float time;
    size_t memory;
    cudnnMathType_t math;
};

/* What is known of all algorithms, the fastest first, and those that fail last. In DEFAULT_MATH each is there in float32, too. */
static std::vector<Answer> answers(Pass pass, cudnnTensorStruct x, cudnnFilterStruct w, cudnnConvolutionStruct c, cudnnTensorStruct y, bool measured,
                                   size_t workspace) {
    std::vector<Answer> all;
    double milliseconds = 1e-9 * (double)y.size() * w.c * w.h * w.w;
    for (int algorithm = 0; algorithm < (int)slownesses[pass].size(); algorithm++)
        for (cudnnMathType_t math : {CUDNN_FMA_MATH, CUDNN_DEFAULT_MATH}) {
            if (math != CUDNN_FMA_MATH && c.math == CUDNN_FMA_MATH) continue;
            double times = slowness(pass, algorithm);
            Answer a = {algorithm, CUDNN_STATUS_SUCCESS, (float)(milliseconds * times * (math == CUDNN_FMA_MATH ? 1 : 0.5)),
                        workspace_bytes(pass, x, w, algorithm), math};
            if (!times) a.status = CUDNN_STATUS_NOT_SUPPORTED, a.time = -1, a.memory = 0;
            else if (measured && a.memory > workspace) a.status = CUDNN_STATUS_ALLOC_FAILED, a.time = -1;
            all.push_back(a);
        }
    std::stable_sort(all.begin(), all.end(), [&](const Answer &a, const Answer &b) {
        if ((a.status == 0) != (b.status == 0)) return a.status == 0;
        return a.time < b.time;
    });
    for (Answer &a : all)
        if (!measured) a.time = -1;
    return all;
}

template <class Perf, class Algorithm>
static cudnnStatus_t answer(Pass pass, std::vector<Answer> all, int room, int *count, Perf *into) {
    *count = std::min(room, (int)all.size());
    for (int i = 0; i < *count; i++) {
        const Answer &a = all[i];
        into[i] = {};
        into[i].algo = (Algorithm)a.algorithm, into[i].status = a.status, into[i].time = a.time, into[i].memory = a.memory;
        into[i].determinism = in_any_order(pass, a.algorithm) ? CUDNN_NON_DETERMINISTIC : CUDNN_DETERMINISTIC;
        into[i].mathType = a.math;
    }
    return CUDNN_STATUS_SUCCESS;
}

/* A search runs the algorithms in the caller's memory, whatever that holds, and waits for them. */
static cudnnStatus_t search(const char *call, Pass pass, cudnnHandle_t handle, cudnnTensorStruct x, const void *x_values, cudnnFilterStruct w,
                            const void *w_values, cudnnConvolutionStruct c, cudnnTensorStruct y, const void *y_values, void *workspace, size_t bytes) {
    if (!agree(call, x, w, c, y)) return CUDNN_STATUS_BAD_PARAM;
    if (!c.math_is_set) violate("%s: its math type was not set behind the rest of its descriptor", call);
    if (c.math != CUDNN_FMA_MATH) grants_tf32(call);
    if (state().capturing) {
        state().capture_broken = true;
        return violate("%s: while a stream is captured", call), CUDNN_STATUS_NOT_SUPPORTED;
    }
    auto touches = [=](const char *what, const void *values, size_t count, bool output) {
        return vectors(call, what, values) && reachable(call, what, values, count * 4, output ? written : read);
    };
    return (cudnnStatus_t)submit(handle->stream, [=]() -> int {
        bool ok = !bytes || reachable(call, "workspace", workspace, bytes, written);
        ok = ok && touches("x", x_values, x.size(), pass == data_gradient) && touches("w", w_values, w.size(), pass == filter_gradient) &&
             touches("y", y_values, y.size(), pass == forward);
        if (!ok) return CUDNN_STATUS_EXECUTION_FAILED;
        float *output = (float *)(pass == forward ? y_values : pass == filter_gradient ? w_values : x_values);
        size_t count = pass == forward ? y.size() : pass == filter_gradient ? w.size() : x.size();
        std::fill(output, output + count, 1e30f); /* nobody goes by what a search computes */
        return 0;
    });
}

} // namespace simulator

using namespace simulator;

#define ENTER \
    if (int fault = cudnn_enters(__func__)) return (cudnnStatus_t)fault

extern "C" {

cudnnStatus_t cudnnFindConvolutionForwardAlgorithmEx(cudnnHandle_t handle, const cudnnTensorDescriptor_t xd, const void *x, const cudnnFilterDescriptor_t wd,
                                                     const void *w, const cudnnConvolutionDescriptor_t cd, const cudnnTensorDescriptor_t yd, void *y,
                                                     const int room, int *count, cudnnConvolutionFwdAlgoPerf_t *found, void *workspace, size_t bytes) {
    ENTER;
    if (cudnnStatus_t failed = search(__func__, forward, handle, *xd, x, *wd, w, *cd, *yd, y, workspace, bytes)) return failed;
    return answer<cudnnConvolutionFwdAlgoPerf_t, cudnnConvolutionFwdAlgo_t>(forward, answers(forward, *xd, *wd, *cd, *yd, true, bytes), room, count, found);
}
cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithmEx(cudnnHandle_t handle, const cudnnTensorDescriptor_t xd, const void *x,
                                                            const cudnnTensorDescriptor_t yd, const void *y, const cudnnConvolutionDescriptor_t cd,
                                                            const cudnnFilterDescriptor_t wd, void *w, const int room, int *count,
                                                            cudnnConvolutionBwdFilterAlgoPerf_t *found, void *workspace, size_t bytes) {
    ENTER;
    if (cudnnStatus_t failed = search(__func__, filter_gradient, handle, *xd, x, *wd, w, *cd, *yd, y, workspace, bytes)) return failed;
    return answer<cudnnConvolutionBwdFilterAlgoPerf_t, cudnnConvolutionBwdFilterAlgo_t>(
        filter_gradient, answers(filter_gradient, *xd, *wd, *cd, *yd, true, bytes), room, count, found);
}
cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithmEx(cudnnHandle_t handle, const cudnnFilterDescriptor_t wd, const void *w,
                                                          const cudnnTensorDescriptor_t yd, const void *y, const cudnnConvolutionDescriptor_t cd,
                                                          const cudnnTensorDescriptor_t xd, void *x, const int room, int *count,
                                                          cudnnConvolutionBwdDataAlgoPerf_t *found, void *workspace, size_t bytes) {
    ENTER;
    if (cudnnStatus_t failed = search(__func__, data_gradient, handle, *xd, x, *wd, w, *cd, *yd, y, workspace, bytes)) return failed;
    return answer<cudnnConvolutionBwdDataAlgoPerf_t, cudnnConvolutionBwdDataAlgo_t>(
        data_gradient, answers(data_gradient, *xd, *wd, *cd, *yd, true, bytes), room, count, found);
}
cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t, const cudnnTensorDescriptor_t xd, const cudnnFilterDescriptor_t wd,
                                                     const cudnnConvolutionDescriptor_t cd, const cudnnTensorDescriptor_t yd, const int room, int *count,
                                                     cudnnConvolutionFwdAlgoPerf_t *found) {
    ENTER;
    return answer<cudnnConvolutionFwdAlgoPerf_t, cudnnConvolutionFwdAlgo_t>(forward, answers(forward, *xd, *wd, *cd, *yd, false, 0), room, count, found);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnnHandle_t, const cudnnTensorDescriptor_t xd, const cudnnTensorDescriptor_t yd,
                                                            const cudnnConvolutionDescriptor_t cd, const cudnnFilterDescriptor_t wd, const int room,
                                                            int *count, cudnnConvolutionBwdFilterAlgoPerf_t *found) {
    ENTER;
    return answer<cudnnConvolutionBwdFilterAlgoPerf_t, cudnnConvolutionBwdFilterAlgo_t>(
        filter_gradient, answers(filter_gradient, *xd, *wd, *cd, *yd, false, 0), room, count, found);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnnHandle_t, const cudnnFilterDescriptor_t wd, const cudnnTensorDescriptor_t yd,
                                                          const cudnnConvolutionDescriptor_t cd, const cudnnTensorDescriptor_t xd, const int room,
                                                          int *count, cudnnConvolutionBwdDataAlgoPerf_t *found) {
    ENTER;
    return answer<cudnnConvolutionBwdDataAlgoPerf_t, cudnnConvolutionBwdDataAlgo_t>(
        data_gradient, answers(data_gradient, *xd, *wd, *cd, *yd, false, 0), room, count, found);
}
/* A test says how many times as long as the first choice an algorithm takes; 0: it is not supported. */
void simulator_algorithm(int pass, int algorithm, double times) { state().algorithms[{pass, algorithm}] = times; }
}
