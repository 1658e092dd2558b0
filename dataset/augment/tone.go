package augment

// posterize is Pillow's ImageOps.posterize: it keeps that many bits of each byte, 1…8.
func (c *canvas) posterize(bits int) {
	for v := range c.table {
		c.table[v] = uint8(v) &^ (1<<(8-bits) - 1)
	}
	c.pointwise()
}

// solarize is Pillow's ImageOps.solarize: it inverts what is not below the threshold.
func (c *canvas) solarize(threshold float64) {
	for v := range c.table {
		c.table[v] = uint8(v)
		if float64(v) >= threshold {
			c.table[v] = uint8(255 - v)
		}
	}
	c.pointwise()
}

// autocontrast is Pillow's ImageOps.autocontrast: each channel is stretched so that its darkest
// pixel is 0 and its brightest 255, with fractions cut off.
func (c *canvas) autocontrast() {
	c.eachChannel(func(plane []uint8, table *[256]uint8) bool {
		low, high := plane[0], plane[0]
		for _, v := range plane {
			low, high = min(low, v), max(high, v)
		}
		if low == high {
			return false
		}
		scale := 255 / float64(high-low)
		offset := float64(-float64(low) * scale)
		for v := range table {
			table[v] = uint8(min(max(float64(float64(v)*scale)+offset, 0), 255))
		}
		return true
	})
}

// equalize is Pillow's ImageOps.equalize: each channel's bytes are spread so that every part of
// 0…255 is about as frequent.
func (c *canvas) equalize() {
	c.eachChannel(func(plane []uint8, table *[256]uint8) bool {
		var histogram [256]int
		brightest := uint8(0)
		for _, v := range plane {
			histogram[v]++
			brightest = max(brightest, v)
		}
		step := (len(plane) - histogram[brightest]) / 255
		if step == 0 { // also where there is one value alone
			return false
		}
		n := step / 2
		for v := range table {
			table[v] = uint8(min(n/step, 255))
			n += histogram[v]
		}
		return true
	})
}

// eachChannel looks each channel's bytes up in a table that is made of them; the channel stays
// where there is none.
func (c *canvas) eachChannel(tabulate func(plane []uint8, table *[256]uint8) bool) {
	image := c.own()
	for first := 0; first < len(image); first += c.plane() {
		plane := image[first:][:c.plane()]
		if tabulate(plane, &c.table) {
			lookUp(plane, plane, &c.table)
		}
	}
}
