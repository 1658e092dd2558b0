/* Slipway's own kernels: what cuDNN and cuBLAS do not have, or not as the CPU engines define it.
 *
 * Values are added in a fixed order, so that results do not depend on how threads are scheduled: by the tree of sums.cuh, whose
 * kernels alone have barriers. Which block ends last depends on it; what that block adds up, and how, does not. The simulator compiles this same file for the host.
 *
 * Every kernel takes as many threads as it has outputs, in one dimension of blocks unless it says otherwise. Shapes are
 * row-major: images N x C x H x W, logits N x K. */
#include "ledger.h"

typedef unsigned char byte;
typedef unsigned int word;
typedef unsigned long long count;

static __device__ __forceinline__ count thread_index() { return (count)blockIdx.x * blockDim.x + threadIdx.x; }

#include "stored.cuh"
#include "sums.cuh"

/* max(x, 0); NaN stays NaN. */
static __device__ __forceinline__ float rectified(float x) { return x <= 0 ? 0 : x; }

/* One word of Philox4x32-10 is a value's fate. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC'11). */
static __device__ __forceinline__ void philox(word key0, word key1, word counter[4]) {
    for (int round = 0; round < 10; round++) {
        count product0 = (count)0xD2511F53u * counter[0], product1 = (count)0xCD9E8D57u * counter[2];
        word next0 = (word)(product1 >> 32) ^ counter[1] ^ key0, next2 = (word)(product0 >> 32) ^ counter[3] ^ key1;
        counter[0] = next0;
        counter[1] = (word)product1;
        counter[2] = next2;
        counter[3] = (word)product0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

/* The words of the four values from 4 * quad on, of a step. */
static __device__ __forceinline__ void philox_quad(count key, count quad, count step, word drawn[4]) {
    drawn[0] = (word)quad, drawn[1] = (word)(quad >> 32), drawn[2] = (word)step, drawn[3] = (word)(step >> 32);
    philox((word)key, (word)(key >> 32), drawn);
}

/* y = x with values dropped as package ops draws them: value i takes word i mod 4 of Philox(key, {i / 4, step}), counted from the step's
 * first image on, of which each has `size` values. A thread has the four values of a quad, fewer at the ends of a batch that begins
 * within one. The gradient is the same kernel on dy. */
extern "C" __global__ void OF_MAPS(dropout)(const stored *x, stored *y, const Ledger *ledger, count key, count threshold, float keep, count size,
                                   count n) {
    count begin = ledger->first * size, quad = begin / 4 + thread_index();
    if (quad * 4 >= begin + n) return;
    word drawn[4];
    philox_quad(key, quad, ledger->step, drawn);
    for (int j = 0; j < 4; j++) {
        count at = quad * 4 + j, i = at - begin;
        if (at >= begin && i < n) y[i] = x[i] * ((count)drawn[j] < threshold ? 0.0f : keep);
    }
}

#include "dense.cuh"
#include "elementwise.cuh"
#include "losses.cuh"
#include "normalisation.cuh"
#ifndef BF16_MAPS
#include "penalties.cuh"
#endif
#include "rectifiers.cuh"
#include "step.cuh"
#include "windows.cuh"
#ifdef BF16_MAPS
#include "bf16.cuh"
#else
#include "shards.cuh" /* behind step.cuh, whose Sums it has */
#endif
