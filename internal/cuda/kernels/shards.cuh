/* The gradients of a step whose images are dealt to shards: each shard's go into a row, behind them what it makes of the running
 * statistics, and rows meet in a binary tree, neighbours first. Which GPU has which shard does not show in the bits: each product is
 * rounded by itself, since one that is fused with a sum on one GPU is none where its neighbour is on another. Included by kernels.cu. */

/* What a shard's share of a step came to. The Go type figures mirrors it. */
struct Figures {
    double total, data; /* losses, by the share of the step's images */
    count correct;
};

/* Takes a batch of a shard, which has that share of the step's images, into the shard's row: row += weight * g, the first batch's taking
 * the place of what was there. kept are the running statistics as the shard alone has them up to here; behind n they are in the row, times
 * the share that the shard has taken with this batch. */
extern "C" __global__ void take_shard(Figures *shard, const float *total, const float *data, const count *correct, double share, int begins,
                                      const float *g, float weight, float *row, const float *running, float *kept, const double *batch,
                                      const double *momentum, float taken, count statistics, count n) {
    count i = thread_index();
    if (i == 0) {
        Figures now = {0, 0, 0};
        if (!begins) now = *shard;
        now.total += __dmul_rn(share, (double)*total);
        now.data += __dmul_rn(share, (double)*data);
        now.correct += *correct;
        *shard = now;
    }
    if (i < n) {
        float part = __fmul_rn(weight, g[i]);
        row[i] = begins ? part : row[i] + part;
        return;
    }
    count s = i - n;
    if (s >= statistics) return;
    double before = begins ? (double)running[s] : (double)kept[s];
    float value = (float)((1 - momentum[s]) * before + momentum[s] * batch[s]);
    kept[s] = value;
    row[i] = __fmul_rn(taken, value);
}

/* left = (left + right) * after: a node of the tree, the last one divided by what there is to divide by. */
extern "C" __global__ void add_shards(float *left, const float *right, float after, count n) {
    count i = thread_index();
    if (i < n) left[i] = __fmul_rn(left[i] + right[i], after);
}

/* What a step is booked by: the sums over all shards, in their order, and the running statistics, which lie behind n values of the row
 * that has the sum over all. */
extern "C" __global__ void book_shards(Sums *step, const Figures *shards, count all, const float *row, double *learned, count statistics,
                                       count n) {
    count i = thread_index();
    if (i == 0) {
        Sums now = {0, 0, 0, 0, 0};
        for (count shard = 0; shard < all; shard++) {
            now.total += shards[shard].total;
            now.data += shards[shard].data;
            now.correct += shards[shard].correct;
        }
        now.mean_total = (float)now.total;
        now.mean_data = (float)now.data;
        *step = now;
    }
    if (i < statistics) learned[i] = row[n + i];
}
