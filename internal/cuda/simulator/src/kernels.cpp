/* Compiles kernels.cu as host code: CUDA's words for where a thread is become variables, and each kernel a function that
 * runs its threads one after another, in two orders. The threads of a block whose kernel has barriers take turns at them. */
#include "kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <type_traits>
#include <utility>

#include "accesses.h"
#include "fibers.h"
#include "simulator.h"

struct Place {
    unsigned x, y, z;
};
static Place threadIdx, blockIdx, blockDim, gridDim;
#define __global__
#define __device__
#define __forceinline__ inline
/* One block runs at a time. */
#define __shared__ static __attribute__((section("shared_memory")))
static void __syncthreads() {
    if (!simulator::barrier()) simulator::violate("a barrier in a kernel that is listed without");
}
/* Blocks run one after another, and what one writes is there for the next. */
static void __threadfence() {}
static unsigned atomicAdd(unsigned *at, unsigned more) {
    unsigned before = *at;
    *at += more;
    return before;
}
/* Products that no compiler fuses with a sum; this one fuses none. */
static double __dmul_rn(double a, double b) { return a * b; }
static float __fmul_rn(float a, float b) { return a * b; }
static unsigned __float_as_uint(float x) {
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
static float __uint_as_float(unsigned bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
using std::max;
using std::min;
#include "../../kernels/kernels.cu"
/* The kernels again that have maps of bfloat16. */
namespace bf16_maps {
#define BF16_MAPS
#include "../../kernels/kernels.cu"
} // namespace bf16_maps

namespace simulator {

unsigned thread_of_the_block() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }
size_t block_of_the_grid() { return blockIdx.x + (size_t)gridDim.x * (blockIdx.y + (size_t)gridDim.y * blockIdx.z); }

template <class T> static T value_of(const std::vector<char> &bytes) {
    T value;
    memcpy(&value, bytes.data(), sizeof value);
    return value;
}

/* Bytes that a kernel may write, and how many of them: what is behind those stays as it was. */
struct Writable {
    char *begin;
    std::vector<char> before;
    size_t own;
};

/* Pointers of kernels to gradients of parameters, and the arguments whose product is how many there are. All parameters' gradients are one
 * allocation, and while a kernel writes some, work in another stream writes others. */
struct Extent {
    const char *kernel;
    size_t argument;
    std::vector<size_t> factors;
};
static const std::vector<Extent> extents = {
    {"relu_gradient", 5, {9}}, {"window_max_gradient", 5, {9}}, {"narrow_gradient", 5, {9, 10}}, {"narrow_gradient", 6, {9}},
    {"softmax_loss", 12, {18}}, {"batch_norm_gradient", 7, {10}}, {"batch_norm_gradient", 8, {10}}, {"finish_sums", 4, {5}},
    {"widen", 1, {2}}, {"bias_gradient", 1, {5}},
};

static size_t number_of(const std::vector<char> &bytes) {
    return bytes.size() == 8 ? (size_t)value_of<unsigned long>(bytes) : (size_t)value_of<unsigned>(bytes);
}

/* How many values a kernel writes behind a pointer, 0 if it may write all that is there. */
static size_t values_behind(const std::string &name, size_t argument, const std::vector<std::vector<char>> &values) {
    for (const Extent &e : extents) {
        if (e.argument != argument || (name != e.kernel && name != std::string(e.kernel) + "_bf16")) continue;
        size_t all = 1;
        for (size_t factor : e.factors) all *= number_of(values[factor]);
        return all;
    }
    return 0;
}

/* A pointer may be null; else it leads to live device memory, of which the kernel may touch all that is behind it, unless an extent says
 * less. What it may write is noted. */
template <class T>
static bool sound(const std::string &name, T value, size_t argument, const std::vector<std::vector<char>> &values, std::vector<Writable> &writable) {
    if constexpr (std::is_pointer_v<T>) {
        if (!value) return true;
        using Pointed = std::remove_const_t<std::remove_pointer_t<T>>;
        constexpr bool constant = std::is_const_v<std::remove_pointer_t<T>>;
        constexpr Format format = std::is_same_v<Pointed, float> ? floats : std::is_same_v<Pointed, bf16_maps::stored> ? bfloats : any_format;
        if (!of_format(("kernel " + name).c_str(), "argument", (const void *)value, format)) return false;
        size_t bytes = std::max(bytes_behind((const void *)value), sizeof *value);
        size_t count = values_behind(name, argument, values), own = count ? count * sizeof *value : bytes;
        if (!reachable(("kernel " + name).c_str(), "argument", (const void *)value, own, constant ? read : written)) return false;
        if constexpr (!constant) writable.push_back({(char *)value, {(char *)value, (char *)value + bytes}, own});
    }
    return true;
}

/* Whether what is behind a pointer's own bytes is as it was, but for what is behind other pointers. */
static bool stays(const Writable &w, const std::vector<Writable> &all) {
    for (size_t i = w.own; i < w.before.size(); i++) {
        char *at = w.begin + i;
        if (*at == w.before[i]) continue;
        bool owned = false;
        for (const Writable &other : all) owned |= at >= other.begin && at < other.begin + other.own;
        if (!owned) return false;
    }
    return true;
}

/* What the chunks of a table lead to, one for each block, is as an argument is. */
static bool sound_chunks(const std::string &name, const Chunk *chunks, size_t blocks, std::vector<Writable> &writable) {
    for (const Chunk *c = chunks; c < chunks + blocks; c++) {
        size_t bytes = c->length * sizeof *c->values;
        if (!reachable(("kernel " + name).c_str(), "a chunk's values", c->values, bytes, read)) return false;
        if (!c->gradient) continue;
        if (!reachable(("kernel " + name).c_str(), "a chunk's gradient", c->gradient, bytes, written)) return false;
        writable.push_back({(char *)c->gradient, {(char *)c->gradient, (char *)c->gradient + bytes}, bytes});
    }
    return true;
}

template <class T> static bool sound_behind(const std::string &name, T value, size_t blocks, std::vector<Writable> &writable) {
    if constexpr (std::is_same_v<T, const Chunk *>) return sound_chunks(name, value, blocks, writable);
    return true;
}

/* i * step mod all visits every number below all once, where the two have no common factor: another order each time. */
struct Order {
    size_t all, step, begin;
    explicit Order(size_t all) : all(all) {
        static size_t draw = 0x9E3779B97F4A7C15u;
        draw = draw * 6364136223846793005u + 1442695040888963407u;
        step = (draw >> 33) % all + 1, begin = (draw >> 20) % all;
        while (std::gcd(step, all) != 1) step++;
    }
    size_t at(size_t i) const { return (size_t)(((unsigned __int128)i * step + begin) % all); }
};

/* Runs all threads, one after another, and again in another order from the same memory: a kernel has to come to the same bits in
 * any. With barriers a block's threads go from one to the next together. */
template <class... A, size_t... I>
static bool run_all(const std::string &name, bool barriers, void (*function)(A...), Place grid, Place block,
                    const std::vector<std::vector<char>> &values, std::index_sequence<I...>) {
    std::vector<Writable> writable;
    if (!(sound<A>(name, value_of<A>(values[I]), I, values, writable) && ...)) return false;
    if (!(sound_behind<A>(name, value_of<A>(values[I]), grid.x, writable) && ...)) return false;
    gridDim = grid;
    blockDim = block;
    size_t threads = (size_t)block.x * block.y * block.z, blocks = (size_t)grid.x * grid.y * grid.z;
    auto place = [&](size_t at, size_t thread) {
        threadIdx = {(unsigned)(thread % block.x), (unsigned)(thread / block.x % block.y), (unsigned)(thread / block.x / block.y)};
        blockIdx = {(unsigned)(at % grid.x), (unsigned)(at / grid.x % grid.y), (unsigned)(at / grid.x / grid.y)};
    };
    auto run = [&](size_t i) {
        place(i / threads, i % threads);
        function(value_of<A>(values[I])...);
    };
    auto run_whole = [&](size_t at, const std::vector<unsigned> &order) {
        if (!run_block(order, [&](unsigned thread) { place(at, thread); }, [&](unsigned) { function(value_of<A>(values[I])...); }))
            violate("kernel %s: a barrier that not all threads of the block reach", name.c_str());
    };
    std::vector<unsigned> first(threads), second(threads);
    std::iota(first.begin(), first.end(), 0u);
    Order in_block(threads), whole(barriers ? blocks : blocks * threads);
    for (size_t i = 0; i < threads; i++) second[i] = (unsigned)in_block.at(i);
    begin_accesses();
    for (size_t i = 0; i < whole.all; i++) barriers ? run_whole(i, first) : run(i);
    end_accesses();
    for (auto &w : writable)
        if (!stays(w, writable)) violate("kernel %s: it writes behind the %zu bytes that are its own", name.c_str(), w.own);
    if (state().shallow) return true;
    std::vector<std::vector<char>> after;
    for (auto &w : writable) after.emplace_back(w.begin, w.begin + w.before.size());
    for (auto w = writable.rbegin(); w != writable.rend(); ++w) memcpy(w->begin, w->before.data(), w->before.size());
    for (size_t i = 0; i < whole.all; i++) barriers ? run_whole(whole.at(i), second) : run(whole.at(i));
    for (size_t i = 0; i < writable.size(); i++)
        if (memcmp(writable[i].begin, after[i].data(), after[i].size())) {
            violate("kernel %s: what it comes to depends on the order of its threads", name.c_str());
            break;
        }
    return true;
}

template <class... A> static Kernel make(const char *name, bool barriers, void (*function)(A...)) {
    std::string own = name;
    return {own, {sizeof(A)...}, [=](unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, const std::vector<std::vector<char>> &values) {
                return run_all(own, barriers, function, {gx, gy, gz}, {bx, by, bz}, values, std::index_sequence_for<A...>{});
            }};
}

#define KERNEL(name) make(#name, false, name)
#define WITH_BARRIERS(name) make(#name, true, name)
#define BF16(name) make(#name "_bf16", false, bf16_maps::name##_bf16)
#define BF16_WITH_BARRIERS(name) make(#name "_bf16", true, bf16_maps::name##_bf16)

const Kernel *find_kernel(const std::string &name) {
    static const std::vector<Kernel> kernels = {
        KERNEL(begin_step), WITH_BARRIERS(softmax_loss), WITH_BARRIERS(binary_loss), WITH_BARRIERS(penalty), KERNEL(penalise), KERNEL(activation_penalty_gradient), KERNEL(add), KERNEL(dropout), KERNEL(bias_relu), WITH_BARRIERS(relu_gradient), WITH_BARRIERS(narrow_gradient),
        KERNEL(adam), KERNEL(sgd), KERNEL(rmsprop), KERNEL(lion), KERNEL(accumulate), WITH_BARRIERS(gradient_norm), KERNEL(average_weights),
        WITH_BARRIERS(moment_sums), WITH_BARRIERS(product_sums), KERNEL(finish_sums), WITH_BARRIERS(set_means), KERNEL(spread),
        WITH_BARRIERS(batch_norm_forward), WITH_BARRIERS(batch_norm_gradient), WITH_BARRIERS(set_norm_forward),
        WITH_BARRIERS(set_norm_gradient), KERNEL(activation_forward), KERNEL(activation_gradient), KERNEL(scale), KERNEL(prelu),
        KERNEL(drop_sets), KERNEL(copy_rows), KERNEL(pad_forward), KERNEL(pad_gradient), KERNEL(window_max_forward),
        WITH_BARRIERS(window_max_gradient), KERNEL(window_mean_forward), KERNEL(window_mean_gradient), KERNEL(depthwise_forward),
        KERNEL(depthwise_input_gradient), WITH_BARRIERS(depthwise_weight_gradient),
        BF16(begin_step), BF16_WITH_BARRIERS(softmax_loss), BF16_WITH_BARRIERS(binary_loss), BF16(add), BF16(dropout), BF16(bias_relu),
        BF16_WITH_BARRIERS(relu_gradient), BF16_WITH_BARRIERS(narrow_gradient), BF16_WITH_BARRIERS(moment_sums), BF16_WITH_BARRIERS(product_sums),
        BF16(finish_sums), BF16_WITH_BARRIERS(set_means), BF16(spread), BF16_WITH_BARRIERS(batch_norm_forward), BF16_WITH_BARRIERS(batch_norm_gradient),
        BF16_WITH_BARRIERS(set_norm_forward), BF16_WITH_BARRIERS(set_norm_gradient), BF16(activation_forward), BF16(activation_gradient), BF16(scale),
        BF16(prelu), BF16(drop_sets), BF16(copy_rows), BF16(pad_forward), BF16(pad_gradient), BF16(window_max_forward),
        BF16_WITH_BARRIERS(window_max_gradient), BF16(window_mean_forward), BF16(window_mean_gradient), BF16(depthwise_forward),
        BF16(depthwise_input_gradient), BF16_WITH_BARRIERS(depthwise_weight_gradient), BF16(narrow), BF16(widen), BF16(add_bias),
        BF16_WITH_BARRIERS(bias_gradient), BF16(scale_channels),
        KERNEL(take_shard), KERNEL(add_shards), KERNEL(book_shards),
    };
    for (auto &kernel : kernels)
        if (kernel.name == name) return &kernel;
    return nullptr;
}

} // namespace simulator
