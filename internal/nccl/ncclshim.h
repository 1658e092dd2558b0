// What package nccl asks of the library. Functions return NCCL's error codes, 0 for success.
#ifndef SLIPWAY_NCCL_SHIM_H
#define SLIPWAY_NCCL_SHIM_H

#include <stddef.h>
#include <stdint.h>

// NCCL_UNIQUE_ID_BYTES.
enum { SLIPWAY_NCCL_ID = 128 };

// ncclDataType_t, those that are sent.
enum { SLIPWAY_NCCL_UINT8 = 1, SLIPWAY_NCCL_FLOAT32 = 7 };

// What goes to a peer, and where to goes what comes from it, which is as much: addresses of the device, which are no pointers here.
struct slipway_nccl_message {
    int peer, type;
    uintptr_t send, receive;
    size_t count;
};

// Loads a library; returns 0, or writes the reason. A file is written that the library is of.
int slipway_nccl_load(const char *file, char *reason, int size, char *path, int path_size);
int slipway_nccl_version(int *version);
int slipway_nccl_id(char id[SLIPWAY_NCCL_ID]);
int slipway_nccl_join(void **comm, const char id[SLIPWAY_NCCL_ID], int rank, int size);
// Puts all messages into the stream as one group: they are under way at the same time.
int slipway_nccl_exchange(void *comm, void *stream, const struct slipway_nccl_message *messages, int count);
int slipway_nccl_async_error(void *comm, int *error);
int slipway_nccl_abort(void *comm);
int slipway_nccl_destroy(void *comm);
const char *slipway_nccl_error(int code);
// What the library says of its last error, "" if nothing.
const char *slipway_nccl_last_error(void);

#endif
