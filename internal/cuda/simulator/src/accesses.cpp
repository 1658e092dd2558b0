/* Counts a kernel's accesses to memory: the functions that code compiled with -fsanitize=thread calls before each. */
#include "accesses.h"

#include <algorithm>
#include <cstdint>
#include <dlfcn.h>
#include <unordered_map>
#include <vector>

#include "simulator.h"

/* The linker knows where the section of shared memory begins and ends, if there is one. */
extern "C" char __start_shared_memory[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_shared_memory[] __attribute__((weak, visibility("hidden")));

namespace simulator {

enum { SECTOR = 32, LINE = 128, THREADS = 1024 };

struct Region {
    size_t begin, end;
    std::vector<bool> sectors[2]; /* read, written */
};

/* A place in the code that reads or writes. */
struct Site {
    bool writes, shared;
    long all = 0, most = 0, lines = 0;
    std::vector<long> by_thread = std::vector<long>(THREADS);
    std::vector<size_t> line_of_thread = std::vector<size_t>(THREADS);
};

static bool counting;
static std::vector<Region> regions; /* live allocations, by address */
static Region *last_region;
static std::unordered_map<size_t, Site> sites; /* by the address that the call returns to */
static size_t block;
static unsigned threads; /* of the block, so far */

static Region *region_of(size_t address) {
    if (last_region && address >= last_region->begin && address < last_region->end) return last_region;
    auto after = std::upper_bound(regions.begin(), regions.end(), address, [](size_t a, const Region &r) { return a < r.begin; });
    if (after == regions.begin() || address >= std::prev(after)->end) return nullptr;
    return last_region = &*std::prev(after);
}

/* The threads of another block begin to count at 0. */
static void end_block() {
    for (auto &[place, site] : sites)
        for (unsigned t = 0; t < threads; t++) {
            site.most = std::max(site.most, site.by_thread[t]);
            site.by_thread[t] = 0;
            site.line_of_thread[t] = 0;
        }
    threads = 0;
}

static void count(const void *pointer, size_t bytes, bool writes, size_t place) {
    size_t address = (size_t)pointer;
    bool shared = pointer >= __start_shared_memory && pointer < __stop_shared_memory;
    Region *region = shared ? nullptr : region_of(address);
    if (!shared && !region) return; /* the simulator's own */
    if (block != block_of_the_grid()) {
        end_block();
        block = block_of_the_grid();
    }
    Site &site = sites[place];
    site.writes = writes, site.shared = shared;
    unsigned thread = thread_of_the_block();
    threads = std::max(threads, thread + 1);
    site.all++, site.by_thread[thread]++;
    if (size_t line = address / LINE; site.line_of_thread[thread] != line) site.lines++, site.line_of_thread[thread] = line;
    if (region)
        for (size_t s = (address - region->begin) / SECTOR; s <= (address + bytes - 1 - region->begin) / SECTOR; s++)
            region->sectors[writes][s] = true;
}

void begin_accesses() {
    if (!state().tracing) return;
    regions.clear(), sites.clear(), last_region = nullptr, block = SIZE_MAX, threads = 0;
    for (auto &[address, allocation] : state().live) {
        std::vector<bool> none((allocation.bytes + SECTOR - 1) / SECTOR);
        regions.push_back({(size_t)address, (size_t)address + allocation.bytes, {none, none}});
    }
    counting = true;
}

void end_accesses() {
    if (!counting) return;
    counting = false;
    end_block();
    for (Region &region : regions)
        for (int w = 0; w < 2; w++)
            if (long sectors = std::count(region.sectors[w].begin(), region.sectors[w].end(), true))
                note("bytes %c %zx %zu", w ? 'w' : 'r', region.begin, std::min(sectors * (size_t)SECTOR, region.end - region.begin));
    for (auto &[place, site] : sites) {
        Dl_info library;
        if (!dladdr((void *)place, &library)) continue;
        /* The call is the instruction before. */
        note("access %c %c %zx %ld %ld %ld", site.writes ? 'w' : 'r', site.shared ? 's' : 'd', place - 1 - (size_t)library.dli_fbase,
             site.all, site.most, site.lines);
    }
}

} // namespace simulator

#define ACCESSES(bytes)                                                                                                         \
    void __tsan_read##bytes(void *at) { if (simulator::counting) simulator::count(at, bytes, false, (size_t)__builtin_return_address(0)); } \
    void __tsan_write##bytes(void *at) { if (simulator::counting) simulator::count(at, bytes, true, (size_t)__builtin_return_address(0)); } \
    void __tsan_unaligned_read##bytes(void *at) { if (simulator::counting) simulator::count(at, bytes, false, (size_t)__builtin_return_address(0)); } \
    void __tsan_unaligned_write##bytes(void *at) { if (simulator::counting) simulator::count(at, bytes, true, (size_t)__builtin_return_address(0)); }

extern "C" {
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)
void __tsan_read_range(void *at, size_t bytes) {
    if (simulator::counting && bytes) simulator::count(at, bytes, false, (size_t)__builtin_return_address(0));
}
void __tsan_write_range(void *at, size_t bytes) {
    if (simulator::counting && bytes) simulator::count(at, bytes, true, (size_t)__builtin_return_address(0));
}
void __tsan_init(void) {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit(void) {}
void __tsan_vptr_update(void **, void *) {}
void __tsan_vptr_read(void **) {}
int __tsan_atomic8_load(const volatile char *at, int) { return __atomic_load_n(at, __ATOMIC_SEQ_CST); }
}
