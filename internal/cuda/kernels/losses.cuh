/* Losses of softmax(x): the cross-entropy, with label smoothing, class weights and the focal factor (Lin et al., 2017). With the
 * coefficients c[k] = ((1 - smoothing) * target[k] + smoothing / classes) * weight[k] and p = softmax(x) of a row, it is
 * sum of c[k] * (1 - p[k])^gamma * -log p[k], divided by the sum over rows of target[k] * weight[k]. And the binary loss, of
 * sigma(x). Included by kernels.cu. */

/* What a row is to be: `label` to the share, and `other` to the rest. */
struct Target {
    int label, other;
    double share;
};

/* That of a row; without others it is its label alone. */
static __device__ __forceinline__ Target target_of(const int *labels, const int *others, const float *shares, count row) {
    Target t = {labels[row], others ? others[row] : labels[row], others ? (double)shares[row] : 1};
    return t;
}

static __device__ __forceinline__ double coefficient(const double *weights, int k, Target t, int classes, double smoothing) {
    double target = (k == t.label ? t.share : 0) + (k == t.other ? 1 - t.share : 0);
    return ((1 - smoothing) * target + smoothing / classes) * (weights ? weights[k] : 1);
}

/* The derivative of a row's loss by log p[k], c * (gamma * (1 - p)^(gamma - 1) * p * log p - (1 - p)^gamma); 0 where p = 1 and gamma > 0. */
static __device__ __forceinline__ double by_log_p(double c, double log_p, double gamma) {
    if (!(gamma > 0) || c == 0) return -c;
    double p = exp(log_p), rest = -expm1(log_p), g = -pow(rest, gamma);
    if (p > 0 && rest > 0) g += gamma * pow(rest, gamma - 1) * p * log_p;
    return c * g;
}

/* Whether x[label] is not the first largest of a row, as lane 0 and those beside it see their part of it: NaN is never the largest,
 * unless it is the first value. */
static __device__ __forceinline__ bool larger_exists(const float *x, int label, int classes, word lane, word lanes) {
    float own = x[label];
    bool larger = label != 0 && (x[0] != x[0] || own != own);
    for (int k = (int)lane; k < classes; k += (int)lanes) larger = larger || x[k] > own || (k < label && x[k] == own);
    return larger;
}

/* The end of a loss's launch, which the last block to be done comes to: adds up the rows, of which per_row has the losses, and then
 * whether each is right. Whether this is that block comes back. Every thread of the block calls it. */
static __device__ bool finish_loss(const double *per_row, word *ticket, float *value, count *correct, word rows, double divisor) {
    if (!last_of(ticket, gridDim.x)) return false;
    double losses = 0, right = 0;
    for (word r = threadIdx.x; r < rows; r += BLOCK) {
        losses += per_row[r];
        right += per_row[rows + r];
    }
    losses = lane_sum(losses, BLOCK);
    right = lane_sum(right, BLOCK);
    if (threadIdx.x == 0) {
        *value = (float)(losses / divisor);
        *correct = (count)right;
    }
    return true;
}

/* The loss of a batch, how many rows are classified right, and with dx its gradient, dx[j] = outer / divisor * (g[j] - p[j] * sum of
 * g), g being by_log_p, whose sums by class go to dbias unless it is null. Where there are others, a row is its label to its share, and
 * right where that is the largest. Where there are inputs, the logits are the products of
 * input_of them with the rows of dense_weight; where there is a bias, it is added to the logits first. A
 * block has BLOCK / lanes rows, lanes being at least the classes up to BLOCK. */
extern "C" __global__ void OF_MAPS(softmax_loss)(const stored *inputs, const float *input_bias, const stored *dense_weight, word size, float *logits,
                                        const float *bias, const int *labels, const int *others, const float *shares, const double *weights,
                                        const float *outer, stored *dx, float *dbias, double *per_row, word *ticket, float *value,
                                        count *correct, word rows, int classes, word lanes, double smoothing, double gamma) {
    word row = blockIdx.x * (BLOCK / lanes) + threadIdx.x / lanes, lane = threadIdx.x % lanes;
    bool own = row < rows;
    float *x = logits + (count)row * classes;
    Target target = target_of(labels, others, shares, own ? row : 0);
    int first = (int)lane, end = own ? classes : 0;
    for (int k = first; inputs && k < end; k += (int)lanes)
        x[k] = product_of(inputs + (count)row * size, input_bias, dense_weight + (count)k * size, size);
    for (int k = first; bias && k < end; k += (int)lanes) x[k] += bias[k];
    double divisor = rows;
    if (weights) {
        double sum = 0;
        for (word r = threadIdx.x; r < rows; r += BLOCK) {
            Target t = target_of(labels, others, shares, r);
            sum += t.share * weights[t.label] + (1 - t.share) * weights[t.other];
        }
        divisor = lane_sum(sum, BLOCK);
    }
    __syncthreads(); /* the row is whole */
    double largest = own ? x[lane % classes] : 0, sum = 0, loss = 0, slope = 0;
    for (int k = first; k < end; k += (int)lanes) largest = x[k] > largest || x[k] != x[k] ? x[k] : largest;
    largest = lane_largest(largest, lanes);
    for (int k = first; k < end; k += (int)lanes) sum += exp((double)x[k] - largest);
    double total = log(lane_sum(sum, lanes)) + largest;
    for (int k = first; k < end; k += (int)lanes) {
        double c = coefficient(weights, k, target, classes, smoothing), log_p = x[k] - total;
        if (c != 0) loss += c * (gamma > 0 ? pow(-expm1(log_p), gamma) : 1) * -log_p;
        slope += by_log_p(c, log_p, gamma);
    }
    loss = lane_sum(loss, lanes);
    double wrong = lane_sum(own && larger_exists(x, target.label, classes, lane, lanes) ? 1 : 0, lanes);
    if (own && lane == 0) {
        per_row[row] = loss;
        per_row[rows + row] = wrong > 0 ? 0 : 1;
    }
    if (dx) {
        double scale = *outer / divisor;
        slope = lane_sum(slope, lanes);
        for (int k = first; k < end; k += (int)lanes) {
            double log_p = x[k] - total, g = by_log_p(coefficient(weights, k, target, classes, smoothing), log_p, gamma);
            dx[(count)row * classes + k] = (float)((g - exp(log_p) * slope) * scale);
        }
    }
    if (!finish_loss(per_row, ticket, value, correct, rows, divisor)) return;
    if (!dbias) return;
    /* Here `lanes` classes at a time, with BLOCK / lanes neighbouring threads each. */
    word each = BLOCK / lanes, own_class = threadIdx.x / each;
    for (word k = own_class; k < (word)classes + own_class; k += lanes) {
        double of_class = 0;
        for (word r = threadIdx.x % each; k < (word)classes && r < rows; r += each) of_class += dx[(count)r * classes + k];
        of_class = lane_sum(of_class, each);
        if (k < (word)classes && threadIdx.x % each == 0) dbias[k] = (float)of_class;
    }
}

/* Whether a row that is told by `of` has class k: a bit of combination `of`, or without combinations the class itself. */
static __device__ __forceinline__ bool is_of(const word *combinations, int of, int k, int classes) {
    if (!combinations) return k == of;
    return combinations[(count)of * ((classes + 31) / 32) + k / 32] >> (k % 32) & 1;
}

/* A row's target of class k. A question of a combination has two answers, between which it is smoothed. */
static __device__ __forceinline__ float binary_target(const word *combinations, Target t, bool mixed, int k, int classes, double smoothing) {
    float target = (float)(combinations ? smoothing / 2 : smoothing / classes);
    if (mixed && is_of(combinations, t.other, k, classes)) target += (float)((1 - smoothing) * (1 - t.share));
    if (combinations && target > 1) target = 1;
    if (is_of(combinations, t.label, k, classes)) target += (float)((1 - smoothing) * t.share);
    return combinations && target > 1 ? 1 : target;
}

/* The mean over rows and classes of weight[k] * t * -log sigma(x) + (1 - t) * -log(1 - sigma(x)), t being binary_target, how many
 * rows are right, and with dx its gradient, outer / (rows * classes) * ((1 - t + weight[k] * t) * sigma(x) - weight[k] * t). Of
 * combinations a row is right where the classes with x > 0 are its label's, else where the largest x is. Blocks are softmax_loss's. */
extern "C" __global__ void OF_MAPS(binary_loss)(const float *logits, const int *labels, const int *others, const float *shares,
                                       const word *combinations, const double *weights, const float *outer, stored *dx, double *per_row,
                                       word *ticket, float *value, count *correct, word rows, int classes, word lanes, double smoothing) {
    word row = blockIdx.x * (BLOCK / lanes) + threadIdx.x / lanes, lane = threadIdx.x % lanes;
    bool own = row < rows;
    const float *x = logits + (count)row * classes;
    Target target = target_of(labels, others, shares, own ? row : 0);
    double divisor = (double)rows * classes, loss = 0;
    bool differs = own && !combinations && larger_exists(x, target.label, classes, lane, lanes);
    for (int k = (int)lane; own && k < classes; k += (int)lanes) {
        double z = x[k], t = binary_target(combinations, target, others != 0, k, classes, smoothing), weight = weights ? weights[k] : 1;
        /* log(1 + exp(-|z|)) is of both sides, sigma from the exponential that does not overflow. */
        double e = exp(z < 0 ? z : -z), both = log1p(e), sigma = (z < 0 ? e : 1) / (1 + e);
        loss += weight * t * ((z < 0 ? -z : 0) + both) + (1 - t) * ((z > 0 ? z : 0) + both);
        if (dx) dx[(count)row * classes + k] = (float)(((1 - t + weight * t) * sigma - weight * t) * (*outer / divisor));
        if (combinations) differs = differs || z != z || (z > 0) != is_of(combinations, target.label, k, classes);
    }
    loss = lane_sum(loss, lanes);
    double wrong = lane_sum(differs ? 1 : 0, lanes);
    if (own && lane == 0) {
        per_row[row] = loss;
        per_row[rows + row] = wrong > 0 ? 0 : 1;
    }
    finish_loss(per_row, ticket, value, correct, rows, divisor);
}
