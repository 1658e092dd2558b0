package augment

import (
	"fmt"
	"math"
)

// Cutout makes a square black whose centre is any of the image's pixels, each as likely; what of it
// lies outside is lost, so that less is cut out near an edge. It is DeVries and Taylor's, "Improved
// Regularization of Convolutional Neural Networks with Cutout", 2017, arXiv:1708.04552, whose
// authors fill with the mean; here it is 0 before pixels are normalised. The square covers the
// rows from y − ⌊Size/2⌋ on, and the columns likewise.
type Cutout struct {
	Size int // of the square's side in pixels, 16 if 0
}

// Name is "cutout".
func (Cutout) Name() string            { return "cutout" }
func (o Cutout) String() string        { return text(o) }
func (o Cutout) settings() settings    { return &o }
func (o *Cutout) operation() Operation { return *o }
func (o *Cutout) fields() []field      { return []field{{"size", &o.Size, 16}} }

func (o Cutout) check(s Shape) error {
	if most := 2 * max(s.Height, s.Width); o.Size < 1 || o.Size > most {
		return fmt.Errorf("a square of %d pixels; for images of %d×%d it is 1 to %d", o.Size,
			s.Height, s.Width, most)
	}
	return nil
}

func (o Cutout) apply(c *canvas, d draws) {
	w := d.block(0)
	top, left := w.below(0, c.Height)-o.Size/2, w.below(1, c.Width)-o.Size/2
	c.erase(top, left, o.Size, o.Size)
}

// erase makes the part of a rectangle that lies in the image black.
func (c *canvas) erase(top, left, height, width int) {
	image := c.own()
	right, bottom := min(left+width, c.Width), min(top+height, c.Height)
	top, left = max(top, 0), max(left, 0)
	for first := 0; first < len(image); first += c.plane() {
		for y := top; y < bottom; y++ {
			clear(image[first+y*c.Width+left : first+y*c.Width+right])
		}
	}
}

// RandomErasing makes a rectangle of a random share of the area and a random proportion black, with
// a probability. It is torchvision's RandomErasing with value 0 (Zhong et al., "Random Erasing Data
// Augmentation", 2017, arXiv:1708.04896). There it stands after the normalisation and 0 is the
// mean; here 0 is black. Where ten draws give no rectangle smaller than the image in both
// directions, the image stays.
type RandomErasing struct {
	Probability float64 // 0…1, 0.5 if 0
	Scale       Range   // share of the area, uniform; 0.02..0.33 if zero
	Ratio       Range   // height by width, uniform in its logarithm; 0.3..3.3 if zero
}

// Name is "random-erasing".
func (RandomErasing) Name() string            { return "random-erasing" }
func (o RandomErasing) String() string        { return text(o) }
func (o RandomErasing) settings() settings    { return &o }
func (o *RandomErasing) operation() Operation { return *o }
func (o *RandomErasing) fields() []field {
	return []field{
		{"probability", &o.Probability, 0.5},
		{"scale", &o.Scale, Range{0.02, 0.33}},
		{"ratio", &o.Ratio, Range{0.3, 3.3}},
	}
}

func (o RandomErasing) check(Shape) error {
	if err := checkProbability(o.Probability); err != nil {
		return err
	}
	if !o.Scale.ordered(0, 1) {
		return fmt.Errorf("the scale %v is not a range of 0..1, the smaller number first", o.Scale)
	}
	return checkRatio(o.Ratio)
}

func (o RandomErasing) apply(c *canvas, d draws) {
	if !d.block(0).happens(0, o.Probability) {
		return
	}
	if top, left, height, width, ok := o.rectangle(d, c.Height, c.Width); ok {
		c.erase(top, left, height, width)
	}
}

// rectangle draws try t from block t+1: area, proportion, and the place from above and the left.
func (o RandomErasing) rectangle(d draws, height, width int) (top, left, h, w int, ok bool) {
	from, to := math.Log(o.Ratio.From), math.Log(o.Ratio.To)
	for try := range uint32(10) {
		words := d.block(try + 1)
		area := o.Scale.at(words.unit(0)) * float64(height) * float64(width)
		ratio := math.Exp(Range{from, to}.at(words.unit(1)))
		h = int(math.RoundToEven(math.Sqrt(area * ratio)))
		w = int(math.RoundToEven(math.Sqrt(area / ratio)))
		if h < height && w < width {
			return words.below(2, height-h+1), words.below(3, width-w+1), h, w, true
		}
	}
	return 0, 0, 0, 0, false
}
