//go:build !unix

package onnx

// nonBlocking is nothing where opening a pipe does not wait for its other end.
const nonBlocking = 0
