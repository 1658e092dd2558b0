/* Sums in a fixed order: each thread adds its values one after another, and a tree adds up the threads of a block. Its shape
 * depends on the number of lanes alone, so that a run can be repeated bit for bit. Included by kernels.cu. */

/* Threads of a block: threadsPerBlock. */
enum { BLOCK = 256 };

/* The sum of x over each `lanes` neighbouring threads, a power of two, known to all of them. Every thread of the block calls it. */
static __device__ double lane_sum(double x, word lanes) {
    __shared__ double tree[BLOCK];
    word t = threadIdx.x, lane = t % lanes;
    __syncthreads(); /* nobody reads the last sum any more */
    tree[t] = x;
    __syncthreads();
    for (word half = lanes / 2; half > 0; half /= 2) {
        if (lane < half) tree[t] += tree[t + half];
        __syncthreads();
    }
    return tree[t - lane];
}

/* The largest x of each `lanes` neighbouring threads, NaN if there is one among them, as lane_sum has their sum. */
static __device__ double lane_largest(double x, word lanes) {
    __shared__ double tree[BLOCK];
    word t = threadIdx.x, lane = t % lanes;
    __syncthreads(); /* nobody reads the last one any more */
    tree[t] = x;
    __syncthreads();
    for (word half = lanes / 2; half > 0; half /= 2) {
        if (lane < half && (tree[t + half] > tree[t] || tree[t + half] != tree[t + half])) tree[t] = tree[t + half];
        __syncthreads();
    }
    return tree[t - lane];
}

/* Whether this block is the last of so many to come here, which then sees what the others have written before. The ticket is 0
 * when a launch begins, and again when it ends. Every thread of the block calls it. */
static __device__ bool last_of(word *ticket, word blocks) {
    __shared__ bool last;
    __threadfence(); /* each thread's own writes come before the ticket */
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicAdd(ticket, 1u) + 1 == blocks;
        if (last) *ticket = 0;
    }
    __syncthreads();
    __threadfence(); /* and the ticket before the reads of what others wrote */
    return last;
}

/* A set's values, such as a channel's: `runs` runs of `area` neighbours, run r of set s from (r * sets + s) * area on. A block
 * has BLOCK / lanes sets, and blockIdx.y is which share of them it has, of gridDim.y. */
static __device__ __forceinline__ count set_value(word e, word set, word sets, word area) {
    return ((count)(e / area) * sets + set) * area + e % area;
}

/* partials[s, share] = {sum of first, sum of second} over the lanes of the share of set s. Every thread of the block calls it. */
static __device__ __forceinline__ void add_pair(double *partials, word set, word sets, word lanes, double first, double second) {
    first = lane_sum(first, lanes);
    second = lane_sum(second, lanes);
    if (set < sets && threadIdx.x % lanes == 0) {
        double *own = partials + ((count)set * gridDim.y + blockIdx.y) * 2;
        own[0] = first;
        own[1] = second;
    }
}

/* sums[s] = the sum of x over the lanes of set s in all of its shares, of which the last block to be done adds up the others'. There is
 * a ticket for each blockIdx.x. Every thread of the block calls it. */
static __device__ __forceinline__ void set_sum(double x, float *sums, double *partials, word *tickets, word set, word sets, word lanes) {
    word lane = threadIdx.x % lanes;
    x = lane_sum(x, lanes);
    if (gridDim.y > 1) {
        double *own = partials + (count)set * gridDim.y;
        if (set < sets && lane == 0) own[blockIdx.y] = x;
        if (!last_of(tickets + blockIdx.x, gridDim.y)) return;
        x = 0;
        for (word share = lane; set < sets && share < gridDim.y; share += lanes) x += own[share];
        x = lane_sum(x, lanes);
    }
    if (set < sets && lane == 0) sums[set] = (float)x;
}

/* partials[s, share] = {sum of x - k, sum of (x - k)^2} over the share of set s. k is the set's first value, so that a mean far
 * from 0 takes no digits of the variance. */
extern "C" __global__ void OF_MAPS(moment_sums)(const stored *x, double *partials, word runs, word sets, word area, word lanes) {
    word set = blockIdx.x * (BLOCK / lanes) + threadIdx.x / lanes, values = runs * area;
    double first = 0, second = 0;
    if (set < sets) {
        double k = x[(count)set * area];
        for (word e = blockIdx.y * lanes + threadIdx.x % lanes; e < values; e += gridDim.y * lanes) {
            double d = x[set_value(e, set, sets, area)] - k;
            first += d;
            second += d * d;
        }
    }
    add_pair(partials, set, sets, lanes, first, second);
}

/* partials[s, share] = {sum of g * h, sum of g} over the share of set s. g is dy, or the sum with another gradient, and with y 0 where
 * that is not above 0, as a rectifier has it; it is kept unless `kept` is null. h is x; with statistics (x - mean) * inverse of the pair
 * {mean, inverse} at run * by_run + set / per + place * by_place, where set / 0 is 0; with negative x where it is not above 0,
 * and 0 elsewhere. */
extern "C" __global__ void OF_MAPS(product_sums)(const stored *dy, const stored *other, const stored *y, stored *kept, const stored *x,
                                        const double *statistics, double *partials, word runs, word sets, word area, word lanes,
                                        word by_run, word per, word by_place, int negative) {
    word set = blockIdx.x * (BLOCK / lanes) + threadIdx.x / lanes, values = runs * area;
    double products = 0, sum = 0;
    if (set < sets)
        for (word e = blockIdx.y * lanes + threadIdx.x % lanes; e < values; e += gridDim.y * lanes) {
            count at = set_value(e, set, sets, area);
            float rounded = other ? dy[at] + other[at] : dy[at];
            if (y && !(y[at] > 0)) rounded = 0;
            if (kept) kept[at] = rounded;
            double g = as_stored(rounded), h = x[at];
            if (statistics) {
                const double *own = statistics + 2 * ((count)(e / area) * by_run + (per ? set / per : 0) + (count)(e % area) * by_place);
                h = (h - own[0]) * own[1];
            }
            if (negative && h > 0) h = 0;
            products += g * h;
            sum += g;
        }
    add_pair(partials, set, sets, lanes, products, sum);
}

/* sums[i] = partials[i, 0, which] + partials[i, 1, which] + ..., of `width` kinds of partial sums. */
extern "C" __global__ void OF_MAPS(finish_sums)(const double *partials, count shares, count width, count which, stored *sums, count n) {
    count i = thread_index();
    if (i >= n) return;
    double sum = 0;
    for (count share = 0; share < shares; share++) sum += partials[(i * shares + share) * width + which];
    sums[i] = (float)sum;
}

/* y[s] = mean of x[s, 0], ..., x[s, area - 1]. */
extern "C" __global__ void OF_MAPS(set_means)(const stored *x, stored *y, word sets, word area, word lanes) {
    word set = blockIdx.x * (BLOCK / lanes) + threadIdx.x / lanes;
    double sum = 0;
    if (set < sets)
        for (word e = threadIdx.x % lanes; e < area; e += lanes) sum += x[(count)set * area + e];
    sum = lane_sum(sum, lanes);
    if (set < sets && threadIdx.x % lanes == 0) y[set] = (float)(sum / area);
}

/* The gradient of set_means: dx[i] = dy[i / area] / area. */
extern "C" __global__ void OF_MAPS(spread)(const stored *dy, stored *dx, count area, count n) {
    count i = thread_index();
    if (i < n) dx[i] = dy[i / area] / (float)area;
}
