//go:build gpu && linux && amd64

// Loads NCCL when it is asked for; the program that links this needs none to build or to start. The types are those of nccl.h, from
// release 2.13 on, whose binary interface has been the same within major version 2.
#define _GNU_SOURCE
#include "ncclshim.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

// ncclUniqueId. It is passed by value: more than 16 bytes lie on the stack.
struct unique_id {
    char internal[SLIPWAY_NCCL_ID];
};

static void *library;

static struct {
    int (*GetVersion)(int *);
    int (*GetUniqueId)(struct unique_id *);
    int (*CommInitRank)(void **, int, struct unique_id, int);
    int (*CommGetAsyncError)(void *, int *);
    int (*CommAbort)(void *);
    int (*CommDestroy)(void *);
    int (*GroupStart)(void);
    int (*GroupEnd)(void);
    int (*Send)(const void *, size_t, int, int, void *, void *);
    int (*Recv)(void *, size_t, int, int, void *, void *);
    const char *(*GetErrorString)(int);
    const char *(*GetLastError)(void *);
} nccl;

static const struct {
    const char *name;
    void **slot;
} symbols[] = {
    {"ncclGetVersion", (void **)&nccl.GetVersion},
    {"ncclGetUniqueId", (void **)&nccl.GetUniqueId},
    {"ncclCommInitRank", (void **)&nccl.CommInitRank},
    {"ncclCommGetAsyncError", (void **)&nccl.CommGetAsyncError},
    {"ncclCommAbort", (void **)&nccl.CommAbort},
    {"ncclCommDestroy", (void **)&nccl.CommDestroy},
    {"ncclGroupStart", (void **)&nccl.GroupStart},
    {"ncclGroupEnd", (void **)&nccl.GroupEnd},
    {"ncclSend", (void **)&nccl.Send},
    {"ncclRecv", (void **)&nccl.Recv},
    {"ncclGetErrorString", (void **)&nccl.GetErrorString},
    {"ncclGetLastError", (void **)&nccl.GetLastError},
};

int slipway_nccl_load(const char *file, char *reason, int size, char *path, int path_size) {
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(reason, size, "%s", dlerror());
        return -1;
    }
    for (unsigned i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        *symbols[i].slot = dlsym(handle, symbols[i].name);
        if (!*symbols[i].slot) {
            snprintf(reason, size, "%s is no NCCL of 2.13 or newer: it has no %s", file, symbols[i].name);
            return -1;
        }
    }
    library = handle;
    struct link_map *map = 0;
    const char *from = dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map && map->l_name[0] ? map->l_name : file;
    snprintf(path, path_size, "%s", from);
    return 0;
}

int slipway_nccl_version(int *version) { return nccl.GetVersion(version); }

int slipway_nccl_id(char id[SLIPWAY_NCCL_ID]) {
    struct unique_id made;
    memset(&made, 0, sizeof made);
    int result = nccl.GetUniqueId(&made);
    memcpy(id, made.internal, sizeof made.internal);
    return result;
}

int slipway_nccl_join(void **comm, const char id[SLIPWAY_NCCL_ID], int rank, int size) {
    struct unique_id given;
    memcpy(given.internal, id, sizeof given.internal);
    return nccl.CommInitRank(comm, size, given, rank);
}

int slipway_nccl_exchange(void *comm, void *stream, const struct slipway_nccl_message *messages, int count) {
    int result = nccl.GroupStart();
    if (result) return result;
    for (int i = 0; i < count && !result; i++) {
        const struct slipway_nccl_message *m = messages + i;
        result = nccl.Send((const void *)m->send, m->count, m->type, m->peer, comm, stream);
        if (!result) result = nccl.Recv((void *)m->receive, m->count, m->type, m->peer, comm, stream);
    }
    int ended = nccl.GroupEnd();  // also of a group that failed: else all that follows would belong to it
    return result ? result : ended;
}

int slipway_nccl_async_error(void *comm, int *error) { return nccl.CommGetAsyncError(comm, error); }
int slipway_nccl_abort(void *comm) { return nccl.CommAbort(comm); }
int slipway_nccl_destroy(void *comm) { return nccl.CommDestroy(comm); }
const char *slipway_nccl_error(int code) { return nccl.GetErrorString(code); }

const char *slipway_nccl_last_error(void) {
    const char *text = nccl.GetLastError(0);  // the argument is not used, by its documentation
    return text ? text : "";
}
