/* What a kernel reads and writes, seen access by access. The compiler puts the calls in (-fsanitize=thread, whose runtime
 * library accesses.cpp stands in for) where scripts/build-cuda-simulator is asked to; else nothing is seen. */
#ifndef SLIPWAY_SIMULATOR_ACCESSES_H
#define SLIPWAY_SIMULATOR_ACCESSES_H

#include <cstddef>

namespace simulator {

/* Where the kernel that runs is. */
unsigned thread_of_the_block();
size_t block_of_the_grid();

/* From the one to the other accesses are counted, if there is a trace, to which the latter adds:
 *   bytes r|w ALLOCATION BYTES            distinct sectors of 32 bytes of an allocation, which is what memory moves
 *   access r|w d|s PLACE ALL MOST LINES   a place in the library's code, and how often all threads came to it, the one that
 *                                         came most often, and how often that was another line of 128 bytes than before, all
 *                                         threads together. d is device memory, s shared memory. */
void begin_accesses();
void end_accesses();

} // namespace simulator

#endif
