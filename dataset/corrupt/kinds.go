package corrupt

import "math/rand/v2"

// kind is a corruption without its strength.
type kind struct {
	name        string
	description string
	// new returns what damages images of that size with that strength, 1 to
	// Strengths. What it returns has memory of its own: it is for one goroutine.
	new func(strength int, s size) damage
}

// damage writes the damaged image src to dst, both C×H×W. They do not overlap.
type damage func(dst, src []uint8, r *rand.Rand)

// size is that of an image.
type size struct{ channels, height, width int }

func (s size) total() int { return s.channels * s.plane() }

func (s size) plane() int { return s.height * s.width }

// shorter is the shorter side, on which lengths depend.
func (s size) shorter() int { return min(s.height, s.width) }

// reference is the side of the images that lengths are given for.
const reference = 28

// length converts pixels of a 28×28 image to pixels of one of size s.
func (s size) length(pixels float64) float64 {
	return pixels * float64(s.shorter()) / reference
}

func kinds() []kind {
	return []kind{
		{"gaussian-noise", "normal noise is added, σ = 0.08, 0.12, 0.18, 0.26, 0.38 of white",
			newGaussianNoise},
		{"shot-noise", "each pixel is a Poisson count, white being 60, 25, 12, 5, 3 on average",
			newShotNoise},
		{"impulse-noise", "3, 6, 9, 17, 27 % of the pixels are black or white", newImpulseNoise},
		{"gaussian-blur", "Gaussian blur, σ = 0.5, 1, 1.5, 2, 2.5 pixels", newGaussianBlur},
		{"motion-blur", "blur along a line of 3, 5, 7, 9, 11 pixels in a random direction",
			newMotionBlur},
		{"rotate", "rotation by 0.2, 0.4, 0.6, 0.8, 1 radians (11° to 57°) to a random side", newRotate},
		{"shift", "shift by 1, 2, 3, 4, 5 pixels along both axes, each to a random side", newShift},
		{"scale", "shrunk to 0.9, 0.8, 0.7, 0.6, 0.5 of the size", newScale},
		{"shear", "sheared along x by 0.2, 0.4, 0.6, 0.8, 1 pixels a row to a random side", newShear},
		{"brightness", "0.1, 0.2, 0.3, 0.4, 0.5 of white are added", newBrightness},
		{"contrast", "differences from the image's mean shrink to 0.4, 0.3, 0.2, 0.1, 0.05", newContrast},
		{"occlusion", "a black square of side 6, 8, 10, 12, 14 at a random place", newOcclusion},
		{"spatter", "grey spots cover more and more of the image", newSpatter},
		{"thicken", "strokes thickened by dilation, by up to 2.2 pixels on each side", newThicken},
		{"thin", "strokes thinned by erosion, by up to 1.4 pixels on each side", newThin},
	}
}
