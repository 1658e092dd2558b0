// Package kernel is the arithmetic of the native CPU engine: plans for convolution, dense layers,
// pooling, cross-entropy and elementwise passes, forward and backward, on float32 tensors with
// channels last.
//
// A plan is made once for a shape, by an Engine: a Set of loops (AVX-512, AVX2 with FMA, or
// portable Go; see Select) and a Pool of threads. It owns its scratch memory; after the first call
// its methods allocate nothing. Results have the same bits on any number of threads: work is cut so
// that each sum is taken by one thread, in one order.
//
// docs/native-engine.md explains the technique and says what it reaches.
package kernel
