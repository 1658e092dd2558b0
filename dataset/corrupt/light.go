package corrupt

import "math/rand/v2"

// Light. x is a byte of the image.
//
// brightness: x + 255·b, rounded and clipped, b = 0.1, 0.2, 0.3, 0.4, 0.5. Of grey
// images that is ImageNet-C's and MNIST-C's, which add b to the value of a colour
// (hue, saturation, value); here it is added to each channel.
//
// contrast: mean + c·(x − mean), rounded, c = 0.4, 0.3, 0.2, 0.1, 0.05, with the mean
// of the image's channel. ImageNet-C's; MNIST-C leaves it out of its final choice.

func newBrightness(strength int, _ size) damage {
	added := (255*strength + 5) / 10
	return func(dst, src []uint8, _ *rand.Rand) {
		for i, x := range src {
			dst[i] = clip(int(x) + added)
		}
	}
}

func newContrast(strength int, s size) damage {
	percent := [Strengths]int{40, 30, 20, 10, 5}[strength-1]
	return func(dst, src []uint8, _ *rand.Rand) {
		n := s.plane()
		for c := range s.channels {
			plane := src[c*n:][:n]
			sum := 0
			for _, x := range plane {
				sum += int(x)
			}
			for i, x := range plane {
				// The mean is sum/n; all is positive and an integer over 100·n.
				dst[c*n+i] = uint8((percent*int(x)*n + (100-percent)*sum + 50*n) / (100 * n))
			}
		}
	}
}
