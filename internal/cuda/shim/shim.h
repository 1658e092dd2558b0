/* What the program asks of the loader behind the trampolines. */
#ifndef SLIPWAY_CUDA_SHIM_H
#define SLIPWAY_CUDA_SHIM_H

enum { CUDA_SHIM_DRIVER, CUDA_SHIM_CUDNN, CUDA_SHIM_CUBLAS, CUDA_SHIM_CUBLASLT, CUDA_SHIM_LIBRARIES };

/* What an entry point answers that its library does not have, or whose library is not there. */
enum {
    CUDA_SHIM_NO_DRIVER = 3,   /* CUDA_ERROR_NOT_INITIALIZED */
    CUDA_SHIM_NO_CUDNN = 1001, /* CUDNN_STATUS_NOT_INITIALIZED */
    CUDA_SHIM_NO_CUBLAS = 1,   /* CUBLAS_STATUS_NOT_INITIALIZED, which is cuBLASLt's as well */
};

/* The real cuInit(0): the one that package cu calls when the program starts answers 0 and does nothing, so that commands
 * which need no GPU neither wait for the driver nor end with it. */
int cuda_shim_init(void);

/* Loads the library; returns its file, or null, and why into reason. */
const char *cuda_shim_library(int library, char *reason, int size);

/* The entry points: their number, and for each its name, its library, and whether the loaded library has it. */
int cuda_shim_symbols(void);
const char *cuda_shim_symbol(int place, int *library);
int cuda_shim_has(int place);

/* Puts into names the entry points that were called and that the library, although loaded, does not have, "" if
 * there are none. */
void cuda_shim_missing(int library, char *names, int size);

#endif
