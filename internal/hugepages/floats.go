package hugepages

import "unsafe"

// least is how much memory is worth asking: four pages, of which the first and the last may be in
// part another's.
const least = 8 << 20

// Floats returns n zeros, at best in huge pages.
func Floats(n int) []float32 {
	values := make([]float32, n)
	if 4*n >= least {
		advise(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), 4*n))
	}
	return values
}

// Bytes returns n zeros, at best in huge pages.
func Bytes(n int) []byte {
	values := make([]byte, n)
	if n >= least {
		advise(values)
	}
	return values
}
