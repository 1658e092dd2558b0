/* Convolutions and their gradients in float64, rounded once. */
#include "convolution.h"

namespace simulator {

bool reads(const char *call, const char *what, const void *values, size_t count) {
    return vectors(call, what, values) && readable(call, what, (const float *)values, count);
}
bool writes(const char *call, const char *what, void *values, size_t count, float beta) {
    return vectors(call, what, values) && (!beta || readable(call, what, (float *)values, count)) &&
           of_format(call, what, values, floats) && reachable(call, what, values, count * 4, written);
}
int output_size(int in, int pad, int window, int stride, int dilation) { return 1 + (in + 2 * pad - ((window - 1) * dilation + 1)) / stride; }

size_t workspace_bytes(Pass pass, const cudnnTensorStruct &x, const cudnnFilterStruct &w, int algorithm) {
    return (pass + 1) * 4 * (size_t)x.c * w.h * w.w + (algorithm == 1 ? 512 : 4096 * (algorithm + 1));
}

/* y = x * w of one image as a matrix product: row p of columns has what output position p multiplies. */
struct Columns {
    cudnnTensorStruct x, y;
    cudnnFilterStruct w;
    cudnnConvolutionStruct c;

    template <class F> void each(F f) const {
        size_t row = 0;
        for (int i = 0; i < y.h; i++)
            for (int j = 0; j < y.w; j++, row++) {
                size_t column = 0;
                for (int channel = 0; channel < x.c; channel++)
                    for (int u = 0; u < w.h; u++)
                        for (int v = 0; v < w.w; v++, column++) {
                            int h = i * c.stride_h - c.pad_h + u * c.dilation_h, k = j * c.stride_w - c.pad_w + v * c.dilation_w;
                            bool inside = h >= 0 && h < x.h && k >= 0 && k < x.w;
                            f(row, column, inside ? ((size_t)channel * x.h + h) * x.w + k : SIZE_MAX);
                        }
            }
    }
};

/* x, w and y are those of a group, which lie in those of all: an image has `groups` groups. */
static void convolve_group(Pass pass, Columns s, int groups, float *x, float *w, float *y, float alpha, float beta) {
    size_t positions = (size_t)s.y.h * s.y.w, depth = (size_t)s.x.c * s.w.h * s.w.w, image = (size_t)s.x.c * s.x.h * s.x.w;
    std::vector<float> columns(positions * depth), rounded;
    bool reduced = s.c.math != CUDNN_FMA_MATH;
    auto operand = [&](float value) { return reduced ? tf32(value) : value; };
    if (reduced && pass != filter_gradient) {
        rounded.resize(s.w.size());
        for (size_t i = 0; i < rounded.size(); i++) rounded[i] = tf32(w[i]);
        w = rounded.data();
    }
    std::vector<double> filter(pass == filter_gradient ? s.w.size() : 0), row(depth), back(image);
    for (int n = 0; n < s.x.n; n++) {
        float *xn = x + n * groups * image, *yn = y + n * groups * s.y.c * positions;
        if (pass != data_gradient) s.each([&](size_t r, size_t c, size_t at) { columns[r * depth + c] = at == SIZE_MAX ? 0 : operand(xn[at]); });
        if (pass == forward)
            for (int k = 0; k < s.y.c; k++)
                for (size_t p = 0; p < positions; p++) {
                    const float *a = w + k * depth, *b = &columns[p * depth];
                    double sum = 0;
#pragma omp simd reduction(+ : sum)
                    for (size_t i = 0; i < depth; i++) sum += (double)a[i] * b[i];
                    blend(&yn[k * positions + p], alpha, sum, beta);
                }
        if (pass == filter_gradient)
            for (int k = 0; k < s.y.c; k++)
                for (size_t p = 0; p < positions; p++) {
                    double dy = operand(yn[k * positions + p]);
                    if (dy == 0) continue; /* adds nothing, and most are 0 behind a rectifier and a pooling */
                    const float *b = &columns[p * depth];
                    double *sum = &filter[k * depth];
                    for (size_t i = 0; i < depth; i++) sum[i] += dy * b[i];
                }
        if (pass == data_gradient) {
            std::vector<double> gradient(positions * depth);
            for (int k = 0; k < s.y.c; k++)
                for (size_t p = 0; p < positions; p++) {
                    double dy = operand(yn[k * positions + p]);
                    if (dy == 0) continue;
                    const float *a = w + k * depth;
                    double *sum = &gradient[p * depth];
                    for (size_t i = 0; i < depth; i++) sum[i] += dy * a[i];
                }
            std::fill(back.begin(), back.end(), 0);
            s.each([&](size_t r, size_t c, size_t at) { if (at != SIZE_MAX) back[at] += gradient[r * depth + c]; });
            for (size_t i = 0; i < image; i++) blend(&xn[i], alpha, back[i], beta);
        }
    }
    for (size_t i = 0; i < filter.size(); i++) blend(&w[i], alpha, filter[i], beta);
}

void convolve(Pass pass, cudnnTensorStruct xs, cudnnTensorStruct ys, cudnnFilterStruct ws, cudnnConvolutionStruct c, float *x, float *w, float *y,
              float alpha, float beta) {
    Columns s = {xs, ys, ws, c};
    if (state().shallow) {
        if (pass == forward) pretend(y, s.y.size());
        else pass == filter_gradient ? pretend(w, s.w.size()) : pretend(x, s.x.size());
        return;
    }
    Columns group = s;
    int groups = s.c.groups;
    group.x.c /= groups, group.y.c /= groups, group.w.k /= groups;
    for (int g = 0; g < groups; g++)
        convolve_group(pass, group, groups, x + (size_t)g * group.x.c * s.x.h * s.x.w, w + g * group.w.size(),
                       y + (size_t)g * group.y.c * s.y.h * s.y.w, alpha, beta);
}

bool agree(const char *call, cudnnTensorStruct x, cudnnFilterStruct w, cudnnConvolutionStruct c, cudnnTensorStruct y) {
    if (x.c == w.c * c.groups && y.c == w.k && w.k % c.groups == 0 && x.n == y.n && y.h == output_size(x.h, c.pad_h, w.h, c.stride_h, c.dilation_h) &&
        y.w == output_size(x.w, c.pad_w, w.w, c.stride_w, c.dilation_w))
        return true;
    violate("%s: shapes x %d %d %d %d, w %d %d %d %d, y %d %d %d %d do not agree", call, x.n, x.c, x.h, x.w, w.k, w.c, w.h, w.w, y.n, y.c, y.h, y.w);
    return false;
}

} // namespace simulator
