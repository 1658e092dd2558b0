/* The threads of a block that wait for each other at barriers: each has a stack of its own, and the one processor goes from one to
 * the next. x86-64, as the shim. */
#ifndef SLIPWAY_SIMULATOR_FIBERS_H
#define SLIPWAY_SIMULATOR_FIBERS_H

#include <functional>
#include <vector>

namespace simulator {

/* Runs a block's threads, in that order, from barrier to barrier, until all have returned. begin is called before a thread goes
 * on, run is the thread itself. False if some were at a barrier and others had returned. */
bool run_block(const std::vector<unsigned> &order, const std::function<void(unsigned)> &begin, const std::function<void(unsigned)> &run);

/* Waits for the block's other threads. False outside of run_block. */
bool barrier();

} // namespace simulator

#endif
