/* Stands before cuDNN's own cudnn.h and gives back the names that cuDNN 9 removed and gorgonia.org/cu/dnn v0.9.6 still
 * mentions. None is on a training path: every call answers CUDNN_STATUS_NOT_SUPPORTED. */
#ifndef SLIPWAY_COMPAT_CUDNN_H
#define SLIPWAY_COMPAT_CUDNN_H
#include_next <cudnn.h>
#if CUDNN_MAJOR >= 9

/* cu/dnn turns every status above this one into NotSupported. cuDNN 9 numbers it 1007, which would hide all the others. */
#define CUDNN_STATUS_RUNTIME_FP_OVERFLOW 99999

typedef struct cudnnAlgorithmStruct *cudnnAlgorithmDescriptor_t;
typedef struct cudnnAlgorithmPerformanceStruct *cudnnAlgorithmPerformance_t;
typedef struct cudnnPersistentRNNPlan *cudnnPersistentRNNPlan_t;
typedef struct {
    union Algorithm {
        cudnnConvolutionFwdAlgo_t convFwdAlgo;
        cudnnConvolutionBwdFilterAlgo_t convBwdFilterAlgo;
        cudnnConvolutionBwdDataAlgo_t convBwdDataAlgo;
        cudnnRNNAlgo_t RNNAlgo;
        cudnnCTCLossAlgo_t CTCLossAlgo;
    } algo;
} cudnnAlgorithm_t;

#define SLIPWAY_GONE(name, parameters) \
    static inline __attribute__((unused)) cudnnStatus_t name parameters { return CUDNN_STATUS_NOT_SUPPORTED; }

SLIPWAY_GONE(cudnnCreateAlgorithmDescriptor, (cudnnAlgorithmDescriptor_t *descriptor))
SLIPWAY_GONE(cudnnSetAlgorithmDescriptor, (cudnnAlgorithmDescriptor_t descriptor, cudnnAlgorithm_t algorithm))
SLIPWAY_GONE(cudnnDestroyAlgorithmDescriptor, (cudnnAlgorithmDescriptor_t descriptor))
SLIPWAY_GONE(cudnnCreateAlgorithmPerformance, (cudnnAlgorithmPerformance_t *performance, int count))
SLIPWAY_GONE(cudnnSetAlgorithmPerformance,
             (cudnnAlgorithmPerformance_t performance, cudnnAlgorithmDescriptor_t descriptor, cudnnStatus_t status, float time, size_t memory))
SLIPWAY_GONE(cudnnDestroyAlgorithmPerformance, (cudnnAlgorithmPerformance_t *performance, int count))
SLIPWAY_GONE(cudnnCreatePersistentRNNPlan, (cudnnRNNDescriptor_t rnn, const int batch, const cudnnDataType_t type, cudnnPersistentRNNPlan_t *plan))
SLIPWAY_GONE(cudnnSetPersistentRNNPlan, (cudnnRNNDescriptor_t rnn, cudnnPersistentRNNPlan_t plan))
SLIPWAY_GONE(cudnnDestroyPersistentRNNPlan, (cudnnPersistentRNNPlan_t plan))
SLIPWAY_GONE(cudnnSetRNNMatrixMathType, (cudnnRNNDescriptor_t rnn, cudnnMathType_t type))
SLIPWAY_GONE(cudnnGetRNNLinLayerMatrixParams,
             (cudnnHandle_t handle, const cudnnRNNDescriptor_t rnn, const int layer, const cudnnTensorDescriptor_t x,
              const cudnnFilterDescriptor_t weights, const void *values, const int id, cudnnFilterDescriptor_t matrix, void **address))
SLIPWAY_GONE(cudnnGetRNNLinLayerBiasParams,
             (cudnnHandle_t handle, const cudnnRNNDescriptor_t rnn, const int layer, const cudnnTensorDescriptor_t x,
              const cudnnFilterDescriptor_t weights, const void *values, const int id, cudnnFilterDescriptor_t bias, void **address))

#endif
#endif
