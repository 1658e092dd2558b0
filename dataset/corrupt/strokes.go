package corrupt

import "math/rand/v2"

// Thickness of strokes, white on black, by grey-scale morphology (Serra, "Image
// Analysis and Mathematical Morphology", 1982). Morpho-MNIST (Castro et al.,
// JMLR 20(178), 2019) changes the thickness by the digit's own and at four times
// the resolution; here it is by fixed discs.
//
// thicken: x + w·(the largest value within r pixels − x), (w, r²) = (½, 1), (1, 1), (1, 2),
// (1, 4), (1, 5).
//
// thin: x − w·(x − the smallest value within r pixels), (w, r²) = (¼, 1), (½, 1), (¾, 1),
// (1, 1), (1, 2): digits have strokes of two to four pixels, and a larger disc
// leaves nothing. Outside the image nothing counts.

func newThicken(strength int, s size) damage {
	p := [Strengths]struct{ quarters, square int }{{2, 1}, {4, 1}, {4, 2}, {4, 4}, {4, 5}}[strength-1]
	disc := newDisc(p.square, s)
	return func(dst, src []uint8, _ *rand.Rand) {
		disc.each(src, s, func(i int, _, largest uint8) { dst[i] = mix(src[i], largest, p.quarters) })
	}
}

func newThin(strength int, s size) damage {
	p := [Strengths]struct{ quarters, square int }{{1, 1}, {2, 1}, {3, 1}, {4, 1}, {4, 2}}[strength-1]
	disc := newDisc(p.square, s)
	return func(dst, src []uint8, _ *rand.Rand) {
		disc.each(src, s, func(i int, smallest, _ uint8) { dst[i] = mix(src[i], smallest, p.quarters) })
	}
}

// mix goes so many quarters of the way from a to b, and rounds.
func mix(a, b uint8, quarters int) uint8 {
	return uint8(((4-quarters)*int(a) + quarters*int(b) + 2) / 4)
}

// disc lists the pixels within a radius, as (x, y) from its centre.
type disc [][2]int

// newDisc makes a disc of radius² square, for images of 28 pixels.
func newDisc(square int, s size) disc {
	var d disc
	radius := 3 * s.shorter() / reference // r² is below 9
	for y := -radius; y <= radius; y++ {
		for x := -radius; x <= radius; x++ {
			if (x*x+y*y)*reference*reference <= square*s.shorter()*s.shorter() {
				d = append(d, [2]int{x, y})
			}
		}
	}
	return d
}

// each visits every byte of an image with the extremes of its disc.
func (d disc) each(src []uint8, s size, visit func(i int, smallest, largest uint8)) {
	for c := range s.channels {
		plane := src[c*s.plane():][:s.plane()]
		for y := range s.height {
			for x := range s.width {
				smallest, largest := uint8(255), uint8(0)
				for _, offset := range d {
					atX, atY := x+offset[0], y+offset[1]
					if atX < 0 || atX >= s.width || atY < 0 || atY >= s.height {
						continue
					}
					v := plane[atY*s.width+atX]
					smallest, largest = min(smallest, v), max(largest, v)
				}
				visit(c*s.plane()+y*s.width+x, smallest, largest)
			}
		}
	}
}
