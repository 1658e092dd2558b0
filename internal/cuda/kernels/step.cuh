/* The first launch of a step, and its last, which books the step and learns from it. Included by kernels.cu. */

/* x[n, i] = table[i / area, images[order[position + n], i]] and the labels of the batch that the ledger is at: a table of 256 for
 * each channel. Where a batch is fed, it is there already, the images are null, and there is one thread. One thread notes what the
 * launches behind go by, so that the last one may change all else in the ledger. */
extern "C" __global__ void begin_step(const byte *images, const int *labels, const int *order, Ledger *ledger, const float *table, float *x,
                                      int *batch_labels, count size, count area, count batch, double rate, double beta1, double beta2) {
    count i = thread_index();
    if (i >= batch * size) return;
    if (images) {
        count image = (count)order[ledger->position + i / size];
        x[i] = table[i % size / area * 256 + images[image * size + i % size]];
        if (i % size == 0) batch_labels[i / size] = labels[image];
    }
    if (i > 0) return;
    double t = (double)ledger->step + 1;
    ledger->number = ledger->step + 1;
    ledger->stopped = ledger->diverged;
    ledger->step_size = (float)(rate / (1 - pow(beta1, t)));
    ledger->root_correction = (float)(1 / sqrt(1 - pow(beta2, t)));
}

/* Thread 0 books a step: total and data are the batch's losses, correct is how many of its images are classified right. The
 * threads behind n bring a running statistic each up to date: running = (1 - momentum) * running + momentum * learned. A loss
 * that is not finite stops all of it. Whether the thread learns a weight comes back. */
static __device__ __forceinline__ bool finish_step(Ledger *ledger, const float *total, const float *data, const count *correct, count batch,
                                                   float *running, const double *learned, const double *momentum, count statistics, count n) {
    count i = thread_index();
    if (ledger->stopped) return false;
    float loss = *total;
    bool finite = loss - loss == 0;
    if (i == 0 && !finite) {
        ledger->diverged = 1;
        ledger->diverged_loss = loss;
    }
    if (!finite) return false;
    if (i == 0) {
        ledger->loss_sum += (double)loss * (double)batch;
        ledger->data_sum += (double)*data * (double)batch;
        ledger->last_loss = loss;
        ledger->correct += *correct;
        ledger->images += batch;
        ledger->position += batch;
        ledger->steps += 1;
        ledger->step += 1;
    }
    if (i < n) return true;
    count s = i - n;
    if (s < statistics && momentum[s] != 0) running[s] = (float)((1 - momentum[s]) * running[s] + momentum[s] * learned[s]);
    return false;
}

/* Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019) as package train writes them: shrink is 1 for Adam,
 * decay 0 for AdamW. */
extern "C" __global__ void adam(Ledger *ledger, const float *total, const float *data, const count *correct, count batch, float *running,
                                const double *learned, const double *momentum, count statistics, count n, float *p, const float *g, float *m,
                                float *v, float beta1, float beta2, float add1, float add2, float epsilon, float decay, float shrink) {
    count i = thread_index();
    if (!finish_step(ledger, total, data, correct, batch, running, learned, momentum, statistics, n)) return;
    float weight = p[i] * shrink;
    float gradient = g[i] + decay * weight;
    float first = beta1 * m[i] + add1 * gradient;
    float second = beta2 * v[i] + add2 * gradient * gradient;
    m[i] = first;
    v[i] = second;
    p[i] = weight - ledger->step_size * first / (sqrtf(second) * ledger->root_correction + epsilon);
}

/* SGD in PyTorch's form; velocity is null without momentum. */
extern "C" __global__ void sgd(Ledger *ledger, const float *total, const float *data, const count *correct, count batch, float *running,
                               const double *learned, const double *momentum, count statistics, count n, float *p, const float *g,
                               float *velocity, float rate, float mu, float decay, int nesterov) {
    count i = thread_index();
    if (!finish_step(ledger, total, data, correct, batch, running, learned, momentum, statistics, n)) return;
    float direction = g[i] + decay * p[i];
    if (velocity) {
        float next = ledger->number == 1 ? direction : mu * velocity[i] + direction;
        velocity[i] = next;
        direction = nesterov ? direction + mu * next : next;
    }
    p[i] -= rate * direction;
}

/* RMSProp (Tieleman and Hinton, 2012) in PyTorch's form; velocity is null without momentum. */
extern "C" __global__ void rmsprop(Ledger *ledger, const float *total, const float *data, const count *correct, count batch, float *running,
                                   const double *learned, const double *momentum, count statistics, count n, float *p, const float *g,
                                   float *square, float *velocity, float rate, float alpha, float add, float epsilon, float mu, float decay) {
    count i = thread_index();
    if (!finish_step(ledger, total, data, correct, batch, running, learned, momentum, statistics, n)) return;
    float gradient = g[i] + decay * p[i];
    float mean = alpha * square[i] + add * gradient * gradient;
    square[i] = mean;
    float direction = gradient / (sqrtf(mean) + epsilon);
    if (velocity) {
        direction = mu * velocity[i] + direction;
        velocity[i] = direction;
    }
    p[i] -= rate * direction;
}
