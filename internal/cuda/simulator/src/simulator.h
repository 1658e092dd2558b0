/* A stand-in for NVIDIA's driver, cuDNN and cuBLAS on the host, for tests of the code that calls them.
 *
 * Device memory is host memory between two pages that may not be touched, and is filled with a pattern that is a NaN and
 * an index out of range. Every address is looked up among the live allocations. A call whose documentation forbids what it
 * was given answers with the documented error, and leaves a sentence in the list of violations. Streams do their work at
 * once, except while they are captured; but what it used may not be freed before someone has waited for the stream. */
#ifndef SLIPWAY_SIMULATOR_H
#define SLIPWAY_SIMULATOR_H

#include <cuda.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace simulator {

struct Allocation {
    size_t bytes;
    void *pages;
    size_t page_bytes;
    bool busy = false; /* work uses it that no one has waited for */
};

struct State {
    std::map<CUdeviceptr, Allocation> live;
    size_t live_bytes = 0, memory = 8ul << 30;
    unsigned fill = 0xffffffffu;
    int driver_version = CUDA_VERSION; /* what the driver serves */
    int cudnn_release = CUDA_VERSION;  /* what cuDNN is built with */
    std::map<std::string, long> calls;   /* by name */
    std::map<std::string, long> objects; /* live ones, by kind */
    std::string violations;
    /* The fault on demand: the call of that name, counted down, answers code. */
    std::string fault_call;
    long fault_after = 0;
    int fault_code = 0;
    bool fault_is_loss = false; /* from then on every driver call answers code */
    int lost = 0;
    bool working = false; /* what a stream was given is at work */
    /* While a stream is captured its work is kept here. */
    bool capturing = false, capture_broken = false;
    std::vector<std::function<int()>> captured;
};

State &state();

void violate(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Counts a call and returns the fault that it was to have, or 0. */
int enter(const char *call);

/* Counts the objects of a kind that are live, one more or less, and returns their number. Descriptors go when Go's collector
 * finds them, on a thread of its own. */
long live(const char *kind, long change);

/* Whether bytes from address on lie in one live allocation. what names the argument in a violation. */
bool reachable(const char *call, const char *what, const void *address, size_t bytes);

/* reachable, and none of the floats still has the pattern that fresh memory is filled with. */
bool readable(const char *call, const char *what, const float *values, size_t count);

/* What a library that is made of the runtime API expects: it works in the context that cuDevicePrimaryCtxRetain answers. */
void needs_primary(const char *call);

/* Does the work now, or keeps it for the graph that is being captured. */
int submit(std::function<int()> work);

} // namespace simulator

#endif
