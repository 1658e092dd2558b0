/* ReLU with what is beside it: a bias, a sum or dropout before and behind it, and its gradient with that of the bias. Included by
 * kernels.cu. */

/* sum = a + b, and with a rectifier max(a + b, 0). */
extern "C" __global__ void OF_MAPS(add)(const stored *a, const stored *b, stored *sum, int rectifier, count n) {
    count i = thread_index();
    if (i < n) sum[i] = rectifier ? rectified(a[i] + b[i]) : a[i] + b[i];
}

/* y = max(x + bias, 0), where the bias is that of channel i / area % channels, or null; and with a ledger dropout of it. A thread has
 * the values of a quad, as dropout has. x and y may be the same. */
extern "C" __global__ void OF_MAPS(bias_relu)(const stored *x, const float *bias, stored *y, count area, count channels, const Ledger *ledger,
                                     count key, count threshold, float keep, count size, count n) {
    count begin = ledger ? ledger->first * size : 0, quad = begin / 4 + thread_index();
    if (quad * 4 >= begin + n) return;
    word drawn[4];
    if (ledger) philox_quad(key, quad, ledger->step, drawn);
    for (int j = 0; j < 4; j++) {
        count at = quad * 4 + j, i = at - begin;
        if (at < begin) continue;
        if (i >= n) return;
        float v = rectified(bias ? x[i] + bias[i / area % channels] : x[i]);
        y[i] = !ledger ? v : v * ((count)drawn[j] < threshold ? 0.0f : keep);
    }
}

/* dx = dy * factor where y > 0, and 0 elsewhere, and the sums of dx by channel, unless dbias is null. The gradient is dy + other, if
 * there is another. Behind dropout y is what that has left, and the factor its own. */
extern "C" __global__ void OF_MAPS(relu_gradient)(const stored *dy, const stored *other, const stored *y, stored *dx, float factor, float *dbias,
                                         double *partials, word *tickets, word runs, word sets, word area, word lanes) {
    word set = blockIdx.x * (BLOCK / lanes) + threadIdx.x / lanes, values = runs * area;
    double sum = 0;
    if (set < sets)
        for (word e = blockIdx.y * lanes + threadIdx.x % lanes; e < values; e += gridDim.y * lanes) {
            count at = set_value(e, set, sets, area);
            float g = other ? dy[at] + other[at] : dy[at];
            g = as_stored(y[at] > 0 ? g * factor : 0);
            dx[at] = g;
            sum += g;
        }
    if (dbias) set_sum(sum, dbias, partials, tickets, set, sets, lanes);
}
