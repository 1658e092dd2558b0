/* Dense layers of few outputs, such as a classifier's, which cost more by their launches than by what they compute. Included by
 * kernels.cu. */

/* The most outputs: mostNarrow. */
enum { NARROW = 16 };

/* An input of the layer: x, or max(x + bias, 0) where a bias and a rectifier are still to come. */
static __device__ __forceinline__ float input_of(float x, const float *bias, word input) { return bias ? rectified(x + bias[input]) : x; }

/* Sum of x[i] * weight[i], x being such inputs. */
static __device__ __forceinline__ float product_of(const stored *x, const float *bias, const stored *weight, word inputs) {
    float sum = 0;
    for (word i = 0; i < inputs; i++) sum += input_of(x[i], bias, i) * weight[i];
    return sum;
}

/* All gradients of a dense layer of at most NARROW outputs behind a rectifier, of whose outputs dy are the gradients: dweight = sum over
 * rows of dy * x, dx = factor * sum of dy * weight where x > 0, and 0 elsewhere, and unless dbias is null its sums over rows, which are the
 * gradient of the bias before the rectifier; x is input_of its values and input_bias. Behind dropout x is what that has left, and the factor its own. A block has BLOCK / lanes
 * inputs, and each the rows of its lanes. */
extern "C" __global__ void OF_MAPS(narrow_gradient)(const stored *dy, const stored *weight, const stored *x, const float *input_bias, stored *dx,
                                           float *dweight, float *dbias, float factor, word rows, word inputs, word outputs, word lanes) {
    word input = blockIdx.x * (BLOCK / lanes) + threadIdx.x / lanes, lane = threadIdx.x % lanes;
    bool own = input < inputs;
    float w[NARROW];
    double products[NARROW], all = 0;
    for (word k = 0; k < NARROW; k++) {
        w[k] = own && k < outputs ? weight[(count)k * inputs + input] : 0.0f;
        products[k] = 0;
    }
    for (word row = lane; own && row < rows; row += lanes) {
        count at = (count)row * inputs + input;
        float value = input_of(x[at], input_bias, input), sum = 0;
        for (word k = 0; k < NARROW; k++) {
            if (k >= outputs) continue;
            float g = dy[(count)row * outputs + k];
            sum += g * w[k];
            products[k] += (double)g * value;
        }
        sum = as_stored(value > 0 ? sum * factor : 0);
        dx[at] = sum;
        all += sum;
    }
    for (word k = 0; k < NARROW; k++) {
        if (k >= outputs) continue;
        double sum = lane_sum(products[k], lanes);
        if (own && lane == 0) dweight[(count)k * inputs + input] = (float)sum;
    }
    if (!dbias) return;
    all = lane_sum(all, lanes);
    if (own && lane == 0) dbias[input] = (float)all;
}
