/* What treats each value alone, and what only moves values. Included by kernels.cu. */

/* The functions, in the order of package ops. */
enum {
    RELU6 = 1, LEAKY_RELU, ELU, SELU, SIGMOID, TANH, SILU, HARD_SIGMOID, HARD_SWISH, GELU, GELU_TANH, SOFTPLUS
};

static __device__ __forceinline__ float logistic(float x) { return 1 / (1 + expf(-x)); }
/* NaN stays NaN. */
static __device__ __forceinline__ float between(float x, float low, float high) { return x < low ? low : x > high ? high : x; }
static __device__ __forceinline__ float selu_scale() { return 1.0507009873554805f; }
static __device__ __forceinline__ float selu_alpha() { return 1.6732632423543772f; }
/* GELU is x * P(x): P is the normal distribution function, or by tanh logistic(2u), u = sqrt(2 / pi) * (x + 0.044715 * x^3). */
static __device__ __forceinline__ float normal_share(float x) { return erfcf(-x * 0.70710678f) / 2; }
static __device__ __forceinline__ float tanh_share(float x) { return logistic(2 * 0.79788456f * (x + 0.044715f * x * x * x)); }

/* y = f(x). */
extern "C" __global__ void OF_MAPS(activation_forward)(const stored *x, stored *y, int function, float alpha, count n) {
    count i = thread_index();
    if (i >= n) return;
    float v = x[i], f = v;
    switch (function) {
    case RELU6: f = between(v, 0, 6); break;
    case LEAKY_RELU: f = v > 0 ? v : alpha * v; break;
    case ELU: f = v > 0 ? v : alpha * expm1f(v); break;
    case SELU: f = selu_scale() * (v > 0 ? v : selu_alpha() * expm1f(v)); break;
    case SIGMOID: f = logistic(v); break;
    case TANH: f = tanhf(v); break;
    case SILU: f = v * logistic(v); break;
    case HARD_SIGMOID: f = between(v + 3, 0, 6) / 6; break;
    case HARD_SWISH: f = v * (between(v + 3, 0, 6) / 6); break;
    case GELU: f = v * normal_share(v); break;
    case GELU_TANH: f = v * tanh_share(v); break;
    case SOFTPLUS: f = (v > 0 ? v : v != v ? v : 0) + log1pf(expf(-fabsf(v))); break;
    }
    y[i] = f;
}

/* dx = dy * f'(x). */
extern "C" __global__ void OF_MAPS(activation_gradient)(const stored *dy, const stored *x, stored *dx, int function, float alpha, count n) {
    count i = thread_index();
    if (i >= n) return;
    float v = x[i], s = 1;
    switch (function) {
    case RELU6: s = v <= 0 || v >= 6 ? 0 : 1; break;
    case LEAKY_RELU: s = v > 0 ? 1 : alpha; break;
    case ELU: s = v > 0 ? 1 : alpha * expf(v); break;
    case SELU: s = selu_scale() * (v > 0 ? 1 : selu_alpha() * expf(v)); break;
    case SIGMOID: s = logistic(v) * logistic(-v); break;
    case TANH: s = 1 - tanhf(v) * tanhf(v); break;
    case SILU: s = logistic(v) * (1 + v * logistic(-v)); break;
    case HARD_SIGMOID: s = v <= -3 || v >= 3 ? 0 : 1.0f / 6; break;
    case HARD_SWISH: s = v <= -3 ? 0 : v >= 3 ? 1 : v / 3 + 0.5f; break;
    case GELU: s = normal_share(v) + v * expf(-v * v / 2) * 0.39894228f; break;
    case GELU_TANH:
        s = tanh_share(v) + v * 2 * tanh_share(v) * tanh_share(-v) * 0.79788456f * (1 + 3 * 0.044715f * v * v);
        break;
    case SOFTPLUS: s = logistic(v); break;
    }
    dx[i] = dy[i] * s;
}

/* y[i] = x[i] * s[i / area % period]: products of values, of maps or of channels with a number each. */
extern "C" __global__ void OF_MAPS(scale)(const stored *x, const stored *s, stored *y, count area, count period, count n) {
    count i = thread_index();
    if (i < n) y[i] = x[i] * s[i / area % period];
}

/* y = x where x > 0, and slope * x elsewhere; the slope is that of i / area % slopes. With dy it is the gradient, x deciding. */
extern "C" __global__ void OF_MAPS(prelu)(const stored *x, const stored *dy, const float *slope, stored *y, count area, count slopes, count n) {
    count i = thread_index();
    if (i >= n) return;
    float value = dy ? dy[i] : x[i];
    y[i] = x[i] > 0 ? value : slope[i / area % slopes] * value;
}

/* dropout of `each` neighbouring values together: number i / each of the masks' factors is theirs, counted from the step's first image
 * on, of which each has `factors`. The gradient is the same on dy. */
extern "C" __global__ void OF_MAPS(drop_sets)(const stored *x, stored *y, const Ledger *ledger, count key, count threshold, float keep, count each,
                                     count factors, count n) {
    count i = thread_index();
    if (i >= n) return;
    count factor = ledger->first * factors + i / each;
    word drawn[4];
    philox_quad(key, factor / 4, ledger->step, drawn);
    word own = factor % 4 == 0 ? drawn[0] : factor % 4 == 1 ? drawn[1] : factor % 4 == 2 ? drawn[2] : drawn[3];
    y[i] = x[i] * ((count)own < threshold ? 0.0f : keep);
}

/* to[r * to_row + k] = from[r * from_row + k], k < length: a share of each row. */
extern "C" __global__ void OF_MAPS(copy_rows)(const stored *from, stored *to, count length, count from_row, count to_row, count n) {
    count i = thread_index();
    if (i < n) to[i / length * to_row + i % length] = from[i / length * from_row + i % length];
}
