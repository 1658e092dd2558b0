/* What only maps in bf16 need: conversions, and what cuDNN or a kernel of float32 does where all is of one kind. Included by kernels.cu. */

/* y = x, rounded: weights once a step, and images that are fed. */
extern "C" __global__ void OF_MAPS(narrow)(const float *x, stored *y, count n) {
    count i = thread_index();
    if (i < n) y[i] = x[i];
}

/* y = x: the gradients of a convolution's weights, and logits that are a map. */
extern "C" __global__ void OF_MAPS(widen)(const stored *x, float *y, count n) {
    count i = thread_index();
    if (i < n) y[i] = x[i];
}

/* y += the bias of channel i / area % channels. */
extern "C" __global__ void OF_MAPS(add_bias)(stored *y, const float *bias, count area, count channels, count n) {
    count i = thread_index();
    if (i < n) y[i] = y[i] + bias[i / area % channels];
}

/* dbias = the sums of dy by channel. */
extern "C" __global__ void OF_MAPS(bias_gradient)(const stored *dy, float *dbias, double *partials, word *tickets, word runs, word sets, word area,
                                                  word lanes) {
    word set = blockIdx.x * (BLOCK / lanes) + threadIdx.x / lanes, values = runs * area;
    double sum = 0;
    if (set < sets)
        for (word e = blockIdx.y * lanes + threadIdx.x % lanes; e < values; e += gridDim.y * lanes) sum += dy[set_value(e, set, sets, area)];
    set_sum(sum, dbias, partials, tickets, set, sets, lanes);
}

/* y[i] = x[i] * s[i / area % period], s being parameters. */
extern "C" __global__ void OF_MAPS(scale_channels)(const stored *x, const float *s, stored *y, count area, count period, count n) {
    count i = thread_index();
    if (i < n) y[i] = x[i] * s[i / area % period];
}
