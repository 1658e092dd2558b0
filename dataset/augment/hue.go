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
	c.own()
	red, green, blue := c.colours()
	for i, r := range red {
		h, s, v := toHSV(r, green[i], blue[i])
		red[i], green[i], blue[i] = toRGB(h+by, s, v)
	}
}

// toHSV is Pillow's convert("HSV"), after Python's colorsys, with its float32 and float64.
func toHSV(red, green, blue uint8) (hue, saturation, value uint8) {
	most, least := max(red, green, blue), min(red, green, blue)
	if most == least {
		return 0, 0, most
	}
	span := float32(most - least)
	r, g, b := float32(most-red)/span, float32(most-green)/span, float32(most-blue)/span
	var h float32
	switch most {
	case red:
		h = b - g
	case green:
		h = float32(2 + float64(r) - float64(b))
	default:
		h = float32(4 + float64(g) - float64(r))
	}
	turn := float64(h)/6 + 1
	if turn >= 1 {
		turn--
	}
	hue = uint8(int(float64(float32(turn)) * 255))
	return hue, uint8(int(float64(span/float32(most)) * 255)), most
}

// toRGB is Pillow's convert("RGB") from HSV.
func toRGB(hue, saturation, value uint8) (red, green, blue uint8) {
	if saturation == 0 {
		return value, value, value
	}
	sixth := float64(hue) * 6 / 255
	whole := math.Floor(sixth)
	f, s, v := float64(float32(sixth-whole)), float64(float32(float64(saturation)/255)), float64(value)
	rounded := func(x float64) uint8 { return uint8(math.Round(x)) }
	p := rounded(v * (1 - s))
	q := rounded(v * (1 - float64(s*f)))
	t := rounded(v * (1 - float64(s*(1-f))))
	switch int(whole) % 6 {
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
