package kernel

import "unsafe"

// functionLoops are a Set's loops over whole vectors for Functions; a Set has all or none, which
// leaves them to the Functions' own loops. Those with an exponential are computed in float64 by
// polynomials and rounded once, as the Functions are; the others round as these do.
type functionLoops struct {
	exponential, sigmoid, tanh, silu, gelu, geluTanh, hardSigmoid, hardSwish func(y, x *float32, n int)

	elu       func(y, x *float32, n int, alpha float64)
	leakyReLU func(y, x *float32, n int, slope float32)

	// from is what the Function's gradient is made of.
	sigmoidGradient, tanhGradient, siluGradient, geluGradient, geluTanhGradient,
	relu6Gradient, hardSigmoidGradient, hardSwishGradient func(dx, dy, from *float32, n int)

	eluGradient       func(dx, dy, y *float32, n int, alpha float32)
	leakyReLUGradient func(dx, dy, y *float32, n int, slope float32)
}

// vectorLoops are a Function's over whole vectors, by a Set that has loops for functions.
type vectorLoops struct {
	forward  func(s *Set, y, x *float32, n int)
	backward func(s *Set, dx, dy, from *float32, n int)
}

// haveVectors reports whether a Function is computed by the Set's vectors.
func (s *Set) haveVectors(f Function) bool {
	return f.vectors.forward != nil && s.functions.sigmoid != nil
}

// Apply computes y = f(x), of slices of one length; y may be x. It is computed by vectors where the
// Set has loops for it. Each result still depends on its own number alone: not on its place, nor on
// the length.
func (e Engine) Apply(f Function, y, x []float32) {
	if e.Set.haveVectors(f) {
		e.Set.functionSlice(f.vectors.forward, y, x[:len(y)])
		return
	}
	f.Forward(y, x)
}

// ApplyGradient computes dx = dy·f′ in the same way, see Function.Backward.
func (e Engine) ApplyGradient(f Function, dx, dy, from []float32) {
	if e.Set.haveVectors(f) {
		e.Set.slopeSlice(f.vectors.backward, dx, dy[:len(dx)], from[:len(dx)])
		return
	}
	f.Backward(dx, dy, from)
}

// A functionTail is where the last elements, less than a vector, are made a whole one. It is lent
// by the Set, since what is handed to a loop would be allocated by each call.
type functionTail struct{ to, of, gradient [widest]float32 }

// widest is the number of float32 in a vector of the widest Set.
const widest = 16

func (s *Set) tail() *functionTail {
	if t, ok := s.tails.Get().(*functionTail); ok {
		return t
	}
	return new(functionTail)
}

// functionSlice computes whole vectors, the rest as the start of one.
func (s *Set) functionSlice(loop func(s *Set, y, x *float32, n int), y, x []float32) {
	n := s.whole(len(y))
	if n > 0 {
		loop(s, unsafe.SliceData(y), unsafe.SliceData(x), n)
	}
	if n == len(y) {
		return
	}
	t := s.tail()
	copy(t.of[:], x[n:])
	loop(s, &t.to[0], &t.of[0], s.lanes)
	copy(y[n:], t.to[:])
	s.tails.Put(t)
}

// slopeSlice computes whole vectors, the rest as the start of one.
func (s *Set) slopeSlice(loop func(s *Set, dx, dy, from *float32, n int),
	dx, dy, from []float32) {
	n := s.whole(len(dx))
	if n > 0 {
		loop(s, unsafe.SliceData(dx), unsafe.SliceData(dy), unsafe.SliceData(from), n)
	}
	if n == len(dx) {
		return
	}
	t := s.tail()
	copy(t.gradient[:], dy[n:])
	copy(t.of[:], from[n:])
	loop(s, &t.to[0], &t.gradient[0], &t.of[0], s.lanes)
	copy(dx[n:], t.to[:])
	s.tails.Put(t)
}
