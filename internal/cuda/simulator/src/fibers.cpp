#include "fibers.h"

#include <cstdint>
#include <cstdlib>
#include <memory>

/* Puts what a call has to keep (System V ABI, AMD64) on the stack, leaves its address, and goes on from another stack that was
 * left so. */
extern "C" void simulator_switch(void **leave, void *enter);
asm(".text\n"
    ".type simulator_switch, @function\n"
    "simulator_switch:\n"
    "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq %r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
    "    ret\n"
    ".size simulator_switch, . - simulator_switch\n");

namespace simulator {

enum { most_threads = 1024, stack_bytes = 64 << 10 };

struct Fiber {
    std::unique_ptr<char[]> stack;
    void *at = nullptr;
    bool returned = false;
};

static Fiber fibers[most_threads];
static void *scheduler;
static unsigned running;
static bool inside = false;
static const std::function<void(unsigned)> *body;

static void entry() {
    (*body)(running);
    fibers[running].returned = true;
    simulator_switch(&fibers[running].at, scheduler);
    abort(); /* nobody goes on from here */
}

static void prepare(Fiber &fiber) {
    if (!fiber.stack) fiber.stack.reset(new char[stack_bytes]);
    uintptr_t top = ((uintptr_t)fiber.stack.get() + stack_bytes) & ~(uintptr_t)15;
    void **words = (void **)top - 8; /* six registers, where to return to, and a word that keeps the stack aligned as in a call */
    for (int i = 0; i < 8; i++) words[i] = nullptr;
    words[6] = (void *)entry;
    fiber.at = words;
    fiber.returned = false;
}

bool run_block(const std::vector<unsigned> &order, const std::function<void(unsigned)> &begin, const std::function<void(unsigned)> &run) {
    if (order.size() > most_threads) return false;
    body = &run;
    inside = true;
    for (unsigned thread : order) prepare(fibers[thread]);
    bool even = true;
    for (size_t left = order.size(); left > 0;) {
        size_t before = left;
        for (unsigned thread : order) {
            if (fibers[thread].returned) continue;
            running = thread;
            begin(thread);
            simulator_switch(&scheduler, fibers[thread].at);
            left -= fibers[thread].returned;
        }
        even = even && (left == 0 || left == before);
    }
    inside = false;
    return even;
}

bool barrier() {
    if (!inside) return false;
    simulator_switch(&fibers[running].at, scheduler);
    return true;
}

} // namespace simulator
