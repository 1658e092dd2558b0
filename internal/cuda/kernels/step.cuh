/* The first launch of a step, and its last ones, which book the step and learn from it. Included by kernels.cu. */

/* What parameters of a group have in common. The Go type group mirrors it. */
struct Group {
    double rate;   /* learning rate, before the pace's factor */
    double decay;  /* is added to the gradient, times the weight */
    double shrink; /* weights are multiplied by 1 - rate * shrink */
    count since;   /* steps that were done before they are trained */
};

/* What a group's parameters are updated by in the step under way: written by its first launch. */
struct Rates {
    float rate, decay, shrink;
    float step_size;       /* Adam: rate / (1 - beta1^t) */
    float root_correction; /* Adam: 1 / sqrt(1 - beta2^t) */
    int begins;            /* t is 1 */
};

/* What one step goes by and another does not. The Go type device.Pace mirrors it. */
struct Pace {
    double factor;  /* of all learning rates */
    double average; /* what of the way to the weights their average goes */
};

/* Notes what the launches behind go by, so that the last one may change all else in the ledger: thread i what group i is updated by,
 * and thread 0 what the whole step is. Products are rounded by themselves, as the CPU rounds them. */
static __device__ __forceinline__ void set_pace(Ledger *ledger, const Group *groups, Rates *rates, word all, const Pace *paces, count first,
                                                double beta1, double beta2) {
    count i = thread_index();
    if (i > 0 && i >= all) return;
    Pace pace = {1, 0};
    if (paces) pace = paces[ledger->steps];
    if (i < all) {
        Group own = groups[i];
        double t = (double)(ledger->step - own.since) + 1;
        double rate = __dmul_rn(own.rate, pace.factor);
        rates[i].rate = (float)rate;
        rates[i].decay = (float)own.decay;
        rates[i].shrink = (float)(1 - __dmul_rn(rate, own.shrink));
        rates[i].step_size = (float)(rate / (1 - pow(beta1, t)));
        rates[i].root_correction = (float)(1 / sqrt(1 - pow(beta2, t)));
        rates[i].begins = t == 1;
    }
    if (i > 0) return;
    ledger->norm = 0;
    ledger->first = first;
    ledger->clip = 1;
    ledger->average = (float)pace.average;
    ledger->stopped = ledger->diverged != 0;
}

/* x[n, i] = table[i / area, images[order[position + first + n], i]] and the labels of the batch that the ledger is at: a table of 256
 * for each channel. The batch begins at image `first` of the step. Where it is fed, it is there already, and the images are null. */
extern "C" __global__ void OF_MAPS(begin_step)(const byte *images, const int *labels, const int *order, Ledger *ledger, const float *table, stored *x,
                                      int *batch_labels, count size, count area, count batch, count first, const Group *groups,
                                      Rates *rates, word all, const Pace *paces, double beta1, double beta2) {
    set_pace(ledger, groups, rates, all, paces, first, beta1, beta2);
    count i = thread_index();
    if (!images || i >= batch * size) return;
    count image = (count)order[ledger->position + first + i / size];
    x[i] = table[i % size / area * 256 + images[image * size + i % size]];
    if (i % size == 0) batch_labels[i / size] = labels[image];
}

/* What follows learns, in float32 whatever maps are stored as. */
#ifndef BF16_MAPS

/* What the batches of a step come to together, where it has several. The Go type sums mirrors it. */
struct Sums {
    double total, data;
    count correct;
    float mean_total, mean_data; /* what the step is booked by */
};

/* Adds a batch to those of its step before it, of which it has that share of the images: sums += share * gradient, the first batch's
 * taking the place of what was there. learned are the step's running statistics up to here, float32 in float64, for the last launch to
 * take up: thread n + s brings one up to date, by what the batch says and by its momentum. */
extern "C" __global__ void accumulate(Sums *step, const float *total, const float *data, const count *correct, double share, int begins,
                                      const float *g, float *sums, const float *running, double *learned, const double *batch,
                                      const double *momentum, count statistics, count n) {
    count i = thread_index();
    if (i == 0) {
        Sums now = {0, 0, 0, 0, 0};
        if (!begins) now = *step;
        now.total += share * *total;
        now.data += share * *data;
        now.correct += *correct;
        now.mean_total = (float)now.total;
        now.mean_data = (float)now.data;
        *step = now;
    }
    if (i < n) {
        float part = (float)share;
        sums[i] = begins ? part * g[i] : sums[i] + part * g[i];
        return;
    }
    count s = i - n;
    if (s >= statistics) return;
    double before = begins ? (double)running[s] : learned[s];
    learned[s] = (float)((1 - momentum[s]) * before + momentum[s] * batch[s]);
}

/* The norm of all n gradients, and where it is above `most` the factor that makes it that: PyTorch's clip_grad_norm_. A norm that is not
 * finite leaves the gradients as they are. Each block has a sum of squares, in partials; the last block to be done adds them up. */
extern "C" __global__ void gradient_norm(Ledger *ledger, const float *g, double *partials, word *ticket, double most, count n) {
    double squares = 0;
    for (count i = thread_index(); i < n; i += (count)gridDim.x * BLOCK) {
        double v = g[i];
        squares += v * v;
    }
    squares = lane_sum(squares, BLOCK);
    if (threadIdx.x == 0) partials[blockIdx.x] = squares;
    if (!last_of(ticket, gridDim.x)) return;
    squares = 0;
    for (word b = threadIdx.x; b < gridDim.x; b += BLOCK) squares += partials[b];
    squares = lane_sum(squares, BLOCK);
    if (threadIdx.x != 0) return;
    double norm = sqrt(squares), factor = most / (norm + 1e-6);
    ledger->norm = norm;
    if (factor < 1 && norm - norm == 0) ledger->clip = (float)factor;
}

/* Thread 0 books a step: total and data are the batch's losses, correct is how many of its images are classified right. The
 * threads behind n bring a running statistic each up to date: running = (1 - momentum) * running + momentum * learned. A loss
 * that is not finite stops all of it, and so does a norm. Whether the thread learns a weight comes back. */
static __device__ __forceinline__ bool finish_step(Ledger *ledger, const float *total, const float *data, const count *correct, count batch,
                                                   float *running, const double *learned, const double *momentum, count statistics, count n) {
    count i = thread_index();
    if (ledger->stopped) return false;
    float loss = *total;
    double norm = ledger->norm;
    bool finite = loss - loss == 0, bounded = norm - norm == 0;
    if (i == 0 && !(finite && bounded)) {
        ledger->diverged = finite ? DIVERGED_GRADIENTS : DIVERGED_LOSS;
        ledger->diverged_loss = loss;
    }
    if (!(finite && bounded)) return false;
    if (i == 0) {
        ledger->loss_sum += (double)loss * (double)batch;
        ledger->data_sum += (double)*data * (double)batch;
        ledger->last_loss = loss;
        if (norm > ledger->largest_norm) ledger->largest_norm = norm;
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

/* Weights of so many neighbours are of one group: alignment. */
enum { NEIGHBOURS = 64 };

/* What weight i is updated by: that of the group which `places` has for its neighbours, the first group without. */
static __device__ __forceinline__ Rates rates_of(const Rates *rates, const word *places, count i) {
    return rates[places ? places[i / NEIGHBOURS] : 0];
}

/* The gradient as it is clipped, rounded by itself. */
static __device__ __forceinline__ float clipped(float gradient, const Ledger *ledger) { return __fmul_rn(gradient, ledger->clip); }

/* Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019) as package train writes them: shrink is 1 for Adam,
 * decay 0 for AdamW. */
extern "C" __global__ void adam(Ledger *ledger, const float *total, const float *data, const count *correct, count batch, float *running,
                                const double *learned, const double *momentum, count statistics, count n, const Rates *rates,
                                const word *places, float *p, const float *g, float *m, float *v, float beta1, float beta2, float add1,
                                float add2, float epsilon) {
    count i = thread_index();
    if (!finish_step(ledger, total, data, correct, batch, running, learned, momentum, statistics, n)) return;
    Rates own = rates_of(rates, places, i);
    float weight = p[i] * own.shrink;
    float gradient = clipped(g[i], ledger) + own.decay * weight;
    float first = beta1 * m[i] + add1 * gradient;
    float second = beta2 * v[i] + add2 * gradient * gradient;
    m[i] = first;
    v[i] = second;
    p[i] = weight - own.step_size * first / (sqrtf(second) * own.root_correction + epsilon);
}

/* SGD in PyTorch's form; velocity is null without momentum. */
extern "C" __global__ void sgd(Ledger *ledger, const float *total, const float *data, const count *correct, count batch, float *running,
                               const double *learned, const double *momentum, count statistics, count n, const Rates *rates,
                               const word *places, float *p, const float *g, float *velocity, float mu, int nesterov) {
    count i = thread_index();
    if (!finish_step(ledger, total, data, correct, batch, running, learned, momentum, statistics, n)) return;
    Rates own = rates_of(rates, places, i);
    float direction = clipped(g[i], ledger) + own.decay * p[i];
    if (velocity) {
        float next = own.begins ? direction : mu * velocity[i] + direction;
        velocity[i] = next;
        direction = nesterov ? direction + mu * next : next;
    }
    p[i] -= own.rate * direction;
}

/* RMSProp (Tieleman and Hinton, 2012) in PyTorch's form; velocity is null without momentum. */
extern "C" __global__ void rmsprop(Ledger *ledger, const float *total, const float *data, const count *correct, count batch, float *running,
                                   const double *learned, const double *momentum, count statistics, count n, const Rates *rates,
                                   const word *places, float *p, const float *g, float *square, float *velocity, float alpha, float add,
                                   float epsilon, float mu) {
    count i = thread_index();
    if (!finish_step(ledger, total, data, correct, batch, running, learned, momentum, statistics, n)) return;
    Rates own = rates_of(rates, places, i);
    float gradient = clipped(g[i], ledger) + own.decay * p[i];
    float mean = alpha * square[i] + add * gradient * gradient;
    square[i] = mean;
    float direction = gradient / (sqrtf(mean) + epsilon);
    if (velocity) {
        direction = mu * velocity[i] + direction;
        velocity[i] = direction;
    }
    p[i] -= own.rate * direction;
}

/* Lion (Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023) in the form of its authors: share is 1 - beta. */
extern "C" __global__ void lion(Ledger *ledger, const float *total, const float *data, const count *correct, count batch, float *running,
                                const double *learned, const double *momentum, count statistics, count n, const Rates *rates,
                                const word *places, float *p, const float *g, float *m, float share1, float share2) {
    count i = thread_index();
    if (!finish_step(ledger, total, data, correct, batch, running, learned, momentum, statistics, n)) return;
    Rates own = rates_of(rates, places, i);
    float weight = p[i] * own.shrink, mean = m[i];
    float difference = clipped(g[i], ledger) - mean, direction = mean + share1 * difference;
    if (direction > 0) weight -= own.rate;
    else if (direction < 0) weight += own.rate;
    else if (direction != 0) weight = direction; /* NaN */
    p[i] = weight;
    m[i] = mean + share2 * difference;
}

/* average += share * (weight - average), of n weights and of the running statistics behind them, once the step is booked. A share of 1
 * copies. */
extern "C" __global__ void average_weights(const Ledger *ledger, const float *p, float *average, count n, const float *running,
                                           float *average_running, count statistics) {
    count i = thread_index();
    if (ledger->diverged || i >= n + statistics) return;
    float share = ledger->average, value = i < n ? p[i] : running[i - n];
    float *own = i < n ? average + i : average_running + (i - n);
    *own = share == 1 ? value : *own + share * (value - *own);
}

#endif
