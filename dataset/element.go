package dataset

import (
	"encoding/binary"
	"fmt"
	"math"
)

// element is a type of number as files store it. Its values are float64 exactly, but for
// integers beyond ±2⁵³, which are neither pixels nor labels.
type element struct {
	name string // as NumPy calls it
	size int    // in bytes
	at   func(b []byte) float64
	// float tells the floating-point types. Values that were pixels divided by 255
	// are pixels again to within slack, after multiplication.
	float bool
	slack float64
}

// Slack is four roundings of the type at 255: of the division or of the factor, of the
// product, of a step between, and of storing. Wider types are often float32 before.
const (
	slackFloat16 = 4 * 255.0 / (1 << 12)
	slackFloat32 = 4 * 255.0 / (1 << 24)
)

// elementOf is the type of NumPy's kind u, i or f and of that many bytes.
func elementOf(kind byte, size int, order binary.ByteOrder) (element, bool) {
	switch kind {
	case 'u':
		return unsigned(size, order)
	case 'i':
		return signed(size, order)
	case 'f':
		return floating(size, order)
	}
	return element{}, false
}

func unsigned(size int, order binary.ByteOrder) (element, bool) {
	of := element{name: fmt.Sprintf("uint%d", 8*size), size: size}
	switch size {
	case 1:
		of.at = func(b []byte) float64 { return float64(b[0]) }
	case 2:
		of.at = func(b []byte) float64 { return float64(order.Uint16(b)) }
	case 4:
		of.at = func(b []byte) float64 { return float64(order.Uint32(b)) }
	case 8:
		of.at = func(b []byte) float64 { return float64(order.Uint64(b)) }
	default:
		return element{}, false
	}
	return of, true
}

func signed(size int, order binary.ByteOrder) (element, bool) {
	of := element{name: fmt.Sprintf("int%d", 8*size), size: size}
	switch size {
	case 1:
		of.at = func(b []byte) float64 { return float64(int8(b[0])) }
	case 2:
		of.at = func(b []byte) float64 { return float64(int16(order.Uint16(b))) }
	case 4:
		of.at = func(b []byte) float64 { return float64(int32(order.Uint32(b))) }
	case 8:
		of.at = func(b []byte) float64 { return float64(int64(order.Uint64(b))) }
	default:
		return element{}, false
	}
	return of, true
}

func floating(size int, order binary.ByteOrder) (element, bool) {
	of := element{name: fmt.Sprintf("float%d", 8*size), size: size, float: true, slack: slackFloat32}
	switch size {
	case 2:
		of.slack = slackFloat16
		of.at = func(b []byte) float64 { return half(order.Uint16(b)) }
	case 4:
		of.at = func(b []byte) float64 { return float64(math.Float32frombits(order.Uint32(b))) }
	case 8:
		of.at = func(b []byte) float64 { return math.Float64frombits(order.Uint64(b)) }
	default:
		return element{}, false
	}
	return of, true
}

// half is the value of a float16, IEEE 754-2008's binary16: 1 bit of sign, 5 of exponent
// with a bias of 15, 10 of fraction.
func half(bits uint16) float64 {
	const fractions = 1 << 10
	exponent, fraction := int(bits>>10&31), float64(bits&(fractions-1))
	var value float64
	switch {
	case exponent == 31 && fraction != 0:
		return math.NaN()
	case exponent == 31:
		value = math.Inf(1)
	case exponent == 0: // subnormal
		value = math.Ldexp(fraction/fractions, -14)
	default:
		value = math.Ldexp(1+fraction/fractions, exponent-15)
	}
	if bits>>15 != 0 {
		return -value
	}
	return value
}
