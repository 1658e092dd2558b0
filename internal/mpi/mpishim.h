// What package mpi asks of the library. Functions return MPI's error codes, 0 for success.
#ifndef SLIPWAY_MPI_SHIM_H
#define SLIPWAY_MPI_SHIM_H

// Loads a library; returns 0, or writes the reason.
int slipway_mpi_load(const char *file, char *reason, int size);
// Names the loaded library's binary interface.
const char *slipway_mpi_abi(void);
// Writes the library's description, up to 8 KiB.
void slipway_mpi_version(char *text);

// Whether MPI was initialised.
int slipway_mpi_used(void);
int slipway_mpi_init(int *enough, int *rank, int *size);
// Begins an exchange with a peer; slipway_mpi_poll has to be called until it is done.
int slipway_mpi_start(void *to, int room, const void *from, int count, int peer);
// Looks for the exchange's end for about a millisecond. Once the other's message is there it writes how
// long that is. One of another length than there is room for is not received: the exchange is over.
int slipway_mpi_poll(int *done, int *got);
int slipway_mpi_barrier(void);
int slipway_mpi_finalize(void);
void slipway_mpi_abort(int code);
// Writes an error's description, up to 1 KiB.
void slipway_mpi_error(int code, char *text);

#endif
