//go:build !unix

package nonblock

// Flag is nothing where opening a pipe does not wait for its other end.
const Flag = 0
