//go:build !unix

package provenance

// nonBlocking is nothing where opening a pipe does not wait for its other end.
const nonBlocking = 0
