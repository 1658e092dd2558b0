package augment

import (
	"errors"
	"fmt"
)

// Shift moves the image by a whole number of pixels in each direction, each of −Pixels…Pixels being
// as likely, and independently. What comes in at an edge is 0. It is torchvision's
// RandomCrop(size, padding=Pixels), and moves bytes.
type Shift struct {
	Pixels int // less than the image's height and width
}

// Name is "shift".
func (Shift) Name() string            { return "shift" }
func (o Shift) String() string        { return text(o) }
func (o Shift) settings() settings    { return &o }
func (o *Shift) operation() Operation { return *o }
func (o *Shift) fields() []field      { return []field{{"pixels", &o.Pixels, 0}} }

func (o Shift) check(s Shape) error {
	switch {
	case o.Pixels < 0:
		return fmt.Errorf("a shift by up to %d pixels is negative", o.Pixels)
	case o.Pixels >= s.Height || o.Pixels >= s.Width:
		return fmt.Errorf("a shift by up to %d pixels leaves nothing of the %d×%d images; "+
			"%d is the most", o.Pixels, s.Height, s.Width, min(s.Height, s.Width)-1)
	}
	return nil
}

func (o Shift) apply(c *canvas, d draws) {
	w := d.block(0)
	down, right := w.below(0, 2*o.Pixels+1)-o.Pixels, w.below(1, 2*o.Pixels+1)-o.Pixels
	c.shift(down, right)
}

// shift moves the image by |down| < H and |right| < W.
func (c *canvas) shift(down, right int) {
	if down == 0 && right == 0 {
		return
	}
	height, width := c.Height, c.Width
	kept := width - max(right, -right)
	c.planes(func(to, from []uint8) {
		for y := range height {
			row := to[y*width : (y+1)*width]
			source := y - down
			if source < 0 || source >= height {
				clear(row)
				continue
			}
			clear(row[:max(right, 0)])
			clear(row[width-max(-right, 0):])
			copy(row[max(right, 0):], from[source*width+max(-right, 0):][:kept])
		}
	})
}

// The modes of Crop: what surrounds the image.
const (
	Constant  = "constant"  // 0
	Edge      = "edge"      // the nearest pixel
	Reflect   = "reflect"   // the image mirrored at the middle of its outermost pixels
	Symmetric = "symmetric" // the image mirrored at its edge
)

// Crop surrounds the image with Padding pixels and cuts out a part of the image's size, each as
// likely. It is torchvision's RandomCrop(size, padding=Padding, padding_mode=Mode); with zeros
// around it does what Shift does. It moves bytes.
type Crop struct {
	Padding int    // at each side; 4 if 0
	Mode    string // Constant if empty
}

// Name is "crop".
func (Crop) Name() string            { return "crop" }
func (o Crop) String() string        { return text(o) }
func (o Crop) settings() settings    { return &o }
func (o *Crop) operation() Operation { return *o }
func (o *Crop) fields() []field {
	return []field{{"padding", &o.Padding, 4}, {"mode", &o.Mode, Constant}}
}

func (o Crop) check(s Shape) error {
	switch {
	case o.Mode != Constant && o.Mode != Edge && o.Mode != Reflect && o.Mode != Symmetric:
		return fmt.Errorf("the mode %q is unknown; there are %s, %s, %s and %s", o.Mode,
			Constant, Edge, Reflect, Symmetric)
	case o.Padding < 0:
		return errors.New("the padding is negative")
	case o.Padding >= s.Height || o.Padding >= s.Width:
		return fmt.Errorf("a part of %d padded pixels can have nothing of the %d×%d images; "+
			"%d is the most", o.Padding, s.Height, s.Width, min(s.Height, s.Width)-1)
	}
	return nil
}

func (o Crop) apply(c *canvas, d draws) {
	w := d.block(0)
	top, left := w.below(0, 2*o.Padding+1)-o.Padding, w.below(1, 2*o.Padding+1)-o.Padding
	if o.Mode == Constant {
		c.shift(-top, -left)
		return
	}
	inside := padding(o.Mode)
	c.planes(func(to, from []uint8) {
		for y := range c.Height {
			source := from[inside(y+top, c.Height)*c.Width:][:c.Width]
			row := to[y*c.Width:][:c.Width]
			// Columns begin to end are the image's own.
			begin, end := max(-left, 0), min(c.Width-left, c.Width)
			copy(row[begin:end], source[begin+left:])
			for x := range begin {
				row[x] = source[inside(x+left, c.Width)]
			}
			for x := end; x < c.Width; x++ {
				row[x] = source[inside(x+left, c.Width)]
			}
		}
	})
}

// padding is the pixel, of n, that stands at the place i from −n to 2n−1, of n−1 for Reflect.
func padding(mode string) func(i, n int) int {
	switch mode {
	case Edge:
		return func(i, n int) int { return min(max(i, 0), n-1) }
	case Reflect:
		return func(i, n int) int {
			i = max(i, -i)
			return min(i, 2*(n-1)-i)
		}
	}
	return func(i, n int) int {
		i = max(i, -1-i)
		return min(i, 2*n-1-i)
	}
}
