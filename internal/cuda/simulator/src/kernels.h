/* Slipway's kernels, compiled for the host. */
#ifndef SLIPWAY_SIMULATOR_KERNELS_H
#define SLIPWAY_SIMULATOR_KERNELS_H

#include <functional>
#include <string>
#include <vector>

namespace simulator {

struct Kernel {
    std::string name;
    std::vector<size_t> sizes; /* of the parameters, in bytes */
    /* Runs every thread, one after another; false if a pointer is not to live device memory. */
    std::function<bool(unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, const std::vector<std::vector<char>> &)> run;
};

/* The kernel of that name, or null. */
const Kernel *find_kernel(const std::string &name);

} // namespace simulator

#endif
