/* What the program asks of the loader behind the trampolines. */
#ifndef SLIPWAY_CUDA_SHIM_H
#define SLIPWAY_CUDA_SHIM_H

enum { CUDA_SHIM_DRIVER, CUDA_SHIM_CUDNN, CUDA_SHIM_CUBLAS, CUDA_SHIM_LIBRARIES };

/* The real cuInit(0): the one that package cu calls when the program starts answers 0 and does nothing, so that commands
 * which need no GPU neither wait for the driver nor end with it. */
int cuda_shim_init(void);

/* Loads the library; returns its file, or null, and why into reason. */
const char *cuda_shim_library(int library, char *reason, int size);

/* The entry points: their number, and for each its name, its library, and whether the loaded library has it. */
int cuda_shim_symbols(void);
const char *cuda_shim_symbol(int place, int *library);
int cuda_shim_has(int place);

/* The entry points that were called and that their library, although loaded, does not have; "" if there are none. */
const char *cuda_shim_missing(void);

#endif
