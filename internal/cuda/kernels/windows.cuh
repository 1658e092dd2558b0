/* Windows that slide over maps: padding, poolings as PyTorch defines them, and convolutions of a channel each. Included by
 * kernels.cu. */

/* The Go type geometry mirrors it. Padding above and to the left is of `pad` rows and columns, below and to the right of `extra` more. */
struct Window {
    int height, width, out_height, out_width;
    int kernel_height, kernel_width, stride_height, stride_width;
    int pad_height, pad_width, extra_height, extra_width;
    int dilation_height, dilation_width;
    int filters;  /* of a convolution: filters / channels of them see one channel each */
    int channels;
    int option;   /* of a pooling: padding is no part of means. Of Pad: the map is mirrored */
};

/* Where in its line of `size` a value of the padded line comes from, -1 for zeros. */
static __device__ __forceinline__ int padded_from(int at, int size, int mirrored) {
    if (mirrored && at < 0) at = -at;
    if (mirrored && at >= size) at = 2 * (size - 1) - at;
    return at < 0 || at >= size ? -1 : at;
}

/* A map with rows and columns of zeros, or mirrored, around it. */
extern "C" __global__ void OF_MAPS(pad_forward)(const stored *x, stored *y, const Window *window, count n) {
    count i = thread_index();
    if (i >= n) return;
    const Window w = *window;
    int column = padded_from((int)(i % w.out_width) - w.pad_width, w.width, w.option);
    int row = padded_from((int)(i / w.out_width % w.out_height) - w.pad_height, w.height, w.option);
    count plane = i / w.out_width / w.out_height;
    y[i] = row < 0 || column < 0 ? 0.0f : x[(plane * w.height + row) * w.width + column];
}

/* The places in a padded line of `padded` values that copy value i: itself, and its mirror images at both ends; -1 is none. */
static __device__ __forceinline__ void copies(int i, int size, int pad, int padded, int mirrored, int at[3]) {
    at[0] = i + pad;
    at[1] = mirrored && i > 0 && i <= pad ? pad - i : -1;
    int beyond = pad + 2 * (size - 1) - i;
    at[2] = mirrored && i < size - 1 && beyond < padded ? beyond : -1;
}

/* dx of a value is the sum of dy over its copies. */
extern "C" __global__ void OF_MAPS(pad_gradient)(const stored *dy, stored *dx, const Window *window, count n) {
    count i = thread_index();
    if (i >= n) return;
    const Window w = *window;
    int rows[3], columns[3];
    copies((int)(i / w.width % w.height), w.height, w.pad_height, w.out_height, w.option, rows);
    copies((int)(i % w.width), w.width, w.pad_width, w.out_width, w.option, columns);
    count plane = i / w.width / w.height;
    double sum = 0;
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            if (rows[a] >= 0 && columns[b] >= 0) sum += dy[(plane * w.out_height + rows[a]) * w.out_width + columns[b]];
    dx[i] = (float)sum;
}

/* The output rows, or columns, whose windows have input row h: first to last, both included. */
static __device__ __forceinline__ int first_window(int h, int pad, int kernel, int stride) {
    int from = h + pad - kernel + 1;
    return from <= 0 ? 0 : (from + stride - 1) / stride;
}
static __device__ __forceinline__ int last_window(int h, int pad, int stride, int windows) { return min((h + pad) / stride, windows - 1); }

/* y = the largest value of the window that lies inside of the map, NaN being the largest, and where it is in its map: the first
 * in reading order. The values are x, or x + bias of their channel, and with a rectifier 0 where they are below. */
extern "C" __global__ void OF_MAPS(window_max_forward)(const stored *x, const float *bias, stored *y, int *winners, const Window *window,
                                              count channels, int rectifier, count n) {
    count i = thread_index();
    if (i >= n) return;
    const Window w = *window;
    count plane = i / w.out_width / w.out_height;
    const stored *map = x + plane * w.height * w.width;
    int top = (int)(i / w.out_width % w.out_height) * w.stride_height - w.pad_height;
    int left = (int)(i % w.out_width) * w.stride_width - w.pad_width, winner = -1;
    float best = 0, shift = bias ? bias[plane % channels] : 0;
    for (int row = max(top, 0); row < min(top + w.kernel_height, w.height); row++)
        for (int column = max(left, 0); column < min(left + w.kernel_width, w.width); column++) {
            float v = bias ? map[row * w.width + column] + shift : map[row * w.width + column];
            if (rectifier) v = rectified(v);
            if (winner < 0 || v > best || (v != v && best == best)) {
                best = v;
                winner = row * w.width + column;
            }
        }
    y[i] = best;
    winners[i] = winner;
}

/* dx of a value is the sum of dy over the windows that it has won; with y only where that is above 0, as behind a rectifier. The sums
 * of dx by channel go to dbias, unless that is null. The values lie as those of a set do: `area` is that of a map. */
extern "C" __global__ void OF_MAPS(window_max_gradient)(const stored *dy, const stored *y, const int *winners, stored *dx, const Window *window,
                                               float *dbias, double *partials, word *tickets, word runs, word sets, word area,
                                               word lanes) {
    word set = blockIdx.x * (BLOCK / lanes) + threadIdx.x / lanes, values = runs * area;
    const Window w = *window;
    double all = 0;
    if (set < sets)
        for (word e = blockIdx.y * lanes + threadIdx.x % lanes; e < values; e += gridDim.y * lanes) {
            int own = (int)(e % area), row = own / w.width, column = own % w.width;
            count first = ((count)(e / area) * sets + set) * w.out_height * w.out_width;
            int last_row = last_window(row, w.pad_height, w.stride_height, w.out_height);
            int last_column = last_window(column, w.pad_width, w.stride_width, w.out_width);
            double sum = 0;
            for (int a = first_window(row, w.pad_height, w.kernel_height, w.stride_height); a <= last_row; a++)
                for (int b = first_window(column, w.pad_width, w.kernel_width, w.stride_width); b <= last_column; b++) {
                    count at = first + a * w.out_width + b;
                    if (winners[at] == own && !(y && !(y[at] > 0))) sum += dy[at];
                }
            float rounded = as_stored((float)sum);
            dx[set_value(e, set, sets, area)] = rounded;
            all += rounded;
        }
    if (dbias) set_sum(all, dbias, partials, tickets, set, sets, lanes);
}

/* How many rows, or columns, a window's mean is of: those of the map and of the padding, without the latter if that is excluded. */
static __device__ __forceinline__ int counted(int at, int size, int kernel, int stride, int pad, int extra, int excluded) {
    int first = at * stride - pad, end = min(first + kernel, size + pad + extra);
    return excluded ? min(end, size) - max(first, 0) : end - first;
}
static __device__ __forceinline__ double divisor(const Window &w, int row, int column) {
    return (double)counted(row, w.height, w.kernel_height, w.stride_height, w.pad_height, w.extra_height, w.option) *
           counted(column, w.width, w.kernel_width, w.stride_width, w.pad_width, w.extra_width, w.option);
}

/* y = the mean of the window. */
extern "C" __global__ void OF_MAPS(window_mean_forward)(const stored *x, stored *y, const Window *window, count n) {
    count i = thread_index();
    if (i >= n) return;
    const Window w = *window;
    const stored *map = x + i / w.out_width / w.out_height * w.height * w.width;
    int a = (int)(i / w.out_width % w.out_height), b = (int)(i % w.out_width);
    int top = a * w.stride_height - w.pad_height, left = b * w.stride_width - w.pad_width;
    double sum = 0;
    for (int row = max(top, 0); row < min(top + w.kernel_height, w.height); row++)
        for (int column = max(left, 0); column < min(left + w.kernel_width, w.width); column++) sum += map[row * w.width + column];
    y[i] = (float)(sum / divisor(w, a, b));
}

/* dx of a value is the sum of dy / divisor over the windows that have it. */
extern "C" __global__ void OF_MAPS(window_mean_gradient)(const stored *dy, stored *dx, const Window *window, count n) {
    count i = thread_index();
    if (i >= n) return;
    const Window w = *window;
    int row = (int)(i / w.width % w.height), column = (int)(i % w.width);
    count first = i / w.width / w.height * w.out_height * w.out_width;
    int last_row = last_window(row, w.pad_height, w.stride_height, w.out_height);
    int last_column = last_window(column, w.pad_width, w.stride_width, w.out_width);
    double sum = 0;
    for (int a = first_window(row, w.pad_height, w.kernel_height, w.stride_height); a <= last_row; a++)
        for (int b = first_window(column, w.pad_width, w.kernel_width, w.stride_width); b <= last_column; b++)
            sum += dy[first + a * w.out_width + b] / divisor(w, a, b);
    dx[i] = (float)sum;
}

/* A convolution whose filters see one channel each: y[n, o, i, j] = b[o] + sum of x[n, c, i * s + u * d - p, j * s + v * d - p] *
 * w[o, u, v] over u, v, c = o / (filters / channels). b may be null. */
extern "C" __global__ void OF_MAPS(depthwise_forward)(const stored *x, const stored *weight, const float *bias, stored *y, const Window *window, count n) {
    count i = thread_index();
    if (i >= n) return;
    const Window w = *window;
    int b = (int)(i % w.out_width), a = (int)(i / w.out_width % w.out_height);
    count plane = i / w.out_width / w.out_height;
    int filter = (int)(plane % w.filters), channel = filter / (w.filters / w.channels);
    const stored *map = x + (plane / w.filters * w.channels + channel) * w.height * w.width;
    const stored *taps = weight + (count)filter * w.kernel_height * w.kernel_width;
    float sum = bias ? bias[filter] : 0;
    for (int u = 0; u < w.kernel_height; u++)
        for (int v = 0; v < w.kernel_width; v++) {
            int row = a * w.stride_height + u * w.dilation_height - w.pad_height;
            int column = b * w.stride_width + v * w.dilation_width - w.pad_width;
            if (row >= 0 && row < w.height && column >= 0 && column < w.width)
                sum += taps[u * w.kernel_width + v] * map[row * w.width + column];
        }
    y[i] = sum;
}

/* The output row, or column, that tap u takes input row h to, -1 if there is none. */
static __device__ __forceinline__ int output_of(int h, int u, int pad, int stride, int dilation, int windows) {
    int at = h + pad - u * dilation;
    return at < 0 || at % stride || at / stride >= windows ? -1 : at / stride;
}

/* dx[n, c, h, k] = sum of dy[n, o, i, j] * w[o, u, v] over all products with x[n, c, h, k]. */
extern "C" __global__ void OF_MAPS(depthwise_input_gradient)(const stored *dy, const stored *weight, stored *dx, const Window *window, count n) {
    count i = thread_index();
    if (i >= n) return;
    const Window w = *window;
    int column = (int)(i % w.width), row = (int)(i / w.width % w.height), each = w.filters / w.channels;
    count plane = i / w.width / w.height;
    int channel = (int)(plane % w.channels);
    float sum = 0;
    for (int filter = channel * each; filter < (channel + 1) * each; filter++) {
        const stored *map = dy + (plane / w.channels * w.filters + filter) * w.out_height * w.out_width;
        const stored *taps = weight + (count)filter * w.kernel_height * w.kernel_width;
        for (int u = 0; u < w.kernel_height; u++) {
            int a = output_of(row, u, w.pad_height, w.stride_height, w.dilation_height, w.out_height);
            for (int v = 0; v < w.kernel_width; v++) {
                int b = output_of(column, v, w.pad_width, w.stride_width, w.dilation_width, w.out_width);
                if (a >= 0 && b >= 0) sum += taps[u * w.kernel_width + v] * map[a * w.out_width + b];
            }
        }
    }
    dx[i] = sum;
}

/* partials[t, share] = sum of dy[n, o, i, j] * x[n, c, i * s + u * d - p, j * s + v * d - p] over the share blockIdx.y of all n, i, j; blockIdx.x
 * is the tap t = (o, u, v). */
extern "C" __global__ void OF_MAPS(depthwise_weight_gradient)(const stored *dy, const stored *x, double *partials, const Window *window, word images) {
    const Window w = *window;
    int v = blockIdx.x % w.kernel_width, u = blockIdx.x / w.kernel_width % w.kernel_height;
    int filter = blockIdx.x / w.kernel_width / w.kernel_height, channel = filter / (w.filters / w.channels);
    word area = w.out_height * w.out_width;
    double sum = 0;
    for (word e = blockIdx.y * BLOCK + threadIdx.x; e < images * area; e += gridDim.y * BLOCK) {
        word image = e / area, place = e % area;
        int row = (int)(place / w.out_width) * w.stride_height + u * w.dilation_height - w.pad_height;
        int column = (int)(place % w.out_width) * w.stride_width + v * w.dilation_width - w.pad_width;
        if (row < 0 || row >= w.height || column < 0 || column >= w.width) continue;
        sum += (double)dy[((count)image * w.filters + filter) * area + place] *
               x[(((count)image * w.channels + channel) * w.height + row) * w.width + column];
    }
    sum = lane_sum(sum, BLOCK);
    if (threadIdx.x == 0) partials[(count)blockIdx.x * gridDim.y + blockIdx.y] = sum;
}
