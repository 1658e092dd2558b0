package corrupt

import (
	"math"
	"math/rand/v2"
)

// Geometry. Output pixel p = (x, y) is the input at A·(p − centre) + centre + t,
// between pixels by bilinear interpolation, the centre being ((W−1)/2, (H−1)/2).
// These are MNIST-C's, with its strengths; sides are drawn, each with chance ½.
//
//	rotate  A = [cos −sin; sin cos] of ±0.2, 0.4, 0.6, 0.8, 1 radians
//	shift   A = 1, t = (±d, ±d), d = 1, 2, 3, 4, 5 pixels
//	scale   A = 1/s, s = 0.9, 0.8, 0.7, 0.6, 0.5
//	shear   A = [1 −k; 0 1], k = ±0.2, 0.4, 0.6, 0.8, 1
//
// MNIST-C's shear is that of scikit-image before 0.19, which also stretches the
// image along y by 1/cos k; this one moves rows and nothing else.

// one is 1 in the fixed-point numbers of this file, 16 bits behind the point.
const one = 1 << 16

func fixed(x float64) int64 { return int64(math.Round(x * one)) }

// affine is the map from an output pixel to the place in the input.
type affine struct {
	xx, xy, yx, yy int64 // A, fixed-point
	x, y           int64 // t, in pixels, fixed-point
}

func newRotate(strength int, s size) damage {
	angle := float64(strength) / 5
	cos, sin := fixed(math.Cos(angle)), fixed(math.Sin(angle))
	return func(dst, src []uint8, r *rand.Rand) {
		sin := side(r) * sin
		affine{xx: cos, xy: -sin, yx: sin, yy: cos}.warp(dst, src, s)
	}
}

func newShift(strength int, s size) damage {
	distance := fixed(s.length(float64(strength)))
	return func(dst, src []uint8, r *rand.Rand) {
		affine{xx: one, yy: one, x: side(r) * distance, y: side(r) * distance}.warp(dst, src, s)
	}
}

func newScale(strength int, s size) damage {
	stretch := fixed(10 / float64(10-strength))
	return func(dst, src []uint8, _ *rand.Rand) {
		affine{xx: stretch, yy: stretch}.warp(dst, src, s)
	}
}

func newShear(strength int, s size) damage {
	slope := fixed(float64(strength) / 5)
	return func(dst, src []uint8, r *rand.Rand) {
		affine{xx: one, xy: -side(r) * slope, yy: one}.warp(dst, src, s)
	}
}

func (a affine) warp(dst, src []uint8, s size) {
	for y := range s.height {
		for x := range s.width {
			// Twice the distance from the centre is an integer.
			dx, dy := int64(2*x-s.width+1), int64(2*y-s.height+1)
			fromX := (a.xx*dx+a.xy*dy+int64(s.width-1)*one)/2 + a.x
			fromY := (a.yx*dx+a.yy*dy+int64(s.height-1)*one)/2 + a.y
			for c := range s.channels {
				plane := src[c*s.plane():][:s.plane()]
				dst[c*s.plane()+y*s.width+x] = uint8((sample(plane, s, fromX, fromY) + one/2) / one)
			}
		}
	}
}

// sample interpolates H×W bytes bilinearly at (x, y), in fixed-point pixels, and
// returns a fixed-point value of 0…255. Pixels outside are 0.
func sample(plane []uint8, s size, x, y int64) int64 {
	column, row := int(x>>16), int(y>>16) // rounded down
	right, below := x&(one-1), y&(one-1)
	at := func(row, column int) int64 {
		if row < 0 || row >= s.height || column < 0 || column >= s.width {
			return 0
		}
		return int64(plane[row*s.width+column])
	}
	upper := at(row, column)*(one-right) + at(row, column+1)*right
	lower := at(row+1, column)*(one-right) + at(row+1, column+1)*right
	return (upper*(one-below) + lower*below + one/2) / one
}
