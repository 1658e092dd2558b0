/* A stand-in for NVIDIA's driver, cuDNN, cuBLAS and cuBLASLt on the host, for tests of the code that calls them.
 *
 * Device memory is host memory between two pages that may not be touched, and is filled with a pattern that is a NaN and
 * an index out of range. Every address is looked up among the live allocations. A call whose documentation forbids what it
 * was given answers with the documented error, and leaves a sentence in the list of violations.
 *
 * Streams do their work at once, except while they are captured. That they need not is kept by clocks: a piece of work
 * knows what came before it in its stream, by events and by the host's waiting, and which bytes it reads and writes. Two
 * that touch the same bytes, one of them writing, and of which neither knows of the other, are a violation, and so is
 * freeing what work uses that no one has waited for. What is copied to the host arrives there when it is waited for, and what is
 * copied from there has to be the same until then. Copies from memory that is not page-locked, which the host may have to wait
 * for, are counted under "pageable" before the call's name.
 *
 * A captured graph is what was put into the stream that the capture began with, and into those that came to wait for that: each of
 * these is a branch, which works beside the others but for what events order, and must have been waited for by the first when the
 * capture ends. A graph's branches are no streams of the program's.
 *
 * Streams also have a time, which a test may set going: each launch and each copied byte takes so long, work begins when its
 * stream has come to it, and events, graphs and the host's waiting hold it up. The host itself takes none. */
#ifndef SLIPWAY_SIMULATOR_H
#define SLIPWAY_SIMULATOR_H

#include <cuda.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace simulator {

/* How far the work of each stream, by its number, has come: a vector clock (Lamport 1978, Mattern 1988). */
using Clock = std::map<long, long>;

/* Makes what one knows known to the other, too. */
void join(Clock &to, const Clock &from);

enum Access { looked_up, read, written };

/* What the values of an allocation are: what first touches it as numbers says. */
enum Format { any_format, floats, bfloats };

/* Bytes from begin to before end that the work of a stream has touched. */
struct Touch {
    size_t begin, end;
    long stream, tick;
    Access access;
};

struct Allocation {
    size_t bytes;
    void *pages;
    size_t page_bytes;
    std::vector<Touch> touches; /* those that nothing later covers */
    Format format = any_format;
};

/* Page-locked memory of the host. */
struct Locked {
    size_t bytes;
    void *pages;
    size_t page_bytes;
};

/* A copy between the host, at that address, and the device, which is done for the host when it has waited for that tick of the
 * stream. */
struct Arrival {
    const char *at;
    size_t bytes;
    long stream, tick;
    std::function<void()> arrive;
};

struct Work {
    CUstream stream; /* in a graph null stands for the stream that the graph is launched into */
    std::function<int()> run;
};

struct State {
    std::map<CUdeviceptr, Allocation> live;
    size_t live_bytes = 0, memory = 8ul << 30;
    unsigned fill = 0xffffffffu;
    int driver_version = CUDA_VERSION; /* what the driver serves */
    int cudnn_release = CUDA_VERSION;  /* what cuDNN is built with */
    int capability = 80;               /* compute capability: 80 is 8.0, the first with TF32 */
    std::map<std::pair<int, int>, double> algorithms; /* how slow a convolution's are, by pass: search.cpp */
    bool tf32 = false;                 /* what asks for TF32 has been told to: else it is a violation */
    bool bf16 = false;                 /* and what takes bfloat16 */
    bool hides_nan = false;            /* all of cuBLASLt's ReLUs make a 0 of a NaN, and not some alone */
    std::map<std::string, long> calls;   /* by name */
    std::map<std::string, long> objects; /* live ones, by kind */
    std::string violations;
    /* The fault on demand: the call of that name, counted down, answers code. */
    std::string fault_call;
    long fault_after = 0;
    int fault_code = 0;
    bool fault_is_loss = false; /* from then on every driver call answers code */
    int lost = 0;
    CUstream working = nullptr; /* the stream whose work is being done */
    Clock host;                 /* what the host has waited for */
    /* What a launch takes, and each byte that is copied from the host, and when the host has waited; in microseconds. */
    double launch = 0, copied_byte = 0, time = 0;
    std::vector<Arrival> arriving; /* copies between host and device that no one has waited for */
    std::map<const char *, Locked> locked;
    /* While a stream is captured, its work is kept here, and that of streams that wait for it. Captures have numbers from 1 on. */
    bool capturing = false, capture_broken = false;
    CUstream origin = nullptr;
    long capture = 0;
    std::vector<Work> captured;
    /* What the work that is done calls and touches, a line each, while somebody wants to know. */
    bool tracing = false;
    std::string trace;
    /* Saves time: convolutions and products of matrices write some finite numbers, and kernels run in one order alone. */
    bool shallow = false;
    /* Work waits for another rank that does not come: the device does nothing more until NCCL's communicator is aborted. */
    bool stuck = false;
};

State &state();

/* Adds a line to the trace, if there is one. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

void violate(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Counts what is no call. */
void count(const char *what);

/* Rounds to the 10 bits of TF32's mantissa, to the nearest, and to an even one of two as near. The libraries' documentation
 * does not say which way they round. */
float tf32(float value);

/* Whether products that ask for TF32 have it: a violation unless somebody wants it, and not before compute capability 8.0. */
bool grants_tf32(const char *call);

/* Writes numbers in the place of what is not computed. */
void pretend(float *values, size_t count);

/* Counts a call and returns the fault that it was to have, or 0. */
int enter(const char *call);

/* Counts the objects of a kind that are live, one more or less, and returns their number. Descriptors go when Go's collector
 * finds them, on a thread of its own. */
long live(const char *kind, long change);

/* Whether bytes from address on lie in one live allocation. what names the argument in a violation. A piece of work says
 * how it touches them. */
bool reachable(const char *call, const char *what, const void *address, size_t bytes, Access access = looked_up);

/* Books that a call uses a workspace of its handle's, of which no trace says how much of it. */
bool occupied(const char *call, const void *address, size_t bytes);

/* Whether what lies at the address is of that format: float32 that is taken for bfloat16 is a violation, and so is the other way round. */
bool of_format(const char *call, const char *what, const void *address, Format format);

/* The bytes from address to the end of its allocation, 0 if it is in none. */
size_t bytes_behind(const void *address);

/* Whether the address is a multiple of 16 bytes, as the libraries' kernels that read whole vectors need it. */
bool vectors(const char *call, const char *what, const void *address);

/* reachable and read, and none of the floats still has the pattern that fresh memory is filled with. */
bool readable(const char *call, const char *what, const float *values, size_t count);

/* The same of words that are no float32, or nobody knows what. */
bool written_before(const char *call, const char *what, const float *values, size_t count);

/* What a library that is made of the runtime API expects: it works in the context that cuDevicePrimaryCtxRetain answers. */
void needs_primary(const char *call);

/* Whether the stream is live and not the default one, which nobody here uses: it cannot be captured, and waits for others. */
bool needs_stream(const char *call, void *stream);

/* What a handle works on, if it was given one, is live until the handle is gone. */
void outlives(const char *call, void *stream);

/* Has the work at hand take its time: that of a launch, or of a copy of so many bytes from the host. */
void spend(size_t copied = 0);
/* Which of the machine's devices the current context is of. */
int current_device();

/* Whether the thread is within a group of NCCL's calls, of which nothing is in a stream yet. */
bool group_is_open();

/* Does the work now, or keeps it for the graph that is being captured. */
int submit(void *stream, std::function<int()> work);

} // namespace simulator

#endif
