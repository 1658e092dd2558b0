package augment

import (
	"errors"
	"fmt"
	"math"

	"slipway/dataset/picture"
)

// RandomResizedCrop takes a part of the picture, of a random share of its area and a random
// proportion, and makes it the image, resized once. It is torchvision's RandomResizedCrop (Szegedy
// et al., "Going Deeper with Convolutions", 2014, arXiv:1409.4842) on Pillow's images, to the byte
// for the same part. It stands first in a list, and is best given the picture in its own size, as
// Augmenter.ApplyOriginal is.
type RandomResizedCrop struct {
	// Scale is the part's share of the area, uniform; 0.08..1 if zero.
	Scale Range
	// Ratio is the part's width by its height, uniform in its logarithm; 3/4..4/3 if zero.
	Ratio Range
	// Filter is "bilinear", also if empty, or "bicubic".
	Filter string
}

// Name is "random-resized-crop".
func (RandomResizedCrop) Name() string            { return "random-resized-crop" }
func (o RandomResizedCrop) String() string        { return text(o) }
func (o RandomResizedCrop) settings() settings    { return &o }
func (o *RandomResizedCrop) operation() Operation { return *o }
func (o *RandomResizedCrop) fields() []field {
	return []field{
		{"scale", &o.Scale, Range{0.08, 1}},
		{"ratio", &o.Ratio, Range{3. / 4, 4. / 3}},
		{"filter", &o.Filter, picture.Bilinear.String()},
	}
}

func (o RandomResizedCrop) check(s Shape) error {
	switch {
	case s.Channels != 1 && s.Channels != 3:
		return wrongChannels(s)
	case o.Scale.From <= 0 || !o.Scale.ordered(0, 1):
		return fmt.Errorf("the scale %v is not a range above 0 and up to 1, the smaller number "+
			"first", o.Scale)
	}
	if err := checkRatio(o.Ratio); err != nil {
		return err
	}
	_, err := picture.ParseFilter(o.Filter)
	return err
}

func checkRatio(r Range) error {
	if r.From <= 0 || !r.ordered(0, 1000) || r.From < 0.001 {
		return fmt.Errorf("the ratio %v is not a range of 0.001..1000, the smaller number first", r)
	}
	return nil
}

func wrongChannels(s Shape) error {
	return fmt.Errorf("it is for grey images and colour, and these have %d channels; leave it out",
		s.Channels)
}

// apply crops from the image itself.
func (o RandomResizedCrop) apply(c *canvas, d draws) {
	to := c.other()
	c.source = picture.Image{Channels: c.Channels, Height: c.Height, Width: c.Width, Pixels: c.now}
	// The list is checked and the part is inside, so that nothing is left to fail.
	if err := o.make(c, to, &c.source, d); err == nil {
		c.turn(to)
	}
}

// make writes the image made of a picture.
func (o RandomResizedCrop) make(c *canvas, to []uint8, from *picture.Image, d draws) error {
	filter, err := picture.ParseFilter(o.Filter)
	if err != nil {
		return err
	}
	if from.Height < 1 || from.Width < 1 {
		return errors.New("it has no pixels")
	}
	part := o.part(d, from.Height, from.Width)
	c.result.Pixels = to[:len(to):len(to)]
	err = c.resize.ResizePart(&c.result, from, part, c.Height, c.Width, filter)
	c.result.Pixels = nil
	return err
}

// part draws what is taken of a picture. Try t has the words of block t: area, proportion, and the
// place from above and from the left. As torchvision's get_params, it tries ten times to draw a
// part that lies within, and then takes the largest one in the middle whose proportion is allowed.
func (o RandomResizedCrop) part(d draws, height, width int) picture.Part {
	from, to := math.Log(o.Ratio.From), math.Log(o.Ratio.To)
	for try := range uint32(10) {
		words := d.block(try)
		area := o.Scale.at(words.unit(0)) * float64(height) * float64(width)
		ratio := math.Exp(Range{from, to}.at(words.unit(1)))
		w := int(math.RoundToEven(math.Sqrt(area * ratio)))
		h := int(math.RoundToEven(math.Sqrt(area / ratio)))
		if w > 0 && w <= width && h > 0 && h <= height {
			top, left := words.below(2, height-h+1), words.below(3, width-w+1)
			return picture.Part{Left: left, Top: top, Height: h, Width: w}
		}
	}
	h, w := height, width
	switch ratio := float64(width) / float64(height); {
	case ratio < o.Ratio.From:
		h = min(max(int(math.RoundToEven(float64(w)/o.Ratio.From)), 1), height)
	case ratio > o.Ratio.To:
		w = min(max(int(math.RoundToEven(float64(h)*o.Ratio.To)), 1), width)
	}
	return picture.Part{Left: (width - w) / 2, Top: (height - h) / 2, Height: h, Width: w}
}
