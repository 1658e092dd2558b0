/* Losses of softmax(x): the cross-entropy, with label smoothing, class weights and the focal factor (Lin et al., 2017). With the
 * coefficients c[k] = ((1 - smoothing) * onehot(label)[k] + smoothing / classes) * weight[k] and p = softmax(x) of a row, it is
 * sum of c[k] * (1 - p[k])^gamma * -log p[k], divided by the sum of the rows' weight[label]. Included by kernels.cu. */

static __device__ __forceinline__ double coefficient(const double *weights, int k, int label, int classes, double smoothing) {
    return ((k == label ? 1 - smoothing : 0) + smoothing / classes) * (weights ? weights[k] : 1);
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

/* The loss of a batch, how many rows are classified right, and with dx its gradient, dx[j] = outer / divisor * (g[j] - p[j] * sum of
 * g), g being by_log_p, whose sums by class go to dbias unless it is null. Where there are inputs, the logits are the products of
 * input_of them with the rows of dense_weight; where there is a bias, it is added to the logits first. A
 * block has BLOCK / lanes rows, lanes being at least the classes up to BLOCK; the last block to be done adds up the rows, of which
 * per_row has the losses, and then whether each is right. */
extern "C" __global__ void softmax_loss(const float *inputs, const float *input_bias, const float *dense_weight, word size, float *logits, const float *bias, const int *labels, const double *weights, const float *outer,
                                        float *dx, float *dbias, double *per_row, word *ticket, float *value, count *correct, word rows,
                                        int classes, word lanes, double smoothing, double gamma) {
    word row = blockIdx.x * (BLOCK / lanes) + threadIdx.x / lanes, lane = threadIdx.x % lanes;
    bool own = row < rows;
    float *x = logits + (count)row * classes;
    int label = own ? labels[row] : 0, first = (int)lane, end = own ? classes : 0;
    for (int k = first; inputs && k < end; k += (int)lanes)
        x[k] = product_of(inputs + (count)row * size, input_bias, dense_weight + (count)k * size, size);
    for (int k = first; bias && k < end; k += (int)lanes) x[k] += bias[k];
    double divisor = rows;
    if (weights) {
        double sum = 0;
        for (word r = threadIdx.x; r < rows; r += BLOCK) sum += weights[labels[r]];
        divisor = lane_sum(sum, BLOCK);
    }
    __syncthreads(); /* the row is whole */
    double largest = own ? x[lane % classes] : 0, sum = 0, loss = 0, slope = 0;
    for (int k = first; k < end; k += (int)lanes) largest = x[k] > largest || x[k] != x[k] ? x[k] : largest;
    largest = lane_largest(largest, lanes);
    for (int k = first; k < end; k += (int)lanes) sum += exp((double)x[k] - largest);
    double total = log(lane_sum(sum, lanes)) + largest;
    for (int k = first; k < end; k += (int)lanes) {
        double c = coefficient(weights, k, label, classes, smoothing), log_p = x[k] - total;
        if (c != 0) loss += c * (gamma > 0 ? pow(-expm1(log_p), gamma) : 1) * -log_p;
        slope += by_log_p(c, log_p, gamma);
    }
    loss = lane_sum(loss, lanes);
    double wrong = lane_sum(own && larger_exists(x, label, classes, lane, lanes) ? 1 : 0, lanes);
    if (own && lane == 0) {
        per_row[row] = loss;
        per_row[rows + row] = wrong > 0 ? 0 : 1;
    }
    if (dx) {
        double scale = *outer / divisor;
        slope = lane_sum(slope, lanes);
        for (int k = first; k < end; k += (int)lanes) {
            double log_p = x[k] - total, g = by_log_p(coefficient(weights, k, label, classes, smoothing), log_p, gamma);
            dx[(count)row * classes + k] = (float)((g - exp(log_p) * slope) * scale);
        }
    }
    if (!last_of(ticket, gridDim.x)) return;
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
