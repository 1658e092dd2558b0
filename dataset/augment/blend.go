package augment

// These are Pillow's ImageEnhance: the image is mixed with one that has lost something, grey for
// its colour, one grey for its contrast, black for its brightness, blurred for its sharpness:
// lost + factor·(image − lost), in float32 and with fractions cut off, as Image.blend does.

// mixed is blend for one byte. The conversions forbid a fused multiplication.
func mixed(lost, value uint8, factor float32) uint8 {
	v := float32(lost) + float32(factor*float32(int(value)-int(lost)))
	if v <= 0 {
		return 0
	}
	if v >= 255 {
		return 255
	}
	return uint8(int(v))
}

// pointwise replaces each byte by the table's.
func (c *canvas) pointwise() {
	if c.from == nil {
		lookUp(c.now, c.now, &c.table)
		return
	}
	to := c.other()
	lookUp(to, c.now, &c.table)
	c.turn(to)
}

func lookUp(to, from []uint8, table *[256]uint8) {
	to = to[:len(from)]
	for i, v := range from {
		to[i] = table[v]
	}
}

// toward mixes with an image of one grey.
func (c *canvas) toward(grey uint8, factor float64) {
	for v := range c.table {
		c.table[v] = mixed(grey, uint8(v), float32(factor))
	}
	c.pointwise()
}

// brightness is ImageEnhance.Brightness.
func (c *canvas) brightness(factor float64) { c.toward(0, factor) }

// contrast is ImageEnhance.Contrast: the grey is the mean luma, rounded.
func (c *canvas) contrast(factor float64) {
	sum := uint64(0)
	if c.Channels == 3 {
		red, green, blue := c.colours()
		for i, r := range red {
			sum += uint64(luma(r, green[i], blue[i]))
		}
	} else {
		for _, v := range c.now {
			sum += uint64(v)
		}
	}
	c.toward(uint8(float64(sum)/float64(c.plane())+0.5), factor)
}

// colours are the planes of a coloured image.
func (c *canvas) colours() (red, green, blue []uint8) {
	n := c.plane()
	return c.now[:n], c.now[n:][:n], c.now[2*n:][:n]
}

// luma is Pillow's convert("L"), ITU-R 601-2 in integers.
func luma(red, green, blue uint8) uint8 {
	return uint8((19595*uint32(red) + 38470*uint32(green) + 7471*uint32(blue) + 1<<15) >> 16)
}

// saturation is ImageEnhance.Color; grey images stay.
func (c *canvas) saturation(factor float64) {
	if c.Channels != 3 {
		return
	}
	c.own()
	red, green, blue := c.colours()
	for i, r := range red {
		grey := luma(r, green[i], blue[i])
		red[i] = mixed(grey, r, float32(factor))
		green[i] = mixed(grey, green[i], float32(factor))
		blue[i] = mixed(grey, blue[i], float32(factor))
	}
}

// grey gives all channels of a coloured image its luma.
func (c *canvas) grey() {
	if c.Channels != 3 {
		return
	}
	c.own()
	red, green, blue := c.colours()
	for i, r := range red {
		red[i] = luma(r, green[i], blue[i])
	}
	copy(green, red)
	copy(blue, red)
}

// sharpness is ImageEnhance.Sharpness: the blur is a mean over 3×3 pixels in which the middle
// counts fivefold, rounded to the nearest; the outermost pixels stay.
func (c *canvas) sharpness(factor float64) {
	width := c.Width
	c.planes(func(to, from []uint8) {
		copy(to, from)
		for y := 1; y < c.Height-1; y++ {
			for x := 1; x < width-1; x++ {
				i := y*width + x
				above, row, below := from[i-width-1:][:3], from[i-1:][:3], from[i+width-1:][:3]
				sum := int(above[0]) + int(above[1]) + int(above[2]) +
					int(row[0]) + 5*int(row[1]) + int(row[2]) +
					int(below[0]) + int(below[1]) + int(below[2])
				to[i] = mixed(uint8((2*sum+13)/26), row[1], float32(factor))
			}
		}
	})
}
