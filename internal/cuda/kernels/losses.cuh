/* Losses of softmax(x) beside the plain cross-entropy: label smoothing, class weights and the focal factor (Lin et al., 2017). With
 * the coefficients c[k] = ((1 - smoothing) * onehot(label)[k] + smoothing / classes) * weight[k] and p = softmax(x) of a row, it is
 * sum of c[k] * (1 - p[k])^gamma * -log p[k], divided by the sum of the rows' weight[label]. Included by kernels.cu. */

/* log sum exp(x), NaN if there is one among x. */
static __device__ double log_sum_exp(const float *x, int classes) {
    double largest = x[0], sum = 0;
    for (int j = 1; j < classes; j++) largest = x[j] > largest || x[j] != x[j] ? x[j] : largest;
    for (int j = 0; j < classes; j++) sum += exp((double)x[j] - largest);
    return log(sum) + largest;
}

static __device__ __forceinline__ double coefficient(const double *weights, int k, int label, int classes, double smoothing) {
    return ((k == label ? 1 - smoothing : 0) + smoothing / classes) * (weights ? weights[k] : 1);
}

/* A thread a row: its loss, its weight, and whether its first largest logit is the label's. */
extern "C" __global__ void softmax_loss_forward(const float *logits, const int *labels, const double *weights, double *row_loss,
                                                double *row_correct, double *row_weight, count rows, int classes, double smoothing,
                                                double gamma) {
    count row = thread_index();
    if (row >= rows) return;
    const float *x = logits + row * classes;
    double total = log_sum_exp(x, classes), loss = 0;
    int label = labels[row], best = 0;
    for (int k = 0; k < classes; k++) {
        if (x[k] > x[best]) best = k;
        double c = coefficient(weights, k, label, classes, smoothing), log_p = x[k] - total;
        if (c != 0) loss += c * (gamma > 0 ? pow(-expm1(log_p), gamma) : 1) * -log_p;
    }
    row_loss[row] = loss;
    row_correct[row] = best == label ? 1.0 : 0.0;
    row_weight[row] = weights ? weights[label] : 1;
}

/* One thread: divisor = sum of the weights, value = sum of the losses / divisor. */
extern "C" __global__ void weighted_mean(const double *losses, const double *weights, count n, double *divisor, float *value) {
    if (thread_index() != 0) return;
    double loss = 0, weight = 0;
    for (count i = 0; i < n; i++) {
        loss += losses[i];
        weight += weights[i];
    }
    *divisor = weight;
    *value = (float)(loss / weight);
}

/* The derivative of a row's loss by log p[k], c * (gamma * (1 - p)^(gamma - 1) * p * log p - (1 - p)^gamma); 0 where p = 1 and gamma > 0. */
static __device__ __forceinline__ double by_log_p(double c, double log_p, double gamma) {
    if (!(gamma > 0) || c == 0) return -c;
    double p = exp(log_p), rest = -expm1(log_p), g = -pow(rest, gamma);
    if (p > 0 && rest > 0) g += gamma * pow(rest, gamma - 1) * p * log_p;
    return c * g;
}

/* A thread a row: dx[j] = outer / divisor * (g[j] - p[j] * sum of g), g being by_log_p. */
extern "C" __global__ void softmax_loss_gradient(const float *logits, const int *labels, const double *weights, const double *divisor,
                                                 const float *outer, float *dx, count rows, int classes, double smoothing, double gamma) {
    count row = thread_index();
    if (row >= rows) return;
    const float *x = logits + row * classes;
    double total = log_sum_exp(x, classes), scale = *outer / *divisor, sum = 0;
    int label = labels[row];
    for (int k = 0; k < classes; k++) sum += by_log_p(coefficient(weights, k, label, classes, smoothing), x[k] - total, gamma);
    for (int k = 0; k < classes; k++) {
        double log_p = x[k] - total, g = by_log_p(coefficient(weights, k, label, classes, smoothing), log_p, gamma);
        dx[row * classes + k] = (float)((g - exp(log_p) * sum) * scale);
    }
}
