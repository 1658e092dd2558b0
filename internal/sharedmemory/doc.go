// Package sharedmemory lets processes of one machine read each other's numbers where they lie,
// instead of sending them: memory that a segment is of is written by its owner alone, and read by
// whoever was told its address. When it may be read is for them to say, by messages.
//
// A segment is a file of Linux's that has no name (memfd_create), found by way of /proc by processes
// that see each other's numbers: those of one machine, or of one container. It is gone with the last
// process that has it mapped, however that ends, and takes nothing of /dev/shm, which containers
// have little of. Elsewhere there are none, and New says so.
package sharedmemory
