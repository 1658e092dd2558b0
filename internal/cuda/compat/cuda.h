/* Stands before CUDA's own cuda.h, so that gorgonia.org/cu v0.9.6, which was written for the driver API of CUDA 10 and 11,
 * compiles with CUDA 12 and 13.
 *
 * CUDA 13 gave five entry points other parameters under versioned names. The old ones stay in the driver's ABI, and are
 * declared here as the CUDA 12 documentation has them. */
#ifndef SLIPWAY_COMPAT_CUDA_H
#define SLIPWAY_COMPAT_CUDA_H
#include_next <cuda.h>
#if CUDA_VERSION >= 13000
#undef cuCtxCreate
#define cuCtxCreate cuCtxCreate_v2
#undef cuMemAdvise
#undef cuMemPrefetchAsync
#undef cuGraphAddDependencies
#undef cuGraphGetEdges
CUresult cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device);
CUresult cuMemAdvise(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUdevice device);
CUresult cuMemPrefetchAsync(CUdeviceptr address, size_t bytes, CUdevice device, CUstream stream);
CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, size_t count);
CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode *from, CUgraphNode *to, size_t *count);
#endif
#endif
