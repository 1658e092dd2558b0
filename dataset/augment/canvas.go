package augment

import "slipway/dataset/picture"

// canvas is an image on its way through a list. It is for one goroutine at a time, and its memory
// is used for the next image.
type canvas struct {
	Shape
	now     []uint8 // C×H×W, the image as it is; written to only if it is not from
	from    []uint8 // what the caller gave, nil if now is the canvas's own
	dst     []uint8 // the caller's memory for the result
	spare   []uint8 // as large as an image
	source  picture.Image
	result  picture.Image
	resize  picture.Resizer
	table   [256]uint8
	columns []int // that an image is made of
}

func newCanvas(s Shape) *canvas { return &canvas{Shape: s, spare: make([]uint8, s.size())} }

// begin takes an image, which is not changed unless it lies in dst.
func (c *canvas) begin(dst, image []uint8) {
	c.dst, c.now, c.from = dst, image, image
	if &dst[0] == &image[0] {
		c.from = nil
	}
}

// end brings the image to dst.
func (c *canvas) end() {
	if &c.now[0] != &c.dst[0] {
		copy(c.dst, c.now)
	}
	c.dst, c.now, c.from, c.source = nil, nil, nil, picture.Image{}
}

// own is the image, to be changed where it is.
func (c *canvas) own() []uint8 {
	if c.from != nil {
		copy(c.dst, c.now)
		c.now, c.from = c.dst, nil
	}
	return c.now
}

// other is memory for the next image, to be made of now; turn takes it.
func (c *canvas) other() []uint8 {
	if &c.now[0] == &c.dst[0] {
		return c.spare
	}
	return c.dst
}

// turn makes what was written to other the image.
func (c *canvas) turn(written []uint8) { c.now, c.from = written, nil }

// planes calls change for each channel: to has its pixels in the next image, from in this one.
func (c *canvas) planes(change func(to, from []uint8)) {
	to := c.other()
	for first := 0; first < len(to); first += c.plane() {
		change(to[first:][:c.plane()], c.now[first:][:c.plane()])
	}
	c.turn(to)
}
