/* Compiles kernels.cu as host code: CUDA's words for where a thread is become variables, and each kernel a function that
 * runs its threads one after another. Barriers would need more; the kernels have none. */
#include "kernels.h"

#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "simulator.h"

struct Place {
    unsigned x, y, z;
};
static Place threadIdx, blockIdx, blockDim, gridDim;
#define __global__
#define __device__
#define __forceinline__ inline
#include "../../kernels/kernels.cu"

namespace simulator {

template <class T> static T value_of(const std::vector<char> &bytes) {
    T value;
    memcpy(&value, bytes.data(), sizeof value);
    return value;
}

/* A pointer may be null; else it leads to live device memory. */
template <class T> static bool sound(const std::string &name, T value) {
    if constexpr (std::is_pointer_v<T>)
        return !value || reachable(("kernel " + name).c_str(), "argument", (const void *)value, sizeof *value);
    return true;
}

template <class... A, size_t... I>
static bool run_all(const std::string &name, void (*function)(A...), Place grid, Place block, const std::vector<std::vector<char>> &values,
                    std::index_sequence<I...>) {
    if (!(sound<A>(name, value_of<A>(values[I])) && ...)) return false;
    gridDim = grid;
    blockDim = block;
    for (blockIdx.z = 0; blockIdx.z < grid.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++)
                for (threadIdx.z = 0; threadIdx.z < block.z; threadIdx.z++)
                    for (threadIdx.y = 0; threadIdx.y < block.y; threadIdx.y++)
                        for (threadIdx.x = 0; threadIdx.x < block.x; threadIdx.x++) function(value_of<A>(values[I])...);
    return true;
}

template <class... A> static Kernel make(const char *name, void (*function)(A...)) {
    std::string own = name;
    return {own, {sizeof(A)...}, [=](unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, const std::vector<std::vector<char>> &values) {
                return run_all(own, function, {gx, gy, gz}, {bx, by, bz}, values, std::index_sequence_for<A...>{});
            }};
}

#define KERNEL(name) make(#name, name)

const Kernel *find_kernel(const std::string &name) {
    static const std::vector<Kernel> kernels = {
        KERNEL(gather_images), KERNEL(gather_labels), KERNEL(cross_entropy_forward), KERNEL(cross_entropy_gradient), KERNEL(strided_sums),
        KERNEL(scaled_sum), KERNEL(norms), KERNEL(row_sums), KERNEL(penalty_value), KERNEL(penalise), KERNEL(activation_penalty_value),
        KERNEL(activation_penalty_gradient), KERNEL(add), KERNEL(dropout), KERNEL(account), KERNEL(adam), KERNEL(sgd), KERNEL(rmsprop),
    };
    for (auto &kernel : kernels)
        if (kernel.name == name) return &kernel;
    return nullptr;
}

} // namespace simulator
