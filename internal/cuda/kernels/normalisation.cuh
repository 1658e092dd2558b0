/* Normalisations. Statistics are pairs {mean, 1 / sqrt(variance + epsilon)} in float64. Included by kernels.cu. */

/* The sums of the shares of a set's partial pairs, at most BLOCK of them, known to the whole block. */
static __device__ void add_shares(const double *partials, word set, word shares, double *first, double *second) {
    const double *own = partials + (count)set * shares * 2;
    double a = 0, b = 0;
    if (threadIdx.x < shares) {
        a = own[2 * threadIdx.x];
        b = own[2 * threadIdx.x + 1];
    }
    *first = lane_sum(a, BLOCK);
    *second = lane_sum(b, BLOCK);
}

/* Batch normalisation (Ioffe and Szegedy, 2015): y = weight * (x - mean) / sqrt(variance + epsilon) + bias, blockIdx.x being the channel
 * and blockIdx.y its share of the values. With partials of moment_sums mean and variance, the latter of m values divided by m, are
 * the batch's, and what the running statistics learn of it goes to batch_mean and batch_variance, divided by m - 1; else they
 * are the running ones. A residual is added to y, unless it is null, and with a rectifier what is below 0 then is 0. */
extern "C" __global__ void OF_MAPS(batch_norm_forward)(const stored *x, const double *partials, word shares, const float *running_mean,
                                              const float *running_variance, const float *weight, const float *bias, stored *y,
                                              double *statistics, double *batch_mean, double *batch_variance, word runs, word channels,
                                              word area, double epsilon, const stored *residual, int rectifier) {
    word channel = blockIdx.x, values = runs * area;
    double mean, variance;
    if (partials) {
        double first, second, m = values;
        add_shares(partials, channel, shares, &first, &second);
        mean = x[(count)channel * area] + first / m;
        variance = second / m - first / m * (first / m);
        if (variance < 0) variance = 0;
    } else {
        mean = running_mean[channel];
        variance = running_variance[channel];
    }
    double inverse = 1 / sqrt(variance + epsilon);
    if (blockIdx.y == 0 && threadIdx.x == 0) {
        statistics[2 * channel] = mean;
        statistics[2 * channel + 1] = inverse;
        if (partials) {
            batch_mean[channel] = mean;
            batch_variance[channel] = values > 1 ? variance * values / (values - 1) : 0;
        }
    }
    double factor = weight[channel] * inverse, shift = bias[channel];
    for (word e = blockIdx.y * BLOCK + threadIdx.x; e < values; e += gridDim.y * BLOCK) {
        count at = set_value(e, channel, channels, area);
        float v = (float)((x[at] - mean) * factor + shift);
        if (residual) v += residual[at];
        y[at] = rectifier ? rectified(v) : v;
    }
}

/* Its gradients, with h = (x - mean) * inverse and the sums of product_sums: dweight = sum of dy * h, dbias = sum of dy and
 * dx = weight * inverse * (dy - (dbias + h * dweight) / m), without what is behind dy where the statistics are not the batch's. Those
 * that are null are not asked for. */
extern "C" __global__ void OF_MAPS(batch_norm_gradient)(const stored *dy, const stored *x, const double *statistics, const double *partials, word shares,
                                               const float *weight, stored *dx, float *dweight, float *dbias, word runs, word channels,
                                               word area, int batch) {
    word channel = blockIdx.x, values = runs * area;
    double products, sum;
    add_shares(partials, channel, shares, &products, &sum);
    if (blockIdx.y == 0 && threadIdx.x == 0) {
        if (dweight) dweight[channel] = (float)products;
        if (dbias) dbias[channel] = (float)sum;
    }
    if (!dx) return;
    double mean = statistics[2 * channel], inverse = statistics[2 * channel + 1], factor = weight[channel] * inverse, m = values;
    double shift = batch ? sum / m : 0, slope = batch ? products / m * inverse : 0;
    for (word e = blockIdx.y * BLOCK + threadIdx.x; e < values; e += gridDim.y * BLOCK) {
        count at = set_value(e, channel, channels, area);
        dx[at] = (float)(factor * (dy[at] - shift - (x[at] - mean) * slope));
    }
}

/* Group and layer normalisation: y = weight * (x - mean) * inverse + bias over sets of `size` values: value e of set s lies at
 * s / inner * outer + s % inner + e * stride, in channel s % groups * (size / per) + e / per. A block has BLOCK / lanes sets. */
static __device__ __forceinline__ count norm_first(word set, word inner, count outer) { return set / inner * outer + set % inner; }

extern "C" __global__ void OF_MAPS(set_norm_forward)(const stored *x, const float *weight, const float *bias, stored *y, double *statistics, word sets,
                                            word size, word inner, count outer, word stride, word per, word groups, word lanes,
                                            double epsilon) {
    word set = blockIdx.x * (BLOCK / lanes) + threadIdx.x / lanes, lane = threadIdx.x % lanes;
    count first = norm_first(set, inner, outer);
    double sum = 0, squares = 0;
    for (word e = lane; set < sets && e < size; e += lanes) sum += x[first + (count)e * stride];
    double mean = lane_sum(sum, lanes) / size;
    for (word e = lane; set < sets && e < size; e += lanes) {
        double d = x[first + (count)e * stride] - mean;
        squares += d * d;
    }
    double inverse = 1 / sqrt(lane_sum(squares, lanes) / size + epsilon);
    if (set >= sets) return;
    if (lane == 0) {
        statistics[2 * (count)set] = mean;
        statistics[2 * (count)set + 1] = inverse;
    }
    word channel = set % groups * (size / per);
    for (word e = lane; e < size; e += lanes) {
        count at = first + (count)e * stride;
        y[at] = (float)((x[at] - mean) * inverse * weight[channel + e / per] + bias[channel + e / per]);
    }
}

/* dx = inverse * (g - mean of g - h * mean of g * h), g = weight * dy and h = (x - mean) * inverse. */
extern "C" __global__ void OF_MAPS(set_norm_gradient)(const stored *dy, const stored *x, const float *weight, const double *statistics, stored *dx,
                                             word sets, word size, word inner, count outer, word stride, word per, word groups,
                                             word lanes) {
    word set = blockIdx.x * (BLOCK / lanes) + threadIdx.x / lanes, lane = threadIdx.x % lanes;
    count first = norm_first(set, inner, outer);
    word channel = set % groups * (size / per);
    double sum = 0, products = 0, mean = 0, inverse = 0;
    if (set < sets) {
        mean = statistics[2 * (count)set];
        inverse = statistics[2 * (count)set + 1];
    }
    for (word e = lane; set < sets && e < size; e += lanes) {
        count at = first + (count)e * stride;
        double g = (double)dy[at] * weight[channel + e / per];
        sum += g;
        products += g * ((x[at] - mean) * inverse);
    }
    sum = lane_sum(sum, lanes) / size;
    products = lane_sum(products, lanes) / size;
    for (word e = lane; set < sets && e < size; e += lanes) {
        count at = first + (count)e * stride;
        double g = (double)dy[at] * weight[channel + e / per];
        dx[at] = (float)(inverse * (g - sum - (x[at] - mean) * inverse * products));
    }
}
