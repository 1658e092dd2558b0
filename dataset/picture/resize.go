package picture

import (
	"fmt"
	"math"
)

// Filter is how the pixels of another size are made. Both are antialiased: made smaller, each pixel
// is a mean over all that it covers.
type Filter int

const (
	Bilinear Filter = iota // a triangle of one pixel to each side, of the larger image's pixels
	Bicubic                // Keys' cubic with a = −0.5, of two pixels to each side
)

// String is "bilinear" or "bicubic".
func (f Filter) String() string {
	switch f {
	case Bilinear:
		return "bilinear"
	case Bicubic:
		return "bicubic"
	}
	return fmt.Sprintf("filter %d", int(f))
}

// ParseFilter reads what String writes.
func ParseFilter(text string) (Filter, error) {
	for _, f := range []Filter{Bilinear, Bicubic} {
		if text == f.String() {
			return f, nil
		}
	}
	return 0, fmt.Errorf("the filter %q is unknown; bilinear and bicubic are known", text)
}

func (f Filter) check() error {
	if f != Bilinear && f != Bicubic {
		return fmt.Errorf("picture: %v is unknown; there are Bilinear and Bicubic", f)
	}
	return nil
}

func (f Filter) support() float64 {
	if f == Bicubic {
		return 2
	}
	return 1
}

// weight is the filter's value at the distance x. The conversions forbid fused multiplications, so
// that every processor has the same.
func (f Filter) weight(x float64) float64 {
	x = math.Abs(x)
	if f == Bilinear {
		return max(1-x, 0)
	}
	const a = -0.5
	switch {
	case x < 1:
		return float64(float64(float64(float64((a+2)*x)-(a+3))*x)*x) + 1
	case x < 2:
		return float64(float64(float64(float64(float64(x-5)*x)+8)*x)-4) * a
	}
	return 0
}

// Box is a part of an image, in pixels from its upper left corner; parts of pixels count in part.
// Its numbers are float32, as they are in Pillow.
type Box struct{ Left, Top, Right, Bottom float32 }

// Resize makes an image of another size, byte for byte as Pillow's Image.resize. A Resizer does the
// same without allocating.
func Resize(m *Image, height, width int, filter Filter) (*Image, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	out := &Image{}
	return out, new(Resizer).Resize(out, m, m.Bounds(), height, width, filter)
}

// Bounds is the box of the whole image.
func (m *Image) Bounds() Box { return Box{0, 0, float32(m.Width), float32(m.Height)} }

// MaxSide is the largest height and width that images are resized to. What has more than
// DefaultMaxPixels is not made: 65536×65536 pixels in colour are 13 GB.
const MaxSide = 1 << 16

// Resizer resizes images and keeps the memory that this takes for the next one. The zero value is
// ready. It is for one goroutine at a time.
type Resizer struct {
	horizontal, vertical taps
	between              []uint8 // the image after the horizontal pass, a plane
	sums                 []int32 // a row of sums
	padded               Image   // what lies within the background
}

// Resize makes the box of the image m, scaled to height×width, in out, whose Pixels are used again
// if they are large enough. Out must not be m.
func (r *Resizer) Resize(out, m *Image, box Box, height, width int, filter Filter) error {
	return r.window(out, m, box, height, width, window{0, 0, height, width}, filter)
}

// Part is a rectangle of an image's pixels.
type Part struct{ Left, Top, Height, Width int }

// ResizePart makes the part of the image m, as if there were no pixels around it, of another size
// in out: Pillow's crop and then resize, byte for byte, without a copy between them. A Resize of
// the same box looks beyond its edges. Out is as in Resize.
func (r *Resizer) ResizePart(out, m *Image, part Part, height, width int, filter Filter) error {
	if err := m.check(); err != nil {
		return err
	}
	if part.Left < 0 || part.Top < 0 || part.Height < 1 || part.Width < 1 ||
		part.Left > m.Width-part.Width || part.Top > m.Height-part.Height {
		return fmt.Errorf(
			"picture: the part of %d×%d pixels from row %d and column %d on is empty or not "+
				"inside %d×%d pixels", part.Height, part.Width, part.Top, part.Left, m.Height, m.Width)
	}
	box := Box{0, 0, float32(part.Width), float32(part.Height)}
	return r.scale(out, m, part, box, height, width, window{0, 0, height, width}, filter)
}

func checkSize(height, width int) error {
	if height < 1 || width < 1 || height > MaxSide || width > MaxSide {
		return fmt.Errorf("picture: a size of %d×%d pixels is asked for; each is 1 to %d",
			height, width, MaxSide)
	}
	if height > DefaultMaxPixels/width {
		return fmt.Errorf("picture: a size of %d×%d pixels is asked for; %d pixels at most are made",
			height, width, DefaultMaxPixels)
	}
	return nil
}

// window is a part of the scaled image: its upper left corner and its size.
type window struct{ top, left, height, width int }

// window makes the part of the scaled image that lies in w, and computes no other.
func (r *Resizer) window(out, m *Image, box Box, height, width int, w window, filter Filter) error {
	if err := m.check(); err != nil {
		return err
	}
	// Written so that NaN is refused.
	if !(box.Left >= 0 && box.Right <= float32(m.Width) && box.Left < box.Right &&
		box.Top >= 0 && box.Bottom <= float32(m.Height) && box.Top < box.Bottom) {
		return fmt.Errorf(
			"picture: the box from (%g, %g) to (%g, %g) is empty or not inside %d×%d pixels",
			box.Left, box.Top, box.Right, box.Bottom, m.Width, m.Height)
	}
	return r.scale(out, m, Part{0, 0, m.Height, m.Width}, box, height, width, w, filter)
}

// scale makes the window of a part of m that is cut to a box within the part and scaled. What it is
// given is checked, but for sizes and filter.
func (r *Resizer) scale(out, m *Image, part Part, box Box, height, width int, w window,
	filter Filter) error {
	if err := checkSize(w.height, w.width); err != nil {
		return err
	}
	if err := filter.check(); err != nil {
		return err
	}
	out.Channels, out.Height, out.Width = m.Channels, w.height, w.width
	out.Pixels = atLeast(out.Pixels, m.Channels*w.height*w.width)

	r.horizontal.compute(part.Width, box.Left, box.Right, width, w.left, w.width, filter)
	r.vertical.compute(part.Height, box.Top, box.Bottom, height, w.top, w.height, filter)
	across := width != part.Width || box.Left != 0 || box.Right != float32(part.Width)
	down := height != part.Height || box.Top != 0 || box.Bottom != float32(part.Height)
	// From here on places are those in m.
	r.horizontal.move(part.Left)
	r.vertical.move(part.Top)
	w.left, w.top = w.left+part.Left, w.top+part.Top

	r.sums = atLeast(r.sums, max(w.width, m.Width))
	if part.Height > height && part.Height-height > 2*(part.Width-width) {
		r.verticalFirst(out, m, w, across)
		return nil
	}
	first, last := r.vertical.span()
	r.between = atLeast(r.between, (last-first)*w.width)
	for c := range m.Channels {
		plane, result := m.plane(c), out.plane(c)
		if !down {
			r.rows(result, w.width, plane[w.top*m.Width:], m.Width, w.height, across, w.left)
			continue
		}
		r.rows(r.between, w.width, plane[first*m.Width:], m.Width, last-first, across, w.left)
		r.columns(result, w.width, r.between, w.width, first, w.width)
	}
	return nil
}

// verticalFirst makes the vertical pass before the horizontal one, as Pillow 13 does where the
// height shrinks by more than twice as many pixels as the width. What lies between is rounded to
// bytes, so that the order shows.
func (r *Resizer) verticalFirst(out, m *Image, w window, across bool) {
	first, last := w.left, w.left+w.width
	if across {
		first, last = r.horizontal.span()
	}
	r.between = atLeast(r.between, w.height*m.Width)
	for c := range m.Channels {
		plane, result := m.plane(c), out.plane(c)
		r.columns(r.between[first:], m.Width, plane[first:], m.Width, 0, last-first)
		r.rows(result, w.width, r.between, m.Width, w.height, across, w.left)
	}
}

// rows is the horizontal pass over some rows, or where the width stays a copy of what begins at
// left.
func (r *Resizer) rows(out []uint8, width int, from []uint8, stride, rows int,
	across bool, left int) {
	if across {
		r.horizontal.apply(out, width, from, stride, rows)
		return
	}
	for y := range rows {
		copy(out[y*width:][:width], from[y*stride+left:])
	}
}

// columns is the vertical pass over some columns of the rows in from, the first of which is the
// source's row first.
func (r *Resizer) columns(out []uint8, outStride int, from []uint8, stride, first, width int) {
	sums := r.sums[:width]
	for y, start := range r.vertical.starts {
		weights := r.vertical.weightsOf(y)
		above := from[(start-first)*stride:]
		i := 0
		for ; i+3 <= len(weights); i += 3 {
			accumulateThree(sums, above[i*stride:], stride, weights[i:], i == 0)
		}
		for ; i < len(weights); i++ {
			accumulate(sums, above[i*stride:], weights[i], i == 0)
		}
		row := out[y*outStride:][:len(sums)]
		for x, sum := range sums {
			row[x] = clipped(sum)
		}
	}
}

// atLeast is a slice of n elements, in the memory of s if there is enough.
func atLeast[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
