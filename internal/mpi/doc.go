// Package mpi joins processes by an MPI library, which is loaded when it is first asked for: Open
// MPI's, MPICH's or one of its ABI (Intel MPI, MVAPICH, Cray MPICH), or one of the standard ABI of
// MPI 5. Nothing of MPI is needed to build a program or to start it. Two processes at a time
// exchange bytes, and nothing is added up: no sum depends on the library.
//
// A launcher starts the processes: mpirun, mpiexec, or srun. Launched says whether one has.
package mpi
