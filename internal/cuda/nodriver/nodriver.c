/* Stands in for libcuda.so.1 on a machine without NVIDIA's driver, for make gpu-test-libraries alone: cuDNN loads one of its
 * own libraries only where that has what it calls of the driver. There is no device behind it. */
#define NONE(name) \
    int name(void) { return 100; } /* CUDA_ERROR_NO_DEVICE */

NONE(cuInit)
NONE(cuGetErrorString)
NONE(cuModuleGetFunction)
NONE(cuModuleLoadData)
NONE(cuModuleUnload)
NONE(cuTensorMapEncodeIm2col)
NONE(cuTensorMapEncodeTiled)
