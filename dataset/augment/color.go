package augment

import (
	"errors"
	"fmt"
)

// ColorJitter changes brightness, contrast, saturation and hue, each by a factor drawn uniformly,
// in an order drawn at random. It is torchvision's ColorJitter on Pillow's images, to the byte for
// the same factors and order. What is 0 stays.
type ColorJitter struct {
	Brightness float64 // a factor between max(0, 1 − Brightness) and 1 + Brightness
	Contrast   float64 // the same, about the mean luma
	Saturation float64 // the same, about each pixel's luma; for coloured images
	Hue        float64 // between −Hue and Hue turns, 0…0.5; for coloured images
}

// Name is "color-jitter".
func (ColorJitter) Name() string            { return "color-jitter" }
func (o ColorJitter) String() string        { return text(o) }
func (o ColorJitter) settings() settings    { return &o }
func (o *ColorJitter) operation() Operation { return *o }
func (o *ColorJitter) fields() []field {
	return []field{
		{"brightness", &o.Brightness, 0.},
		{"contrast", &o.Contrast, 0.},
		{"saturation", &o.Saturation, 0.},
		{"hue", &o.Hue, 0.},
	}
}

func (o ColorJitter) check(s Shape) error {
	const most = 100
	switch {
	case s.Channels != 1 && s.Channels != 3:
		return wrongChannels(s)
	case o == ColorJitter{}:
		return errors.New("it changes nothing; say by how much, as in " +
			"color-jitter=0.4:0.4:0.4:0.1 (brightness, contrast, saturation, hue)")
	case !(o.Hue >= 0 && o.Hue <= 0.5):
		return fmt.Errorf("a hue of up to %v turns is outside 0…0.5", o.Hue)
	case s.Channels == 1 && (o.Saturation != 0 || o.Hue != 0):
		return errors.New("grey images have neither saturation nor hue; leave these out")
	}
	for _, f := range o.settings().fields()[:3] {
		if v := *f.value.(*float64); !(v >= 0 && v <= most) {
			return fmt.Errorf("%s %v is outside 0…%d", f.name, v, most)
		}
	}
	return nil
}

// orders is how many orders of four changes there are.
const orders = 24

// permutation is one of the orders of 0, 1, 2, 3: the number's digits, whose places count 6, 2 and
// 1, say which of those left comes next.
func permutation(order int) [4]int {
	var out [4]int
	left := [4]int{0, 1, 2, 3}
	for n, count := range [4]int{6, 2, 1, 1} {
		pick := order / count
		order %= count
		out[n] = left[pick]
		copy(left[pick:], left[pick+1:])
	}
	return out
}

// apply takes the factors from block 0, and the order from block 1.
func (o ColorJitter) apply(c *canvas, d draws) {
	w := d.block(0)
	factor := func(i int, by float64) float64 { return Range{max(0, 1-by), 1 + by}.at(w.unit(i)) }
	for _, change := range permutation(d.block(1).below(0, orders)) {
		switch {
		case change == 0 && o.Brightness != 0:
			c.brightness(factor(0, o.Brightness))
		case change == 1 && o.Contrast != 0:
			c.contrast(factor(1, o.Contrast))
		case change == 2 && o.Saturation != 0:
			c.saturation(factor(2, o.Saturation))
		case change == 3 && o.Hue != 0:
			c.hue(Range{-o.Hue, o.Hue}.at(w.unit(3)))
		}
	}
}

// Grayscale makes a coloured image grey in all its channels, with a probability. It is
// torchvision's RandomGrayscale on Pillow's images.
type Grayscale struct {
	Probability float64 // 0…1, 0.1 if 0
}

// Name is "grayscale".
func (Grayscale) Name() string            { return "grayscale" }
func (o Grayscale) String() string        { return text(o) }
func (o Grayscale) settings() settings    { return &o }
func (o *Grayscale) operation() Operation { return *o }
func (o *Grayscale) fields() []field      { return []field{{"probability", &o.Probability, 0.1}} }

func (o Grayscale) check(s Shape) error {
	if s.Channels != 3 {
		return fmt.Errorf("it is for coloured images, and these have %d channels; leave it out",
			s.Channels)
	}
	return checkProbability(o.Probability)
}

func (o Grayscale) apply(c *canvas, d draws) {
	if d.block(0).happens(0, o.Probability) {
		c.grey()
	}
}
