package augment

import (
	"fmt"
	"math"
)

// RandAugment applies operations drawn from fourteen, each as likely, at one magnitude. It is
// torchvision's RandAugment on Pillow's images, with its table and nearest
// neighbours (Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced
// search space", 2019, arXiv:1909.13719). Grey images have no colour to change: that draw does
// nothing.
type RandAugment struct {
	Operations int // how many one after the other; 2 if 0
	Magnitude  int // 1…Bins−1, 9 if 0
	Bins       int // how many magnitudes there are from none to the strongest; 31 if 0
}

// Name is "rand-augment".
func (RandAugment) Name() string            { return "rand-augment" }
func (o RandAugment) String() string        { return text(o) }
func (o RandAugment) settings() settings    { return &o }
func (o *RandAugment) operation() Operation { return *o }
func (o *RandAugment) fields() []field {
	return []field{
		{"operations", &o.Operations, 2},
		{"magnitude", &o.Magnitude, 9},
		{"bins", &o.Bins, bins},
	}
}

func (o RandAugment) check(s Shape) error {
	switch {
	case s.Channels != 1 && s.Channels != 3:
		return wrongChannels(s)
	case o.Operations < 1 || o.Operations > 100:
		return fmt.Errorf("%d operations; it is 1 to 100", o.Operations)
	case o.Magnitude < 1 || o.Magnitude >= o.Bins:
		return fmt.Errorf("a magnitude of %d; it is 1 to %d", o.Magnitude, o.Bins-1)
	}
	return checkBins(o.Bins)
}

// bins is how many magnitudes there are where nothing is said.
const bins = 31

func checkBins(n int) error {
	if n < 2 || n > 1000 {
		return fmt.Errorf("%d bins of magnitudes; it is 2 to 1000", n)
	}
	return nil
}

// apply draws from block k for operation k: which, and its sign.
func (o RandAugment) apply(c *canvas, d draws) {
	for k := range uint32(o.Operations) {
		w := d.block(k)
		change := change(w.below(0, int(changes)))
		change.apply(c, change.moderate(o.Magnitude, o.Bins, c.Height, c.Width), w.below(1, 2) == 1)
	}
}

// TrivialAugment applies one operation drawn from fourteen at one of its magnitudes, each as
// likely, which go further than RandAugment's. It is torchvision's TrivialAugmentWide on Pillow's
// images, with its table and nearest neighbours (Müller and Hutter, "TrivialAugment: Tuning-free
// Yet State-of-the-Art Data Augmentation", 2021, arXiv:2103.10158).
type TrivialAugment struct {
	Bins int // how many magnitudes there are from none to the strongest; 31 if 0
}

// Name is "trivial-augment".
func (TrivialAugment) Name() string            { return "trivial-augment" }
func (o TrivialAugment) String() string        { return text(o) }
func (o TrivialAugment) settings() settings    { return &o }
func (o *TrivialAugment) operation() Operation { return *o }
func (o *TrivialAugment) fields() []field      { return []field{{"bins", &o.Bins, bins}} }

func (o TrivialAugment) check(s Shape) error {
	if s.Channels != 1 && s.Channels != 3 {
		return wrongChannels(s)
	}
	return checkBins(o.Bins)
}

// apply draws which, its magnitude and its sign.
func (o TrivialAugment) apply(c *canvas, d draws) {
	w := d.block(0)
	change := change(w.below(0, int(changes)))
	change.apply(c, change.wide(w.below(1, o.Bins), o.Bins), w.below(2, 2) == 1)
}

// change is one of what RandAugment and TrivialAugment do, in torchvision's order.
type change int

const (
	identity change = iota
	shearX
	shearY
	translateX
	translateY
	rotate
	brightness
	color
	contrast
	sharpness
	posterize
	solarize
	autocontrast
	equalize
	changes // how many there are
)

// spaced is torch.linspace(from, to, bins)[bin], in float32 and from the nearer end, as torch does.
func spaced(from, to float32, bin, bins int) float64 {
	step := (to - from) / float32(bins-1)
	if bin < bins/2 {
		return float64(from + float32(step*float32(bin)))
	}
	return float64(to - float32(step*float32(bins-1-bin)))
}

// kept is how many bits posterize keeps, of steps down from 8.
func kept(steps float64, bin, bins int) float64 {
	return 8 - math.RoundToEven(float64(bin)/(float64(bins-1)/steps))
}

// moderate is RandAugment's table.
func (t change) moderate(bin, bins, height, width int) float64 {
	const most = 150. / 331
	switch t {
	case shearX, shearY:
		return spaced(0, 0.3, bin, bins)
	case translateX:
		return spaced(0, float32(most*float64(width)), bin, bins)
	case translateY:
		return spaced(0, float32(most*float64(height)), bin, bins)
	case rotate:
		return spaced(0, 30, bin, bins)
	case brightness, color, contrast, sharpness:
		return spaced(0, 0.9, bin, bins)
	case posterize:
		return kept(4, bin, bins)
	case solarize:
		return spaced(255, 0, bin, bins)
	}
	return 0
}

// wide is TrivialAugmentWide's table.
func (t change) wide(bin, bins int) float64 {
	switch t {
	case shearX, shearY, brightness, color, contrast, sharpness:
		return spaced(0, 0.99, bin, bins)
	case translateX, translateY:
		return spaced(0, 32, bin, bins)
	case rotate:
		return spaced(0, 135, bin, bins)
	case posterize:
		return kept(6, bin, bins)
	case solarize:
		return spaced(255, 0, bin, bins)
	}
	return 0
}

// apply is torchvision's _apply_op.
func (t change) apply(c *canvas, magnitude float64, negative bool) {
	if negative && t >= shearX && t <= sharpness {
		magnitude = -magnitude
	}
	degrees := math.Atan(magnitude) * (180 / math.Pi)
	switch t {
	case shearX:
		c.warpNearest(inverse([2]float64{}, 0, [2]float64{}, 1, [2]float64{degrees, 0}))
	case shearY:
		c.warpNearest(inverse([2]float64{}, 0, [2]float64{}, 1, [2]float64{0, degrees}))
	case translateX:
		c.translate(math.Trunc(magnitude), 0)
	case translateY:
		c.translate(0, math.Trunc(magnitude))
	case rotate:
		c.turnNearest(magnitude)
	case brightness:
		c.brightness(1 + magnitude)
	case color:
		c.saturation(1 + magnitude)
	case contrast:
		c.contrast(1 + magnitude)
	case sharpness:
		c.sharpness(1 + magnitude)
	case posterize:
		c.posterize(int(magnitude))
	case solarize:
		c.solarize(magnitude)
	case autocontrast:
		c.autocontrast()
	case equalize:
		c.equalize()
	}
}

func (c *canvas) translate(right, down float64) {
	c.warpNearest(inverse(c.centre(), 0, [2]float64{right, down}, 1, [2]float64{}))
}

// turnNearest is Pillow's Image.rotate: counter-clockwise about the centre, its sines and cosines
// rounded to 15 decimal places.
func (c *canvas) turnNearest(degrees float64) {
	if degrees < 0 { // as Python's remainder does
		degrees += 360
	}
	angle := -degrees * (math.Pi / 180)
	decimal := func(v float64) float64 { return math.RoundToEven(v*1e15) / 1e15 }
	cosine, sine := decimal(math.Cos(angle)), decimal(math.Sin(angle))
	centre := c.centre()
	m := matrix{a: cosine, b: sine, d: decimal(-math.Sin(angle)), e: cosine}
	m.c = float64(float64(m.a*-centre[0])+float64(m.b*-centre[1])) + centre[0]
	m.f = float64(float64(m.d*-centre[0])+float64(m.e*-centre[1])) + centre[1]
	c.warpNearest(m)
}
