package augment

import (
	"errors"
	"slices"
)

// Flip mirrors the image, left to right, with a probability. It is torchvision's
// RandomHorizontalFlip, and moves bytes.
type Flip struct {
	Probability float64 // 0…1, 0.5 if 0
}

// Name is "flip".
func (Flip) Name() string            { return "flip" }
func (o Flip) String() string        { return text(o) }
func (o Flip) settings() settings    { return &o }
func (o *Flip) operation() Operation { return *o }
func (o *Flip) fields() []field      { return []field{{"probability", &o.Probability, 0.5}} }
func (o Flip) check(Shape) error     { return checkProbability(o.Probability) }

func (o Flip) apply(c *canvas, d draws) {
	if d.block(0).happens(0, o.Probability) {
		c.mirror()
	}
}

func (c *canvas) mirror() {
	if c.from == nil {
		for row := range slices.Chunk(c.now, c.Width) {
			slices.Reverse(row)
		}
		return
	}
	to := c.other()
	for first := 0; first < len(to); first += c.Width {
		row, from := to[first:][:c.Width], c.now[first:][:c.Width]
		for x := range row {
			row[x] = from[len(from)-1-x]
		}
	}
	c.turn(to)
}

// VerticalFlip turns the image upside down, mirrored, with a probability. It is torchvision's
// RandomVerticalFlip, and moves bytes.
type VerticalFlip struct {
	Probability float64 // 0…1, 0.5 if 0
}

// Name is "vertical-flip".
func (VerticalFlip) Name() string            { return "vertical-flip" }
func (o VerticalFlip) String() string        { return text(o) }
func (o VerticalFlip) settings() settings    { return &o }
func (o *VerticalFlip) operation() Operation { return *o }
func (o VerticalFlip) check(Shape) error     { return checkProbability(o.Probability) }
func (o *VerticalFlip) fields() []field {
	return []field{{"probability", &o.Probability, 0.5}}
}

func (o VerticalFlip) apply(c *canvas, d draws) {
	if !d.block(0).happens(0, o.Probability) {
		return
	}
	c.planes(func(to, from []uint8) {
		for first, last := 0, len(from)-c.Width; last >= 0; first, last = first+c.Width, last-c.Width {
			copy(to[first:][:c.Width], from[last:])
		}
	})
}

func checkProbability(p float64) error {
	if !(p > 0 && p <= 1) {
		return errors.New("the probability is not above 0 and at most 1")
	}
	return nil
}
