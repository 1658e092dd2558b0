/* Penalties on tensors. A launch has all tensors of one penalty, in chunks of a block each. Included by kernels.cu. */

/* Neighbouring values of tensor number `tensor`, and of its gradient, if that is asked for. The Go type chunk mirrors it. */
struct Chunk {
    const float *values;
    float *gradient;
    word length, tensor;
};

/* Which chunks a tensor has. The Go type chunks mirrors it. */
struct Chunks {
    word first, count;
};

/* Threads that add up the chunks of a tensor. */
enum { TENSOR_LANES = 32 };

/* sign keeps 0 and NaN. */
static __device__ __forceinline__ float sign_of(float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : x; }

/* value = sum over tensors of l1 * |p|_1 + l2 * |p|_2, or with squared of l1 * |p|_1 + l2 * |p|_2^2, and all = before + value unless
 * that is null. factors[t] = l2 / |p|_2 of tensor t, 0 where p = 0; it may be null. partials are a pair for each chunk, which is a
 * block; the last block to be done adds them up. */
extern "C" __global__ void penalty(const Chunk *chunks, const Chunks *of_tensor, double *partials, word *ticket, word tensors, double l1,
                                   double l2, int squared, float *factors, const float *before, float *value, float *all) {
    Chunk own = chunks[blockIdx.x];
    double absolute = 0, squares = 0;
    for (word i = threadIdx.x; i < own.length; i += BLOCK) {
        double x = own.values[i];
        absolute += fabs(x);
        squares += x * x;
    }
    add_pair(partials, blockIdx.x, gridDim.x, BLOCK, absolute, squares);
    if (!last_of(ticket, gridDim.x)) return;
    double total = 0;
    word lane = threadIdx.x % TENSOR_LANES, beside = threadIdx.x / TENSOR_LANES;
    for (word t = beside; t < tensors + beside; t += BLOCK / TENSOR_LANES) {
        absolute = squares = 0;
        for (word c = lane; t < tensors && c < of_tensor[t].count; c += TENSOR_LANES) {
            const double *pair = partials + 2 * ((count)of_tensor[t].first + c);
            absolute += pair[0];
            squares += pair[1];
        }
        absolute = lane_sum(absolute, TENSOR_LANES);
        squares = lane_sum(squares, TENSOR_LANES);
        if (t >= tensors || lane != 0) continue;
        double norm = sqrt(squares);
        total += l1 * absolute + l2 * (squared ? squares : norm);
        if (factors) factors[t] = squares > 0 ? (float)(l2 / norm) : 0.0f;
    }
    total = lane_sum(total, BLOCK);
    if (threadIdx.x != 0) return;
    *value = (float)total;
    if (all) *all = *before + (float)total;
}

/* gradient += l1 * sign(p) + factor * p, of all tensors: factors[tensor] is theirs. */
extern "C" __global__ void penalise(const Chunk *chunks, const float *factors, float l1) {
    Chunk own = chunks[blockIdx.x];
    float factor = factors[own.tensor];
    for (word i = threadIdx.x; i < own.length; i += BLOCK) own.gradient[i] += l1 * sign_of(own.values[i]) + factor * own.values[i];
}

/* da = outer * (l1 * sign(a) + l2 * a), the factors divided by the batch before, l2 doubled. */
extern "C" __global__ void activation_penalty_gradient(const float *a, const float *outer, float *da, float l1, float l2, count n) {
    count i = thread_index();
    if (i < n) da[i] = *outer * l1 * sign_of(a[i]) + *outer * l2 * a[i];
}
