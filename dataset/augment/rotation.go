package augment

import (
	"fmt"
	"math"
)

// Rotation turns the image about its centre by an angle between −Degrees and Degrees, each as
// likely. Pixels are interpolated bilinearly between those of the image and 0 around it, and
// rounded to the nearest byte: torchvision's functional.rotate of tensors, BILINEAR and without a
// fill. Affine turns as Pillow does, which cuts fractions off and repeats the outermost pixels.
type Rotation struct {
	Degrees float64 // at most 180
}

// Name is "rotation".
func (Rotation) Name() string            { return "rotation" }
func (o Rotation) String() string        { return text(o) }
func (o Rotation) settings() settings    { return &o }
func (o *Rotation) operation() Operation { return *o }
func (o *Rotation) fields() []field      { return []field{{"degrees", &o.Degrees, 0.}} }

func (o Rotation) check(Shape) error {
	if !(o.Degrees >= 0 && o.Degrees <= 180) {
		return fmt.Errorf("a rotation by up to %v degrees is outside 0…180", o.Degrees)
	}
	return nil
}

func (o Rotation) apply(c *canvas, d draws) {
	c.rotate(o.Degrees * (2*d.block(0).unit(2) - 1))
}

// rotate turns the image counter-clockwise about its centre: each pixel is looked up, bilinearly,
// at the place that the rotation brings it from. The expressions are as they always were, so that
// runs of before can go on: their bits are pinned.
func (c *canvas) rotate(degrees float64) {
	height, width, plane := c.Height, c.Width, c.plane()
	sine, cosine := math.Sincos(degrees * math.Pi / 180)
	centreX, centreY := float64(width-1)/2, float64(height-1)/2
	to, from := c.other(), c.now
	at := func(first, x, y int) float64 {
		if x < 0 || x >= width || y < 0 || y >= height {
			return 0
		}
		return float64(from[first+y*width+x])
	}
	for y := range height {
		for x := range width {
			dx, dy := float64(x)-centreX, float64(y)-centreY
			// y points down: counter-clockwise to the eye is a negative angle here.
			fromX, fromY := cosine*dx-sine*dy+centreX, sine*dx+cosine*dy+centreY
			left, top := math.Floor(fromX), math.Floor(fromY)
			u, v := fromX-left, fromY-top
			i, j := int(left), int(top)
			if i < -1 || i >= width || j < -1 || j >= height {
				for k := y*width + x; k < len(to); k += plane {
					to[k] = 0
				}
				continue
			}
			inside := i >= 0 && i+1 < width && j >= 0 && j+1 < height
			upper := j*width + i
			for first := 0; first < len(to); first += plane {
				var a, b, e, f float64 // the four around, the upper two first
				if inside {
					a, b = float64(from[upper]), float64(from[upper+1])
					e, f = float64(from[upper+width]), float64(from[upper+width+1])
				} else {
					a, b = at(first, i, j), at(first, i+1, j)
					e, f = at(first, i, j+1), at(first, i+1, j+1)
				}
				value := (1-v)*((1-u)*a+u*b) + v*((1-u)*e+u*f)
				to[first+y*width+x] = uint8(int(value + 0.5))
				upper += plane
			}
		}
	}
	c.turn(to)
}
