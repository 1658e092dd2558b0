/* Slipway's own kernels: what cuDNN and cuBLAS do not have, or not as the CPU engines define it.
 *
 * Values are added in a fixed order, so that results do not depend on how threads are scheduled: by several launches, or by
 * the tree of sums.cuh, whose kernels alone have barriers. The simulator compiles this same file for the host.
 *
 * Every kernel takes as many threads as it has outputs, in one dimension of blocks unless it says otherwise. Shapes are
 * row-major: images N x C x H x W, logits N x K. */
#include "ledger.h"

typedef unsigned char byte;
typedef unsigned int word;
typedef unsigned long long count;

static __device__ __forceinline__ count thread_index() { return (count)blockIdx.x * blockDim.x + threadIdx.x; }

#include "sums.cuh"

/* sign keeps 0 and NaN. */
static __device__ __forceinline__ float sign_of(float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : x; }

/* x[n, i] = table[i / area, images[order[position + n], i]] for the batch that the ledger is at: a table of 256 for each channel. */
extern "C" __global__ void gather_images(const byte *images, const int *order, const Ledger *ledger, const float *table, float *x,
                                         count size, count area, count total) {
    count i = thread_index();
    if (i >= total) return;
    count image = (count)order[ledger->position + i / size];
    x[i] = table[i % size / area * 256 + images[image * size + i % size]];
}

extern "C" __global__ void gather_labels(const int *labels, const int *order, const Ledger *ledger, int *batch_labels, count batch) {
    count i = thread_index();
    if (i < batch) batch_labels[i] = labels[order[ledger->position + i]];
}

/* A thread a row: its loss log(sum exp(x - m)) + m - x[label], and whether its first largest logit is the label's. */
extern "C" __global__ void cross_entropy_forward(const float *logits, const int *labels, double *row_loss, double *row_correct,
                                                 count rows, int classes) {
    count row = thread_index();
    if (row >= rows) return;
    const float *x = logits + row * classes;
    int best = 0;
    double largest = x[0];
    for (int j = 1; j < classes; j++) {
        if (x[j] > x[best]) best = j;
        largest = x[j] > largest || x[j] != x[j] ? x[j] : largest;
    }
    double sum = 0;
    for (int j = 0; j < classes; j++) sum += exp((double)x[j] - largest);
    row_loss[row] = log(sum) + largest - x[labels[row]];
    row_correct[row] = best == labels[row] ? 1.0 : 0.0;
}

/* A thread a row: dx = (softmax(x) - onehot(label)) * outer / rows. */
extern "C" __global__ void cross_entropy_gradient(const float *logits, const int *labels, const float *outer, float *dx, count rows,
                                                  int classes) {
    count row = thread_index();
    if (row >= rows) return;
    const float *x = logits + row * classes;
    double largest = x[0];
    for (int j = 1; j < classes; j++) largest = x[j] > largest || x[j] != x[j] ? x[j] : largest;
    double sum = 0;
    for (int j = 0; j < classes; j++) sum += exp((double)x[j] - largest);
    double scale = (double)*outer / (double)rows;
    for (int j = 0; j < classes; j++) {
        double probability = exp((double)x[j] - largest) / sum;
        dx[row * classes + j] = (float)((probability - (j == labels[row] ? 1.0 : 0.0)) * scale);
    }
}

/* sums[t] = in[t] + in[t + m] + ..., t < m. */
extern "C" __global__ void strided_sums(const double *in, count n, double *sums, count m) {
    count t = thread_index();
    if (t >= m) return;
    double sum = 0;
    for (count i = t; i < n; i += m) sum += in[i];
    sums[t] = sum;
}

/* One thread: value = scale * (in[0] + ... + in[n - 1]). */
extern "C" __global__ void scaled_sum(const double *in, count n, double scale, float *value) {
    if (thread_index() != 0) return;
    double sum = 0;
    for (count i = 0; i < n; i++) sum += in[i];
    *value = (float)(scale * sum);
}

/* Tensors that a launch reads together: blockIdx.y chooses one. */
struct Segment {
    const float *values;
    count length;
};

/* partials[s, 0, t] = sum of |x| and partials[s, 1, t] = sum of x^2 over x[t], x[t + m], ... of segment s. */
extern "C" __global__ void norms(const Segment *segments, double *partials, count m) {
    count t = thread_index();
    if (t >= m) return;
    Segment segment = segments[blockIdx.y];
    double absolute = 0, squares = 0;
    for (count i = t; i < segment.length; i += m) {
        double x = segment.values[i];
        absolute += fabs(x);
        squares += x * x;
    }
    double *own = partials + blockIdx.y * 2 * m;
    own[t] = absolute;
    own[m + t] = squares;
}

/* sums[r, t] = in[r, t] + in[r, t + m] + ... of row r = blockIdx.y, n values to m. */
extern "C" __global__ void row_sums(const double *in, count n, double *sums, count m) {
    count t = thread_index();
    if (t >= m) return;
    const double *row = in + blockIdx.y * n;
    double sum = 0;
    for (count i = t; i < n; i += m) sum += row[i];
    sums[blockIdx.y * m + t] = sum;
}

/* One block: value = sum over segments of l1 * |p|_1 + l2 * |p|_2, factors[s] = l2 / |p|_2, 0 where p = 0. */
extern "C" __global__ void penalty_value(const double *sums, count segments, count m, double l1, double l2, float *factors, float *value) {
    double total = 0;
    for (count s = threadIdx.x; s < segments; s += BLOCK) {
        double absolute = 0, squares = 0;
        for (count i = 0; i < m; i++) {
            absolute += sums[2 * s * m + i];
            squares += sums[(2 * s + 1) * m + i];
        }
        double norm = sqrt(squares);
        total += l1 * absolute + l2 * norm;
        factors[s] = squares > 0 ? (float)(l2 / norm) : 0.0f;
    }
    total = lane_sum(total, BLOCK);
    if (threadIdx.x == 0) *value = (float)total;
}

/* grad += l1 * sign(p) + factor * p. */
extern "C" __global__ void penalise(float *grad, const float *p, const float *factor, float l1, count n) {
    count i = thread_index();
    if (i < n) grad[i] += l1 * sign_of(p[i]) + *factor * p[i];
}

/* One thread: value = (l1 * sum |a| + l2 * sum a^2) / batch. */
extern "C" __global__ void activation_penalty_value(const double *sums, count m, double l1, double l2, double batch, float *value) {
    if (thread_index() != 0) return;
    double absolute = 0, squares = 0;
    for (count i = 0; i < m; i++) {
        absolute += sums[i];
        squares += sums[m + i];
    }
    *value = (float)((l1 * absolute + l2 * squares) / batch);
}

/* da = outer * (l1 * sign(a) + l2 * a), the factors divided by the batch before, l2 doubled. */
extern "C" __global__ void activation_penalty_gradient(const float *a, const float *outer, float *da, float l1, float l2, count n) {
    count i = thread_index();
    if (i < n) da[i] = *outer * l1 * sign_of(a[i]) + *outer * l2 * a[i];
}

extern "C" __global__ void add(const float *a, const float *b, float *sum, count n) {
    count i = thread_index();
    if (i < n) sum[i] = a[i] + b[i];
}

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

/* y = x with values dropped as package ops draws them: value i takes word i mod 4 of Philox(key, {i / 4, step}). A thread
 * has four values. The gradient is the same kernel on dy. */
extern "C" __global__ void dropout(const float *x, float *y, const Ledger *ledger, count key, count threshold, float keep, count n) {
    count quad = thread_index();
    if (quad * 4 >= n) return;
    count step = ledger->step;
    word counter[4] = {(word)quad, (word)(quad >> 32), (word)step, (word)(step >> 32)};
    philox((word)key, (word)(key >> 32), counter);
    for (int j = 0; j < 4; j++) {
        count i = quad * 4 + j;
        if (i < n) y[i] = x[i] * ((count)counter[j] < threshold ? 0.0f : keep);
    }
}

/* One thread: books a step. total and data are the batch's losses, correct m sums. A loss that is not finite stops the
 * ledger, and with it the optimizers. */
extern "C" __global__ void account(Ledger *ledger, const float *total, const float *data, const double *correct, count m, count batch,
                                   double rate, double beta1, double beta2) {
    if (thread_index() != 0 || ledger->diverged) return;
    float loss = *total;
    if (!(loss - loss == 0)) {
        ledger->diverged = 1;
        ledger->diverged_loss = loss;
        return;
    }
    double right = 0;
    for (count i = 0; i < m; i++) right += correct[i];
    ledger->loss_sum += (double)loss * (double)batch;
    ledger->data_sum += (double)*data * (double)batch;
    ledger->last_loss = loss;
    ledger->correct += (count)right;
    ledger->images += batch;
    ledger->position += batch;
    ledger->steps += 1;
    ledger->step += 1;
    double t = (double)ledger->step;
    ledger->step_size = (float)(rate / (1 - pow(beta1, t)));
    ledger->root_correction = (float)(1 / sqrt(1 - pow(beta2, t)));
}

/* Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019) as package train writes them: shrink is 1 for Adam,
 * decay 0 for AdamW. */
extern "C" __global__ void adam(float *p, const float *g, float *m, float *v, const Ledger *ledger, float beta1, float beta2, float add1,
                                float add2, float epsilon, float decay, float shrink, count n) {
    count i = thread_index();
    if (i >= n || ledger->diverged) return;
    float weight = p[i] * shrink;
    float gradient = g[i] + decay * weight;
    float first = beta1 * m[i] + add1 * gradient;
    float second = beta2 * v[i] + add2 * gradient * gradient;
    m[i] = first;
    v[i] = second;
    p[i] = weight - ledger->step_size * first / (sqrtf(second) * ledger->root_correction + epsilon);
}

/* SGD in PyTorch's form; momentum is null without it. */
extern "C" __global__ void sgd(float *p, const float *g, float *momentum, const Ledger *ledger, float rate, float mu, float decay,
                               int nesterov, count n) {
    count i = thread_index();
    if (i >= n || ledger->diverged) return;
    float direction = g[i] + decay * p[i];
    if (momentum) {
        float buffer = ledger->step == 1 ? direction : mu * momentum[i] + direction;
        momentum[i] = buffer;
        direction = nesterov ? direction + mu * buffer : buffer;
    }
    p[i] -= rate * direction;
}

/* RMSProp (Tieleman and Hinton, 2012) in PyTorch's form; momentum is null without it. */
extern "C" __global__ void rmsprop(float *p, const float *g, float *square, float *momentum, const Ledger *ledger, float rate, float alpha,
                                   float add, float epsilon, float mu, float decay, count n) {
    count i = thread_index();
    if (i >= n || ledger->diverged) return;
    float gradient = g[i] + decay * p[i];
    float mean = alpha * square[i] + add * gradient * gradient;
    square[i] = mean;
    float direction = gradient / (sqrtf(mean) + epsilon);
    if (momentum) {
        direction = mu * momentum[i] + direction;
        momentum[i] = direction;
    }
    p[i] -= rate * direction;
}

#include "elementwise.cuh"
#include "losses.cuh"
#include "normalisation.cuh"
#include "windows.cuh"
