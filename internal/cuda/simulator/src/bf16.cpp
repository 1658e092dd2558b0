#include "bf16.h"

#include <cmath>
#include <cstring>

namespace simulator {

float of_bf16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Other steps than those of the kernels' bf16_of, so that one shows what is wrong with the other: both neighbours are looked at. */
uint16_t bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint16_t below = (uint16_t)(bits >> 16);
    if (std::isnan(x)) return below | 0x40;
    if (std::isinf(x)) return below;
    uint32_t rest = bits & 0xffffu;
    bool up = rest > 0x8000u || (rest == 0x8000u && below % 2 == 1);
    return up ? below + 1 : below;
}

bool grants_bf16(const char *call) {
    if (!state().bf16) violate("%s: it takes bfloat16, and nobody wants that", call);
    return state().capability >= 80;
}

bool load(const char *call, const char *what, const void *values, size_t count, Format format, std::vector<float> &into) {
    if (!of_format(call, what, values, format)) return false;
    into.resize(count);
    if (format == floats) {
        if (!readable(call, what, (const float *)values, count)) return false;
        memcpy(into.data(), values, 4 * count);
        return true;
    }
    if (!reachable(call, what, values, 2 * count, read)) return false;
    const uint16_t *halves = (const uint16_t *)values;
    for (size_t i = 0; i < count; i++) {
        uint32_t pair;
        if (i % 2 == 0 && i + 1 < count && (memcpy(&pair, halves + i, 4), pair == state().fill)) {
            violate("%s: %s: value %zu of %zu was never written", call, what, i, count);
            return false;
        }
        into[i] = of_bf16(halves[i]);
    }
    return true;
}

bool room(const char *call, const char *what, const void *values, size_t count, Format format) {
    return of_format(call, what, values, format) && reachable(call, what, values, count * (format == floats ? 4 : 2), written);
}

void store(const std::vector<float> &from, void *values, Format format) {
    for (size_t i = 0; i < from.size(); i++)
        if (format == floats) ((float *)values)[i] = from[i];
        else ((uint16_t *)values)[i] = bf16(from[i]);
}

int convolve_bf16(const char *call, Pass pass, cudnnTensorStruct x, cudnnTensorStruct y, cudnnFilterStruct w, cudnnConvolutionStruct c, const void *x_values,
                  const void *w_values, const void *y_values) {
    std::vector<float> xs(x.size()), ws(w.size()), ys(y.size());
    bool ok = vectors(call, "x", x_values) && vectors(call, "w", w_values) && vectors(call, "y", y_values);
    ok = ok && (pass == data_gradient ? room(call, "dx", x_values, x.size(), bfloats) : load(call, "x", x_values, x.size(), bfloats, xs));
    ok = ok && (pass == filter_gradient ? room(call, "dw", w_values, w.size(), bfloats) : load(call, "w", w_values, w.size(), bfloats, ws));
    ok = ok && (pass == forward ? room(call, "y", y_values, y.size(), bfloats) : load(call, "dy", y_values, y.size(), bfloats, ys));
    if (!ok) return CUDNN_STATUS_EXECUTION_FAILED;
    count((std::string("bf16 ") + call).c_str());
    c.math = CUDNN_FMA_MATH; /* what is multiplied is as it is */
    convolve(pass, x, y, w, c, xs.data(), ws.data(), ys.data(), 1, 0);
    switch (pass) {
    case forward: store(ys, (void *)y_values, bfloats); break;
    case filter_gradient: store(ws, (void *)w_values, bfloats); break;
    case data_gradient: store(xs, (void *)x_values, bfloats); break;
    }
    return 0;
}

} // namespace simulator
