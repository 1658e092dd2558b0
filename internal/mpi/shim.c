// Loads an MPI library when it is asked for; the program that links this needs none to build or to
// start. Bytes alone are moved, so that a few constants of each binary interface are all that has to
// be known. They are those of the MPI 5.0 standard's appendix A for its ABI, of Open MPI's and
// MPICH's public headers for theirs.
#define _GNU_SOURCE
#include "mpishim.h"

#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

// A pointer in Open MPI and in the standard ABI, an int in MPICH: one register in either case.
typedef void *handle;

static void *library;
static const char *abi = "";
static handle world, byte_type, errors_return;
static void *status_ignore;
static int serialized;  // the thread level's number
static int used, ready;  // whether MPI was initialised, and is not finalised

static struct {
    int (*Init_thread)(int *, char ***, int, int *);
    int (*Finalize)(void);
    int (*Comm_rank)(handle, int *);
    int (*Comm_size)(handle, int *);
    int (*Comm_set_errhandler)(handle, handle);
    int (*Isend)(const void *, int, handle, int, int, handle, void *);
    int (*Irecv)(void *, int, handle, int, int, handle, void *);
    int (*Test)(void *, int *, void *);
    int (*Iprobe)(int, int, handle, int *, void *);
    int (*Get_count)(const void *, handle, int *);
    int (*Barrier)(handle);
    int (*Abort)(handle, int);
    int (*Get_library_version)(char *, int *);
    int (*Error_string)(int, char *, int *);
} mpi;

static const struct {
    const char *name;
    void **slot;
} symbols[] = {
    {"MPI_Init_thread", (void **)&mpi.Init_thread},
    {"MPI_Finalize", (void **)&mpi.Finalize},
    {"MPI_Comm_rank", (void **)&mpi.Comm_rank},
    {"MPI_Comm_size", (void **)&mpi.Comm_size},
    {"MPI_Comm_set_errhandler", (void **)&mpi.Comm_set_errhandler},
    {"MPI_Isend", (void **)&mpi.Isend},
    {"MPI_Irecv", (void **)&mpi.Irecv},
    {"MPI_Test", (void **)&mpi.Test},
    {"MPI_Iprobe", (void **)&mpi.Iprobe},
    {"MPI_Get_count", (void **)&mpi.Get_count},
    {"MPI_Barrier", (void **)&mpi.Barrier},
    {"MPI_Abort", (void **)&mpi.Abort},
    {"MPI_Get_library_version", (void **)&mpi.Get_library_version},
    {"MPI_Error_string", (void **)&mpi.Error_string},
};

// standard reports whether the library is one of the standard ABI. MPICH's own library has the
// function, too, and says that it is not.
static int standard(void) {
    int major = -1, minor = -1;
    int (*version)(int *, int *);
    *(void **)&version = dlsym(library, "MPI_Abi_get_version");
    return version && version(&major, &minor) == 0 && major == 1;
}

static int take_open_mpi(char *reason, int size) {
    abi = "Open MPI";
    byte_type = dlsym(library, "ompi_mpi_byte");
    errors_return = dlsym(library, "ompi_mpi_errors_return");
    status_ignore = NULL;
    serialized = 2;
    if (byte_type && errors_return) return 0;
    snprintf(reason, size, "the library has Open MPI's world, and not its ompi_mpi_byte");
    return -1;
}

static void take_standard(void) {
    abi = "standard";
    world = (handle)0x101;
    byte_type = (handle)0x247;
    errors_return = (handle)0x143;
    status_ignore = NULL;
    serialized = 2048;
}

static void take_mpich(void) {
    abi = "MPICH";
    world = (handle)0x44000000L;
    byte_type = (handle)0x4c00010dL;
    errors_return = (handle)0x54000001L;
    status_ignore = (void *)1;
    serialized = 2;
}

int slipway_mpi_load(const char *file, char *reason, int size) {
    library = dlopen(file, RTLD_NOW | RTLD_GLOBAL);  // Open MPI's plugins look for its symbols globally
    if (!library) {
        snprintf(reason, size, "%s", dlerror());
        return -1;
    }
    for (unsigned i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        *symbols[i].slot = dlsym(library, symbols[i].name);
        if (!*symbols[i].slot) {
            snprintf(reason, size, "%s is no MPI library: it has no %s", file, symbols[i].name);
            return -1;
        }
    }
    world = dlsym(library, "ompi_mpi_comm_world");
    if (world) return take_open_mpi(reason, size);
    if (standard()) {
        take_standard();
    } else {
        take_mpich();
    }
    return 0;
}

const char *slipway_mpi_abi(void) { return abi; }

void slipway_mpi_version(char *text) {
    int length = 0;
    text[0] = 0;
    mpi.Get_library_version(text, &length);
}

// Signals that are the program's own: a library that handles them would take faults and interruptions
// from it, on stacks that are too small.
static const int own_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { own_count = sizeof own_signals / sizeof own_signals[0] };

int slipway_mpi_used(void) { return used; }

int slipway_mpi_init(int *enough, int *rank, int *size) {
    struct sigaction actions[own_count];
    for (int i = 0; i < own_count; i++) sigaction(own_signals[i], NULL, &actions[i]);
    int provided = 0;
    int rc = mpi.Init_thread(NULL, NULL, serialized, &provided);
    for (int i = 0; i < own_count; i++) sigaction(own_signals[i], &actions[i], NULL);
    if (rc) return rc;
    used = ready = 1;
    *enough = provided >= serialized;
    if ((rc = mpi.Comm_set_errhandler(world, errors_return))) return rc;
    if ((rc = mpi.Comm_rank(world, rank))) return rc;
    return mpi.Comm_size(world, size);
}

// The exchange under way. A request is a pointer, or an int in the first bytes.
static union {
    void *pointer;
    int number;
} receiving, sending;
static int found, received, sent;
static void *place;
static int expected, other;

// An empty message is sent, too: what the other does not expect would be taken for the next one.
int slipway_mpi_start(void *to, int room, const void *from, int count, int peer) {
    found = received = sent = 0;
    place = to;
    expected = room;
    other = peer;
    memset(&receiving, 0, sizeof receiving);
    memset(&sending, 0, sizeof sending);
    return mpi.Isend(from, count, byte_type, peer, 0, world, &sending);
}

// receive looks for the message, and begins to receive it. What is received without a look has to have
// room: of a message that is too long MPICH does not say how long it is.
static int receive(int *got) {
    union {  // a status is 20 to 32 bytes long
        int64_t aligned;
        char bytes[64];
    } status;
    int rc = mpi.Iprobe(other, 0, world, &found, &status);
    if (rc || !found) return rc;
    if ((rc = mpi.Get_count(&status, byte_type, got)) || *got != expected) return rc;
    return mpi.Irecv(place, expected, byte_type, other, 0, world, &receiving);
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int slipway_mpi_poll(int *done, int *got) {
    const int64_t end = now() + 1000000;
    for (int looks = 1;; looks++) {
        int rc;
        if (!found && (rc = receive(got))) return rc;
        if (found && *got != expected) return 0;
        if (found && !received && (rc = mpi.Test(&receiving, &received, status_ignore))) return rc;
        if (!sent && (rc = mpi.Test(&sending, &sent, status_ignore))) return rc;
        *done = received && sent;
        if (*done) return 0;
        if (looks % 64 == 0) {
            sched_yield();  // to a peer on the same core
            if (now() > end) return 0;
        }
    }
}

int slipway_mpi_barrier(void) { return mpi.Barrier(world); }

int slipway_mpi_finalize(void) {
    ready = 0;
    return mpi.Finalize();
}

void slipway_mpi_abort(int code) {
    if (ready) mpi.Abort(world, code);
}

void slipway_mpi_error(int code, char *text) {
    int length = 0;
    text[0] = 0;
    mpi.Error_string(code, text, &length);
}
