package corrupt

import (
	"math"
	"math/rand/v2"
)

// Blur.
//
// gaussian-blur: convolution with exp(−r²/2σ²) up to r = 4σ, normalised, the
// image's edge pixels continuing outside; σ = 0.5, 1, 1.5, 2, 2.5 pixels. The
// formula is ImageNet-C's, as CIFAR-10-C has it, where strengths end at 1; of blurs
// MNIST-C has glass blur and motion blur.
//
// motion-blur: the mean of 2n+1 copies of the image, moved by −n/2, …, −½, 0, ½, …, n/2
// pixels in one of 64 directions, drawn; n = 3, 5, 7, 9, 11. ImageNet-C and
// MNIST-C weigh the copies by half a Gaussian (ImageMagick's motion blur), and draw
// directions within 45° of the horizontal; equal weights are a camera that moves
// steadily while the shutter is open, and it moves any way.

func newGaussianBlur(strength int, s size) damage {
	b := newBlur(s.length(float64(strength)/2), s)
	in, out := make([]int64, s.plane()), make([]int64, s.plane())
	return func(dst, src []uint8, _ *rand.Rand) {
		for c := range s.channels {
			begin := c * s.plane()
			for i := range in {
				in[i] = int64(src[begin+i])
			}
			b.apply(out, in)
			for i, v := range out {
				dst[begin+i] = uint8((v + one*one/2) / (one * one))
			}
		}
	}
}

// directions is the number of a motion blur's: the half turn has as many.
const directions = 64

func newMotionBlur(strength int, s size) damage {
	copies := s.length(float64(2*strength+1)) * 2
	n := int(math.Round(copies)) / 2
	return func(dst, src []uint8, r *rand.Rand) { motionBlur(dst, src, s, n, below(directions, r)) }
}

func motionBlur(dst, src []uint8, s size, n, direction int) {
	angle := math.Pi * float64(direction) / directions
	stepX, stepY := fixed(math.Cos(angle)/2), fixed(math.Sin(angle)/2)
	count := int64(2*n + 1)
	for c := range s.channels {
		plane := src[c*s.plane():][:s.plane()]
		for y := range s.height {
			for x := range s.width {
				var sum int64
				for k := -n; k <= n; k++ {
					sum += sample(plane, s, int64(x)*one+int64(k)*stepX, int64(y)*one+int64(k)*stepY)
				}
				dst[c*s.plane()+y*s.width+x] = uint8((sum + count*one/2) / (count * one))
			}
		}
	}
}

// blur is a Gaussian filter of H×W values, row by row and column by column.
type blur struct {
	s       size
	weights []int64 // of distance 0, 1, …; both sides together sum to one
	rows    []int64
}

func newBlur(sigma float64, s size) *blur {
	b := &blur{s: s, rows: make([]int64, s.plane())}
	radius := int(4*sigma + 0.5)
	sum := 1.
	for r := 1; r <= radius; r++ {
		sum += 2 * math.Exp(-float64(r*r)/(2*sigma*sigma))
	}
	rest := int64(one)
	b.weights = make([]int64, radius+1)
	for r := 1; r <= radius; r++ {
		b.weights[r] = fixed(math.Exp(-float64(r*r)/(2*sigma*sigma)) / sum)
		rest -= 2 * b.weights[r]
	}
	b.weights[0] = rest
	return b
}

// apply writes the filtered values, times one², to out. Values up to 2³⁰ are taken.
func (b *blur) apply(out, in []int64) {
	h, w := b.s.height, b.s.width
	for y := range h {
		row := in[y*w:][:w]
		for x := range row {
			sum := b.weights[0] * row[x]
			for r := 1; r < len(b.weights); r++ {
				sum += b.weights[r] * (row[max(x-r, 0)] + row[min(x+r, w-1)])
			}
			b.rows[y*w+x] = sum
		}
	}
	for y := range h {
		for x := range w {
			sum := b.weights[0] * b.rows[y*w+x]
			for r := 1; r < len(b.weights); r++ {
				sum += b.weights[r] * (b.rows[max(y-r, 0)*w+x] + b.rows[min(y+r, h-1)*w+x])
			}
			out[y*w+x] = sum
		}
	}
}
