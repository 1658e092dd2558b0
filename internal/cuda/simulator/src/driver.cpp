/* libcuda, as "CUDA Driver API", CUDA Toolkit documentation 13.0, describes it. */
#include "simulator.h"

#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <sys/mman.h>

#include "kernels.h"

struct CUctx_st {};
struct CUmod_st {
    std::string image;
};
struct CUfunc_st {
    const simulator::Kernel *kernel;
};
struct CUstream_st {
    long number;
    simulator::Clock clock;
    bool capturing = false;
    double time = 0; /* when its work is done, in microseconds */
    simulator::Clock before = {}; /* what of the capture comes before what is captured next */
};
struct CUevent_st {
    simulator::Clock clock;
    bool recorded = false;
    double time = 0;
    long capture = 0; /* the one that it was recorded in last; 0 if in none */
    simulator::Clock before = {};
};
struct CUgraph_st {
    std::vector<simulator::Work> work;
    CUstream origin;
};
struct CUgraphExec_st {
    std::vector<simulator::Work> work;
    std::vector<CUstream> branches; /* beside the first, in the place of the streams that were captured */
};

namespace simulator {

State &state() {
    static State s;
    return s;
}

static std::string line(const char *format, va_list arguments) {
    char text[1024];
    vsnprintf(text, sizeof text, format, arguments);
    return std::string(text) + "\n";
}

void violate(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    state().violations += line(format, arguments);
    va_end(arguments);
}

void note(const char *format, ...) {
    if (!state().tracing) return;
    va_list arguments;
    va_start(arguments, format);
    state().trace += line(format, arguments);
    va_end(arguments);
}

void count(const char *what) { state().calls[what]++; }

float tf32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7f800000u) == 0x7f800000u) return value; /* infinities and NaN stay */
    bits += 0xfffu + (bits >> 13 & 1);
    bits &= ~0x1fffu;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool grants_tf32(const char *call) {
    if (!state().tf32) violate("%s: it asks for TF32, and nobody wants that", call);
    return state().capability >= 80;
}

void pretend(float *values, size_t count) {
    for (size_t i = 0; i < count; i++) values[i] = 0.001f * (float)((int)(i % 13) - 6);
}

int enter(const char *call) {
    State &s = state();
    s.calls[call]++;
    if (s.lost) return s.lost;
    if (s.fault_call == call && --s.fault_after == 0) {
        s.fault_call = "";
        if (s.fault_is_loss) s.lost = s.fault_code;
        return s.fault_code;
    }
    return 0;
}

static std::mutex objects_mutex;

long live(const char *kind, long change) {
    std::lock_guard<std::mutex> guard(objects_mutex);
    return state().objects[kind] += change;
}

void join(Clock &to, const Clock &from) {
    for (auto &[stream, tick] : from) to[stream] = std::max(to[stream], tick);
}

/* Books what the work at hand touches, and whether other work does that it does not come after. */
static void touch(const char *call, const char *what, Allocation &allocation, size_t begin, size_t end, Access access) {
    CUstream stream = state().working;
    if (!stream || access == looked_up || begin == end) return;
    std::vector<Touch> kept;
    for (Touch &other : allocation.touches) {
        bool overlaps = other.begin < end && begin < other.end, conflict = overlaps && (access == written || other.access == written);
        if (conflict && stream->clock[other.stream] < other.tick)
            violate("%s: %s: its bytes are %s by work of another stream, which this one does not wait for", call, what,
                    other.access == written ? "written" : "read");
        bool known = stream->clock[other.stream] >= other.tick;
        bool covered = known && begin <= other.begin && other.end <= end && (access == written || other.access == read);
        if (!covered) kept.push_back(other);
    }
    kept.push_back({begin, end, stream->number, stream->clock[stream->number], access});
    allocation.touches.swap(kept);
}

static std::pair<const CUdeviceptr, Allocation> *allocation_of(const void *address) {
    CUdeviceptr begin = (CUdeviceptr)address;
    auto &live = state().live;
    auto after = live.upper_bound(begin);
    if (after == live.begin()) return nullptr;
    auto found = std::prev(after);
    return begin - found->first <= found->second.bytes ? &*found : nullptr;
}

bool reachable(const char *call, const char *what, const void *address, size_t bytes, Access access) {
    if (auto found = allocation_of(address)) {
        size_t begin = (CUdeviceptr)address - found->first;
        if (bytes <= found->second.bytes - begin) {
            touch(call, what, found->second, begin, begin + bytes, access);
            if (state().working && access != looked_up)
                note("touch %c %llx %zu %zu %s: %s", access == read ? 'r' : 'w', found->first, begin, bytes, call, what);
            return true;
        }
    }
    violate("%s: %s: %zu bytes at %p are not device memory that is live", call, what, bytes, address);
    return false;
}

bool occupied(const char *call, const void *address, size_t bytes) {
    auto found = allocation_of(address);
    if (!found || bytes > found->second.bytes - ((CUdeviceptr)address - found->first))
        return violate("%s: its handle's workspace is not device memory that is live", call), false;
    size_t begin = (CUdeviceptr)address - found->first;
    return touch(call, "its handle's workspace", found->second, begin, begin + bytes, written), true;
}

bool of_format(const char *call, const char *what, const void *address, Format format) {
    auto found = allocation_of(address);
    if (!found || format == any_format) return true;
    Format &own = found->second.format;
    if (own == any_format) own = format;
    if (own == format) return true;
    violate("%s: %s: is taken for %s, and its memory has %s", call, what, format == floats ? "float32" : "bfloat16", own == floats ? "float32" : "bfloat16");
    return false;
}

size_t bytes_behind(const void *address) {
    auto found = allocation_of(address);
    return found ? found->second.bytes - ((CUdeviceptr)address - found->first) : 0;
}

bool vectors(const char *call, const char *what, const void *address) {
    if ((size_t)address % 16 == 0) return true;
    violate("%s: %s: %p is not a multiple of 16 bytes, which kernels that read whole vectors need", call, what, address);
    return false;
}

bool readable(const char *call, const char *what, const float *values, size_t count) {
    return of_format(call, what, values, floats) && written_before(call, what, values, count);
}

bool written_before(const char *call, const char *what, const float *values, size_t count) {
    if (!reachable(call, what, values, count * 4, read)) return false;
    for (size_t i = 0; i < count; i++) {
        uint32_t word;
        memcpy(&word, values + i, 4);
        if (word == state().fill) {
            violate("%s: %s: value %zu of %zu was never written", call, what, i, count);
            return false;
        }
    }
    return true;
}

/* Does for the host what it has waited for. */
static void deliver() {
    auto &all = state().arriving;
    std::vector<Arrival> waiting;
    for (Arrival &a : all) {
        if (state().host[a.stream] >= a.tick) a.arrive();
        else waiting.push_back(a);
    }
    all.swap(waiting);
}

/* Notes a copy of the work at hand between the device and those bytes of the host. */
static void arrives(const void *at, size_t bytes, std::function<void()> arrive) {
    CUstream stream = state().working;
    state().arriving.push_back({(const char *)at, bytes, stream->number, stream->clock[stream->number], arrive});
}

/* The page-locked memory that the address is in. */
static std::pair<const char *const, Locked> *locked_memory(const void *address) {
    auto after = state().locked.upper_bound((const char *)address);
    if (after == state().locked.begin()) return nullptr;
    auto found = std::prev(after);
    return (const char *)address < found->first + found->second.bytes ? &*found : nullptr;
}

static std::set<CUstream> streams;

static CUstream new_stream() {
    static long numbers = 0;
    return *streams.insert(new CUstream_st{++numbers, {}, false, 0}).first;
}

bool needs_stream(const char *call, void *stream) {
    if (!stream) violate("%s: the default stream", call);
    else if (!streams.count((CUstream)stream)) violate("%s: its stream was destroyed before", call);
    else return true;
    return false;
}

void outlives(const char *call, void *stream) {
    if (stream) needs_stream(call, stream);
}

static int do_work(const Work &work) {
    if (!needs_stream("work", work.stream)) return CUDA_ERROR_INVALID_HANDLE;
    Clock &clock = work.stream->clock;
    clock[work.stream->number]++;
    work.stream->time = std::max(work.stream->time, state().time);
    state().working = work.stream;
    int failed = work.run();
    state().working = nullptr;
    return failed;
}

/* Does what belongs into a stream, work or a place in it, or keeps it for the graph. */
static int place(CUstream stream, std::function<int()> run) {
    Work work = {stream, run};
    if (group_is_open()) violate("work is launched while a group of NCCL's calls is open, of which nothing is in the stream yet");
    if (state().stuck) return 0; /* it waits behind what does not end */
    if (stream->capturing) {
        state().captured.push_back(work);
        return 0;
    }
    join(stream->clock, state().host);
    return do_work(work);
}

int submit(void *to, std::function<int()> run) {
    if (!needs_stream("work", to)) return CUDA_ERROR_INVALID_HANDLE;
    CUstream stream = (CUstream)to;
    if (stream->capturing) {
        stream->before[stream->number]++;
        if (stream != state().origin) count("captured beside");
    }
    return place(stream, run);
}

void spend(size_t copied) {
    State &s = state();
    if (s.working) s.working->time += copied ? (double)copied * s.copied_byte : s.launch;
}

/* The host has waited until then. */
static void waited(const Clock &clock, double time) {
    join(state().host, clock);
    state().time = std::max(state().time, time);
    deliver();
}

static thread_local CUcontext current;
/* Of each device one, made for the first that retains it and gone with the last that releases it. */
enum { most_devices = 16 };
static CUctx_st primaries[most_devices];
static bool is_primary(CUcontext context) { return context >= primaries && context < primaries + most_devices; }

int current_device() { return is_primary(current) ? (int)(current - primaries) : -1; }

/* The devices that the process is shown: as many as SLIPWAY_SIMULATOR_DEVICES says, or those of them that CUDA_VISIBLE_DEVICES lists. */
static std::vector<int> shown() {
    const char *number = getenv("SLIPWAY_SIMULATOR_DEVICES"), *list = getenv("CUDA_VISIBLE_DEVICES");
    int there = std::min(number ? atoi(number) : 1, (int)most_devices);
    std::vector<int> all;
    if (!list)
        for (int i = 0; i < there; i++) all.push_back(i);
    for (; list && *list; list += strcspn(list, ","), list += *list == ',') {
        int device = atoi(list);
        if (device < 0 || device >= there) break; /* "devices after the invalid one are hidden" */
        all.push_back(device);
    }
    return all;
}

void needs_primary(const char *call) {
    if (!is_primary(current)) violate("%s: the current context is not the device's primary one, which the runtime API has", call);
}

} // namespace simulator

using namespace simulator;

/* ENTER: a fault on demand, or a device that was lost; IN_CONTEXT: also CUDA_ERROR_INVALID_CONTEXT without a context. */
#define ENTER                                       \
    if (int fault = enter(__func__)) return (CUresult)fault
#define IN_CONTEXT \
    ENTER;         \
    if (!current) return violate("%s: no context is current on this thread", __func__), CUDA_ERROR_INVALID_CONTEXT; \
    if (is_primary(current) && !live("primary context", 0)) return violate("%s: the context was released", __func__), CUDA_ERROR_CONTEXT_IS_DESTROYED
/* "Potentially unsafe API calls" may not be made by a thread that captures (cuStreamBeginCapture, thread-local mode). */
#define NOT_CAPTURING                                                                             \
    if (state().capturing) {                                                                      \
        state().capture_broken = true;                                                            \
        return violate("%s: while a stream is captured", __func__), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED; \
    }

extern "C" {

CUresult cuInit(unsigned flags) {
    ENTER;
    return flags ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}
CUresult cuDriverGetVersion(int *version) {
    *version = state().driver_version;
    return CUDA_SUCCESS;
}
CUresult cuGetErrorName(CUresult error, const char **name) {
    switch (error) {
    case CUDA_ERROR_INVALID_VALUE: *name = "CUDA_ERROR_INVALID_VALUE"; break;
    case CUDA_ERROR_OUT_OF_MEMORY: *name = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case CUDA_ERROR_NO_DEVICE: *name = "CUDA_ERROR_NO_DEVICE"; break;
    case CUDA_ERROR_LAUNCH_FAILED: *name = "CUDA_ERROR_LAUNCH_FAILED"; break;
    case CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES: *name = "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"; break;
    case CUDA_ERROR_ECC_UNCORRECTABLE: *name = "CUDA_ERROR_ECC_UNCORRECTABLE"; break;
    case CUDA_ERROR_ILLEGAL_ADDRESS: *name = "CUDA_ERROR_ILLEGAL_ADDRESS"; break;
    case CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED: *name = "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"; break;
    case CUDA_ERROR_STREAM_CAPTURE_INVALIDATED: *name = "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"; break;
    case CUDA_ERROR_STREAM_CAPTURE_UNJOINED: *name = "CUDA_ERROR_STREAM_CAPTURE_UNJOINED"; break;
    default: *name = "a CUDA error that the simulator has no name for";
    }
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetCount(int *count) {
    ENTER;
    *count = (int)shown().size();
    return CUDA_SUCCESS;
}
CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    ENTER;
    std::vector<int> all = shown();
    if (ordinal < 0 || ordinal >= (int)all.size()) return CUDA_ERROR_INVALID_DEVICE;
    *device = all[ordinal];
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) {
    ENTER;
    memset(uuid, 0, sizeof *uuid);
    uuid->bytes[15] = (char)(device + 1);
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetName(char *name, int size, CUdevice) {
    ENTER;
    snprintf(name, size, "simulated");
    return CUDA_SUCCESS;
}
CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice) {
    ENTER;
    *bytes = state().memory;
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice) {
    ENTER;
    int capability = state().capability;
    *value = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR   ? capability / 10
             : attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR ? capability % 10
                                                                         : 1;
    return CUDA_SUCCESS;
}
CUresult cuCtxCreate_v2(CUcontext *context, unsigned, CUdevice) {
    ENTER;
    current = *context = new CUctx_st;
    live("context", 1);
    return CUDA_SUCCESS;
}
CUresult cuCtxDestroy_v2(CUcontext context) {
    if (current == context) current = nullptr;
    delete context;
    live("context", -1);
    return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    ENTER;
    if (device < 0 || device >= most_devices) return CUDA_ERROR_INVALID_DEVICE;
    *context = primaries + device;
    live("primary context", 1);
    return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) {
    if (!live("primary context", 0)) return violate("cuDevicePrimaryCtxRelease: it is not retained"), CUDA_ERROR_INVALID_CONTEXT;
    live("primary context", -1);
    return CUDA_SUCCESS;
}
CUresult cuCtxSetCurrent(CUcontext context) {
    ENTER;
    current = context;
    return CUDA_SUCCESS;
}
CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
    IN_CONTEXT;
    if (flags != CU_STREAM_NON_BLOCKING) violate("cuStreamCreate: a stream that waits for the default one, and is waited for");
    *stream = new_stream();
    live("stream", 1);
    return CUDA_SUCCESS;
}
CUresult cuStreamDestroy_v2(CUstream stream) {
    if (!streams.erase(stream)) return violate("cuStreamDestroy: %p is not live", (void *)stream), CUDA_ERROR_INVALID_HANDLE;
    delete stream;
    live("stream", -1);
    return CUDA_SUCCESS;
}
CUresult cuStreamSynchronize(CUstream stream) {
    IN_CONTEXT;
    NOT_CAPTURING;
    if (!needs_stream(__func__, stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (state().stuck) return violate("cuStreamSynchronize: the stream waits for another rank for ever, and so does the host"), CUDA_ERROR_LAUNCH_TIMEOUT;
    waited(stream->clock, stream->time);
    return CUDA_SUCCESS;
}
CUresult cuStreamQuery(CUstream stream) {
    IN_CONTEXT;
    NOT_CAPTURING;
    if (!needs_stream(__func__, stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (state().stuck) return CUDA_ERROR_NOT_READY;
    waited(stream->clock, stream->time);
    return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *event, unsigned) {
    IN_CONTEXT;
    *event = new CUevent_st;
    live("event", 1);
    return CUDA_SUCCESS;
}
CUresult cuEventDestroy_v2(CUevent event) {
    delete event;
    live("event", -1);
    return CUDA_SUCCESS;
}
/* In a captured stream an event is a place in the graph, and a stream that waits for it is captured from then on. */
CUresult cuEventRecord(CUevent event, CUstream stream) {
    IN_CONTEXT;
    if (!needs_stream(__func__, stream)) return CUDA_ERROR_INVALID_HANDLE;
    event->recorded = true;
    event->capture = stream->capturing ? state().capture : 0;
    event->before = stream->before;
    return (CUresult)place(stream, [=]() -> int {
        CUstream at = state().working;
        return event->clock = at->clock, event->time = at->time, 0;
    });
}
CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned) {
    IN_CONTEXT;
    if (!needs_stream(__func__, stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (!event->recorded) violate("cuStreamWaitEvent: the event was never recorded, so that nothing is waited for");
    bool ended = event->capture && !(state().capturing && event->capture == state().capture);
    if (ended) return violate("cuStreamWaitEvent: the event is a place in a capture that has ended"), CUDA_ERROR_CAPTURED_EVENT;
    if (stream->capturing && !event->capture) {
        state().capture_broken = true;
        return violate("cuStreamWaitEvent: a captured stream waits for work outside of its capture"), CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    }
    if (event->capture && !stream->capturing) stream->capturing = true, stream->before.clear();
    join(stream->before, event->before);
    return (CUresult)place(stream, [=]() -> int {
        CUstream at = state().working;
        at->time = std::max(at->time, event->time);
        return join(at->clock, event->clock), 0;
    });
}

CUresult cuEventSynchronize(CUevent event) {
    IN_CONTEXT;
    NOT_CAPTURING;
    if (!event->recorded) violate("cuEventSynchronize: the event was never recorded, so that nothing is waited for");
    if (state().stuck) return violate("cuEventSynchronize: the stream waits for another rank for ever, and so does the host"), CUDA_ERROR_LAUNCH_TIMEOUT;
    waited(event->clock, event->time);
    return CUDA_SUCCESS;
}
CUresult cuEventQuery(CUevent event) {
    IN_CONTEXT;
    NOT_CAPTURING;
    if (state().stuck) return CUDA_ERROR_NOT_READY;
    waited(event->clock, event->time);
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
    IN_CONTEXT;
    NOT_CAPTURING;
    if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    State &s = state();
    if (bytes > s.memory - s.live_bytes) return CUDA_ERROR_OUT_OF_MEMORY;
    /* "Suitably aligned for any kind of variable": 256 bytes, as on a device. The end lies against a page that no one may
     * touch, but for what the alignment leaves. */
    size_t page = 4096, room = (bytes + 255) / 256 * 256, pages = (room + page - 1) / page * page;
    char *mapped = (char *)mmap(nullptr, pages + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
    mprotect(mapped, page, PROT_NONE);
    mprotect(mapped + page + pages, page, PROT_NONE);
    /* More than a GiB stays as it is mapped: tests of large indices touch little of it. */
    if (bytes <= 1ul << 30)
        for (size_t i = 0; i < pages; i += 4) memcpy(mapped + page + i, &s.fill, 4);
    *address = (CUdeviceptr)(mapped + page + pages - room);
    s.live[*address] = {bytes, mapped, pages + 2 * page, {}};
    s.live_bytes += bytes;
    return CUDA_SUCCESS;
}
CUresult cuMemFree_v2(CUdeviceptr address) {
    IN_CONTEXT;
    NOT_CAPTURING;
    State &s = state();
    auto found = s.live.find(address);
    if (found == s.live.end()) return violate("cuMemFree: %p is not live", (void *)address), CUDA_ERROR_INVALID_VALUE;
    bool busy = false;
    for (Touch &touch : found->second.touches) busy |= s.host[touch.stream] < touch.tick;
    if (busy) violate("cuMemFree: work that no one waited for uses the %zu bytes at %p", found->second.bytes, (void *)address);
    bool filled = found->second.bytes <= 1ul << 30;
    for (size_t i = (found->second.bytes + 3) / 4 * 4; filled && i + 4 <= (found->second.bytes + 255) / 256 * 256; i += 4)
        if (memcmp((char *)address + i, &s.fill, 4)) {
            violate("cuMemFree: something wrote behind the %zu bytes at %p", found->second.bytes, (void *)address);
            break;
        }
    munmap(found->second.pages, found->second.page_bytes);
    s.live_bytes -= found->second.bytes;
    s.live.erase(found);
    return CUDA_SUCCESS;
}
/* Page-locked: "directly accessible to the device". It lies as device memory does, and is filled alike. */
CUresult cuMemHostAlloc(void **memory, size_t bytes, unsigned flags) {
    IN_CONTEXT;
    NOT_CAPTURING;
    if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    if (flags) violate("cuMemHostAlloc: flags %u, of which the simulator knows nothing", flags);
    size_t page = 4096, room = (bytes + 63) / 64 * 64, pages = (room + page - 1) / page * page;
    char *mapped = (char *)mmap(nullptr, pages + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
    mprotect(mapped, page, PROT_NONE);
    mprotect(mapped + page + pages, page, PROT_NONE);
    for (size_t i = 0; i < pages; i += 4) memcpy(mapped + page + i, &state().fill, 4);
    char *at = mapped + page + pages - room;
    state().locked[at] = {bytes, mapped, pages + 2 * page};
    live("page-locked memory", 1);
    *memory = at;
    return CUDA_SUCCESS;
}
CUresult cuMemFreeHost(void *memory) {
    IN_CONTEXT;
    NOT_CAPTURING;
    State &s = state();
    auto found = s.locked.find((const char *)memory);
    if (found == s.locked.end()) return violate("cuMemFreeHost: %p is no page-locked memory", memory), CUDA_ERROR_INVALID_VALUE;
    std::vector<Arrival> others;
    for (Arrival &a : s.arriving) {
        if (a.at < found->first || a.at >= found->first + found->second.bytes) others.push_back(a);
        else violate("cuMemFreeHost: %zu bytes of it are being copied, and no one has waited for that", a.bytes);
    }
    s.arriving.swap(others);
    munmap(found->second.pages, found->second.page_bytes);
    s.locked.erase(found);
    live("page-locked memory", -1);
    return CUDA_SUCCESS;
}
/* "the source may not be changed before the copy is done": it is looked at again when that is waited for. */
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
    IN_CONTEXT;
    NOT_CAPTURING;
    auto locked = locked_memory(from);
    if (!locked) count("pageable cuMemcpyHtoDAsync");
    else if ((const char *)from + bytes > locked->first + locked->second.bytes)
        return violate("cuMemcpyHtoDAsync: %zu bytes are more than the page-locked memory has behind %p", bytes, from), CUDA_ERROR_INVALID_VALUE;
    return (CUresult)submit(stream, [=]() -> int {
        if (!reachable("cuMemcpyHtoDAsync", "destination", (void *)to, bytes, written)) return CUDA_ERROR_INVALID_VALUE;
        memcpy((void *)to, from, bytes);
        spend(bytes);
        auto sent = std::make_shared<std::vector<char>>((const char *)from, (const char *)from + bytes);
        arrives(from, bytes, [=] {
            if (memcmp(from, sent->data(), bytes)) violate("cuMemcpyHtoDAsync: the host changed what was being copied");
        });
        return 0;
    });
}
CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
    IN_CONTEXT;
    NOT_CAPTURING;
    return (CUresult)submit(stream, [=]() -> int {
        const char *call = "cuMemcpyDtoHAsync";
        if (bytes % 4 ? !reachable(call, "source", (void *)from, bytes, read) : !written_before(call, "source", (float *)from, bytes / 4))
            return CUDA_ERROR_INVALID_VALUE;
        auto sent = std::make_shared<std::vector<char>>((char *)from, (char *)from + bytes);
        arrives(to, bytes, [=] { memcpy(to, sent->data(), bytes); });
        return 0;
    });
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    IN_CONTEXT;
    return (CUresult)submit(stream, [=]() -> int {
        const char *call = "cuMemcpyDtoDAsync";
        note("copy %zu", bytes);
        spend();
        if (!reachable(call, "source", (void *)from, bytes, read) || !reachable(call, "destination", (void *)to, bytes, written))
            return CUDA_ERROR_INVALID_VALUE;
        if (!of_format(call, "destination", (void *)to, allocation_of((void *)from)->second.format)) return CUDA_ERROR_INVALID_VALUE;
        memmove((void *)to, (void *)from, bytes);
        return 0;
    });
}
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
    IN_CONTEXT;
    return (CUresult)submit(stream, [=]() -> int {
        if (!reachable("cuMemsetD32Async", "destination", (void *)to, count * 4, written)) return CUDA_ERROR_INVALID_VALUE;
        for (size_t i = 0; i < count; i++) ((unsigned *)to)[i] = value;
        return 0;
    });
}

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    IN_CONTEXT;
    NOT_CAPTURING;
    const char *text = (const char *)image;
    if (!strstr(text, ".version") || !strstr(text, ".target sm_") || !strstr(text, ".address_size 64")) return CUDA_ERROR_INVALID_PTX;
    *module = new CUmod_st{text};
    live("module", 1);
    return CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule module) {
    delete module;
    live("module", -1);
    return CUDA_SUCCESS;
}

/* The bytes of each parameter of an entry point, read from the PTX. */
static std::vector<size_t> parameters_of(const std::string &image, const char *name, bool *found) {
    std::vector<size_t> sizes;
    size_t at = image.find(std::string(".entry ") + name + "(");
    *found = at != std::string::npos;
    if (!*found) return sizes;
    std::string list = image.substr(at, image.find(')', at) - at);
    for (size_t p = list.find(".param"); p != std::string::npos; p = list.find(".param", p + 1)) {
        unsigned bits = 0;
        char kind;
        if (sscanf(list.c_str() + p, ".param .%c%u", &kind, &bits) == 2) sizes.push_back(bits / 8);
    }
    return sizes;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    IN_CONTEXT;
    bool found;
    std::vector<size_t> sizes = parameters_of(module->image, name, &found);
    const Kernel *kernel = find_kernel(name);
    if (!found || !kernel) return CUDA_ERROR_NOT_FOUND;
    if (kernel->sizes != sizes) {
        violate("cuModuleGetFunction: the PTX of %s has other parameters than kernels.cu; scripts/cuda-kernels makes it again", name);
        return CUDA_ERROR_INVALID_PTX;
    }
    static std::map<std::string, CUfunc_st> functions;
    functions[name] = {kernel};
    *function = &functions[name];
    return CUDA_SUCCESS;
}
CUresult cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                        CUstream stream, void **arguments, void **extra) {
    IN_CONTEXT;
    const Kernel *kernel = function->kernel;
    if (int fault = enter(("cuLaunchKernel " + kernel->name).c_str())) return (CUresult)fault;
    if (shared || extra || !gx || gy - 1 > 65534 || gz - 1 > 65534 || !bx || !by || !bz || bx * by * bz > 1024)
        return violate("cuLaunchKernel %s: grid %u %u %u, block %u %u %u", kernel->name.c_str(), gx, gy, gz, bx, by, bz), CUDA_ERROR_INVALID_VALUE;
    /* The arguments are copied when the kernel is launched or captured. */
    std::vector<std::vector<char>> values;
    for (size_t i = 0; i < kernel->sizes.size(); i++) values.emplace_back((char *)arguments[i], (char *)arguments[i] + kernel->sizes[i]);
    /* What fails while it runs, rather than when it is launched, shows at a later call. */
    std::string running = "running " + kernel->name;
    return (CUresult)submit(stream, [=]() -> int {
        int fault = enter(running.c_str());
        note("kernel %s %u %u %u", kernel->name.c_str(), gx, gy, bx);
        spend();
        if (!fault && !kernel->run(gx, gy, gz, bx, by, bz, values)) fault = CUDA_ERROR_ILLEGAL_ADDRESS;
        if (fault) state().lost = fault;
        return 0;
    });
}

static std::set<CUgraphExec> executables;

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
    IN_CONTEXT;
    if (!needs_stream(__func__, stream) || state().capturing) return CUDA_ERROR_INVALID_VALUE;
    /* "potentially unsafe API calls are prohibited" for every thread of the program. */
    if (mode == CU_STREAM_CAPTURE_MODE_GLOBAL) violate("cuStreamBeginCapture: a mode that forbids calls to all other threads");
    state().capturing = stream->capturing = true;
    state().capture_broken = false;
    state().captured.clear();
    state().origin = stream, state().capture++;
    stream->before.clear();
    return CUDA_SUCCESS;
}
/* "the capture sequence contains a fork that was not joined to the primary stream" */
static bool unjoined(CUstream origin) {
    bool left = false;
    for (CUstream stream : streams) left |= stream->capturing && origin->before[stream->number] < stream->before[stream->number];
    return left;
}
CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
    bool left = streams.count(stream) && unjoined(stream);
    bool other = stream != state().origin;
    state().capturing = false;
    for (CUstream stream : streams) stream->capturing = false;
    IN_CONTEXT;
    if (other) return violate("cuStreamEndCapture: of another stream than the capture began with"), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    if (state().capture_broken) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (left) return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    *graph = new CUgraph_st{state().captured, stream};
    state().captured.clear();
    live("graph", 1);
    return CUDA_SUCCESS;
}
CUresult cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph, unsigned long long) {
    IN_CONTEXT;
    *executable = new CUgraphExec_st{graph->work, {}};
    std::map<CUstream, CUstream> branches = {{graph->origin, nullptr}};
    for (auto &work : (*executable)->work) {
        auto [found, fresh] = branches.insert({work.stream, nullptr});
        if (fresh) (*executable)->branches.push_back(found->second = new_stream());
        work.stream = found->second;
    }
    executables.insert(*executable);
    live("graph executable", 1);
    return CUDA_SUCCESS;
}
/* Both "may also return error codes from previous, asynchronous launches": what they destroy is gone all the same. */
CUresult cuGraphDestroy(CUgraph graph) {
    delete graph;
    live("graph", -1);
    ENTER;
    return CUDA_SUCCESS;
}
CUresult cuGraphExecDestroy(CUgraphExec executable) {
    if (!executables.erase(executable)) return violate("cuGraphExecDestroy: %p is not live", (void *)executable), CUDA_ERROR_INVALID_VALUE;
    for (CUstream branch : executable->branches) {
        streams.erase(branch);
        delete branch;
    }
    delete executable;
    live("graph executable", -1);
    ENTER;
    return CUDA_SUCCESS;
}
CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
    IN_CONTEXT;
    if (!needs_stream(__func__, stream)) return CUDA_ERROR_INVALID_VALUE;
    if (group_is_open()) violate("cuGraphLaunch: a group of NCCL's calls is open, of which nothing is in the stream yet");
    if (state().stuck) return CUDA_SUCCESS;
    /* All of the graph comes after what is in the stream, and before what comes there. */
    join(stream->clock, state().host);
    stream->time = std::max(stream->time, state().time);
    for (CUstream branch : executable->branches) {
        join(branch->clock, stream->clock);
        branch->time = std::max(branch->time, stream->time);
    }
    /* What fails inside shows at a later call, as on a device. */
    for (auto &work : executable->work)
        if (int failed = do_work({work.stream ? work.stream : stream, work.run})) {
            state().lost = failed;
            break;
        } else if (state().stuck) break;
    for (CUstream branch : executable->branches) {
        join(stream->clock, branch->clock);
        stream->time = std::max(stream->time, branch->time);
    }
    return CUDA_SUCCESS;
}

/* What the tests ask of the simulator. */
void simulator_speed(double launch, double copied_byte) {
    State &s = state();
    s.launch = launch, s.copied_byte = copied_byte, s.time = 0;
    for (CUstream stream : streams) stream->time = 0;
}
double simulator_time(void) {
    double last = state().time;
    for (CUstream stream : streams) last = std::max(last, stream->time);
    return last;
}
void simulator_reset(void) {
    State &s = state();
    s.calls.clear();
    s.violations.clear();
    s.fault_call.clear();
    s.lost = 0;
    s.driver_version = s.cudnn_release = CUDA_VERSION;
    s.capability = 80;
    s.tf32 = s.bf16 = s.hides_nan = s.stuck = false;
    s.algorithms.clear();
    simulator_speed(0, 0);
}
void simulator_fill(unsigned pattern) { state().fill = pattern; }
void simulator_memory(size_t bytes) { state().memory = bytes; }
void simulator_driver(int version) { state().driver_version = version; }
void simulator_cudnn(int release) { state().cudnn_release = release; }
void simulator_capability(int capability) { state().capability = capability; }
void simulator_tf32(int on) { state().tf32 = on; }
void simulator_bf16(int on) { state().bf16 = on; }
void simulator_hides_nan(int on) { state().hides_nan = on; }
void simulator_fail(const char *call, long after, int code, int loses_device) {
    State &s = state();
    s.fault_call = call;
    s.fault_after = after;
    s.fault_code = code;
    s.fault_is_loss = loses_device;
}
long simulator_calls(const char *call) { return state().calls[call]; }
void simulator_trace(int on) {
    state().tracing = on;
    state().trace.clear();
}
void simulator_shallow(int on) { state().shallow = on; }
const char *simulator_traced(void) { return state().trace.c_str(); }
const char *simulator_violations(void) { return state().violations.c_str(); }
/* "kind: number" lines of what is live, allocations among them. */
const char *simulator_live(void) {
    static std::string text;
    text.clear();
    if (!state().live.empty()) text += "allocations: " + std::to_string(state().live.size()) + "\n";
    std::lock_guard<std::mutex> guard(objects_mutex);
    for (auto &object : state().objects)
        if (object.second) text += object.first + ": " + std::to_string(object.second) + "\n";
    return text.c_str();
}
}
