package corrupt

import (
	"math"
	"math/rand/v2"
)

// Noise. x is a byte of the image, each has a draw of its own.
//
// gaussian-noise: x + N(0, (255·σ)²), rounded and clipped to 0…255, with σ = 0.08,
// 0.12, 0.18, 0.26, 0.38. ImageNet-C's; MNIST-C leaves it out of its final choice.
//
// shot-noise: 255/c times a draw of the Poisson distribution of mean c·x/255,
// rounded and clipped, with c = 60, 25, 12, 5, 3: the noise of counting c photons
// where the image is white. Black stays black. ImageNet-C's and MNIST-C's.
//
// impulse-noise: with probability p the byte is replaced, by 0 or 255 with equal
// chance; p = 0.03, 0.06, 0.09, 0.17, 0.27. ImageNet-C's and MNIST-C's.

func newGaussianNoise(strength int, _ size) damage {
	sigma := [Strengths]float64{0.08, 0.12, 0.18, 0.26, 0.38}[strength-1]
	noise := normal(255 * sigma)
	return func(dst, src []uint8, r *rand.Rand) {
		for i, x := range src {
			dst[i] = clip(int(x) + noise.draw(r))
		}
	}
}

func newShotNoise(strength int, _ size) damage {
	photons := [Strengths]int{60, 25, 12, 5, 3}[strength-1]
	var counts [256]distribution
	for x := range counts {
		counts[x] = poisson(float64(photons*x) / 255)
	}
	return func(dst, src []uint8, r *rand.Rand) {
		for i, x := range src {
			dst[i] = clip((2*255*counts[x].draw(r) + photons) / (2 * photons))
		}
	}
}

func newImpulseNoise(strength int, _ size) damage {
	percent := [Strengths]uint64{3, 6, 9, 17, 27}[strength-1]
	return func(dst, src []uint8, r *rand.Rand) {
		for i, x := range src {
			value := r.Uint64()
			// Two independent halves: whether, and by what.
			if value>>32*100 < percent<<32 {
				x = uint8(255 * (value & 1))
			}
			dst[i] = x
		}
	}
}

func clip(x int) uint8 { return uint8(max(0, min(255, x))) }

// distribution is one of integers, as a table: an integer's chance to be drawn is
// a multiple of 2⁻³², so that no processor's last bit of a float64 shows.
type distribution struct {
	lowest int
	// cumulative[i] is 2³²·P(X ≤ lowest+i); the last is 2³².
	cumulative []uint64
}

const certain = 1 << 32

func (d *distribution) append(probability float64) {
	d.cumulative = append(d.cumulative, uint64(math.Round(certain*min(1, probability))))
}

// draw inverts the distribution function, by bisection.
func (d *distribution) draw(r *rand.Rand) int {
	u := r.Uint64() >> 32
	low, high := 0, len(d.cumulative)-1
	for low < high {
		if middle := (low + high) / 2; d.cumulative[middle] > u {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return d.lowest + low
}

// normal is that of N(0, σ²), rounded to integers. σ is over 0.
func normal(sigma float64) distribution {
	const furthest = 6.5 // beyond lie less than 2⁻³² of the draws
	limit := int(math.Ceil(furthest * sigma))
	d := distribution{lowest: -limit}
	for n := -limit; n < limit; n++ {
		d.append(math.Erfc(-(float64(n)+0.5)/(sigma*math.Sqrt2)) / 2)
	}
	d.append(1)
	return d
}

// poisson is that of the Poisson distribution, by the recurrence
// P(k) = P(k−1)·mean/k. The mean is 0 to some 100.
func poisson(mean float64) distribution {
	var d distribution
	probability := math.Exp(-mean)
	sum := probability
	for k := 1; sum < 1-1./(2*certain) && probability > 0; k++ {
		d.append(sum)
		probability *= mean / float64(k)
		sum += probability
	}
	d.append(1)
	return d
}
