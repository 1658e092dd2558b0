package augment

import "math"

// hue is torchvision's adjust_hue on Pillow's images: to HSV in bytes, so many 255ths of a turn
// added to the hue, which wraps at 256, and back to RGB. The factor is in turns, −0.5…0.5. Grey
// images stay.
func (c *canvas) hue(factor float64) {
	if c.Channels != 3 {
		return
	}
	by := uint8(int(factor * 255))
	var wheel wheel
	wheel.turn()
	c.own()
	red, green, blue := c.colours()
	for i, r := range red {
		h, s, v := toHSV(r, green[i], blue[i])
		red[i], green[i], blue[i] = wheel.toRGB(h+by, s, v)
	}
}

// toHSV is Pillow's convert("HSV"), after Python's colorsys, with its float32 and float64.
func toHSV(red, green, blue uint8) (hue, saturation, value uint8) {
	most, least := max(red, green, blue), min(red, green, blue)
	if most == least {
		return 0, 0, most
	}
	span := float32(most - least)
	share := func(v uint8) float32 { return float32(most-v) / span }
	var h float32
	switch most {
	case red:
		h = share(blue) - share(green)
	case green:
		h = float32(2 + float64(share(red)) - float64(share(blue)))
	default:
		h = float32(4 + float64(share(green)) - float64(share(red)))
	}
	turn := float64(h)/6 + 1
	if turn >= 1 {
		turn--
	}
	hue = uint8(int(float64(float32(turn)) * 255))
	return hue, uint8(int(float64(span/float32(most)) * 255)), most
}

// wheel has what Pillow's convert("RGB") from HSV computes of hues and saturations alone.
type wheel struct {
	sixths [256]uint8   // which sixth of the wheel a hue lies in
	rest   [256]float64 // how far
	share  [256]float64 // a saturation, of 1
}

func (w *wheel) turn() {
	for v := range 256 {
		sixth := float64(v) * 6 / 255
		whole := math.Floor(sixth)
		w.sixths[v], w.rest[v] = uint8(int(whole)%6), float64(float32(sixth-whole))
		w.share[v] = float64(float32(float64(v) / 255))
	}
}

// toRGB is Pillow's convert("RGB") from HSV, also where the saturation is 0: p, q and t are the
// value then.
func (w *wheel) toRGB(hue, saturation, value uint8) (red, green, blue uint8) {
	f, s, v := w.rest[hue], w.share[saturation], float64(value)
	p := uint8(int(float64(v*(1-s)) + 0.5))
	q := uint8(int(float64(v*(1-float64(s*f))) + 0.5))
	t := uint8(int(float64(v*(1-float64(s*(1-f)))) + 0.5))
	switch w.sixths[hue] {
	case 0:
		return value, t, p
	case 1:
		return q, value, p
	case 2:
		return p, value, t
	case 3:
		return p, q, value
	case 4:
		return t, p, value
	}
	return value, p, q
}
