package corrupt

import (
	"math"
	"math/rand/v2"
)

// Obstacles.
//
// occlusion: a black square whose side is 6, 8, 10, 12, 14 pixels, anywhere inside the
// image with equal chance. DeVries and Taylor, "Improved Regularization of
// Convolutional Neural Networks with Cutout" (2017, arXiv:1708.04552); there
// the square may also lie half outside.
//
// spatter: normal noise N(0.65, 0.3²) at each pixel, blurred by a Gaussian of σ₁; where
// it is over t there is mud. The mud is blurred by σ₂ to m of 0…1, and m < 0.8 is none;
// the pixel is (1 − m)·x + m·63. With (σ₁, t, σ₂) = (4, 0.69, 0.6), (3, 0.68, 0.6), (2, 0.68,
// 0.5), (2, 0.665, 0.5), (2, 0.65, 0.5). The formula is MNIST-C's; so are the first
// three strengths, by ImageNet-C's table. The last two are not: theirs smooth
// more, and cover less of the image than the third. All channels get the same.

func newOcclusion(strength int, s size) damage {
	side := max(1, int(math.Round(s.length(float64(4+2*strength)))))
	return func(dst, src []uint8, r *rand.Rand) {
		copy(dst, src)
		left, top := below(s.width-side+1, r), below(s.height-side+1, r)
		for c := range s.channels {
			for y := top; y < top+side; y++ {
				clear(dst[c*s.plane()+y*s.width+left:][:side])
			}
		}
	}
}

func newSpatter(strength int, s size) damage {
	p := [Strengths]struct{ sigma, threshold, smoothing float64 }{
		{4, 0.69, 0.6}, {3, 0.68, 0.6}, {2, 0.68, 0.5}, {2, 0.665, 0.5}, {2, 0.65, 0.5},
	}[strength-1]
	const (
		steps  = 1 << 10 // of a standard deviation of the noise
		mud    = 63
		least  = one * 4 / 5
		square = one * one
	)
	noise := normal(steps)
	threshold := int64(math.Round((p.threshold - 0.65) / 0.3 * steps * square))
	liquid, smooth := newBlur(s.length(p.sigma), s), newBlur(s.length(p.smoothing), s)
	field, blurred := make([]int64, s.plane()), make([]int64, s.plane())
	return func(dst, src []uint8, r *rand.Rand) {
		for i := range field {
			field[i] = int64(noise.draw(r))
		}
		liquid.apply(blurred, field)
		for i, v := range blurred {
			field[i] = 0
			if v > threshold {
				field[i] = 1
			}
		}
		smooth.apply(blurred, field)
		for i, v := range blurred {
			m := v / one
			if m < least {
				m = 0
			}
			for c := range s.channels {
				at := c*s.plane() + i
				dst[at] = uint8((int64(src[at])*(one-m) + mud*m + one/2) / one)
			}
		}
	}
}
