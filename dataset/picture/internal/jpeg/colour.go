package jpeg

// space is what the components mean.
type space int

const (
	grey space = iota
	rgb
	ycc  // luma and two differences of colour
	cmyk // inverted, as all programs write it that follow Adobe's
	ycck // CMY as luma and differences, and K
)

// colourSpace follows libjpeg's jdapimin.c, which has to guess where a file does not say.
func (d *decoder) colourSpace() space {
	switch len(d.components) {
	case 1:
		return grey
	case 4:
		if d.adobe && d.adobeTransform != 0 {
			return ycck
		}
		return cmyk
	}
	switch {
	case d.jfif:
		return ycc
	case d.adobe && d.adobeTransform == 0:
		return rgb
	case d.adobe:
		return ycc
	}
	if d.components[0].id == 'R' && d.components[1].id == 'G' && d.components[2].id == 'B' {
		return rgb
	}
	return ycc
}

// planes makes the picture's planes, C×H×W, of the components' planes.
func (d *decoder) planes() (channels int, pixels []uint8, err error) {
	rows := make([]*upsampler, len(d.components))
	for i := range d.components {
		if rows[i], err = d.newUpsampler(&d.components[i]); err != nil {
			return 0, nil, err
		}
	}
	kind, size := d.colourSpace(), d.width*d.height
	if kind == grey {
		pixels = make([]uint8, size)
		for y := range d.height {
			copy(pixels[y*d.width:][:d.width], rows[0].row(y))
		}
		return 1, pixels, nil
	}
	pixels = make([]uint8, 3*size)
	for y := range d.height {
		red := pixels[y*d.width:][:d.width]
		green := pixels[size+y*d.width:][:d.width]
		blue := pixels[2*size+y*d.width:][:d.width]
		a, b, c := rows[0].row(y), rows[1].row(y), rows[2].row(y)
		if kind == ycc || kind == ycck {
			toRGB(red, green, blue, a, b, c)
		} else {
			copy(red, a)
			copy(green, b)
			copy(blue, c)
		}
		if kind == cmyk || kind == ycck {
			// What toRGB makes of YCCK is the ink; CMYK in a file is 255 less the ink.
			flip := uint8(0)
			if kind == cmyk {
				flip = 255
			}
			key := rows[3].row(y)
			darken(red, key, flip)
			darken(green, key, flip)
			darken(blue, key, flip)
		}
	}
	return 3, pixels, nil
}

// toRGB converts a row with the fixed-point numbers, of 16 binary places, of libjpeg's jdcolor.c.
func toRGB(red, green, blue, luma, blueness, redness []uint8) {
	const half = 1 << 15
	n := len(red)
	green, blue = green[:n], blue[:n]
	luma, blueness, redness = luma[:n], blueness[:n], redness[:n]
	for x := range n {
		y, cb, cr := int32(luma[x]), int32(blueness[x])-128, int32(redness[x])-128
		red[x] = clamp(y + (91881*cr+half)>>16)
		green[x] = clamp(y + (-22554*cb-46802*cr+half)>>16)
		blue[x] = clamp(y + (116130*cb+half)>>16)
	}
}

// darken makes light of ink (0 to 255, after flip) under the black that key is the complement of: key·(1 − ink/255), rounded as
// Pillow's Convert.c rounds it.
func darken(ink, key []uint8, flip uint8) {
	key = key[:len(ink)]
	for x, v := range ink {
		product := int32(v^flip)*int32(key[x]) + 128
		ink[x] = clamp(int32(key[x]) - (product>>8+product)>>8)
	}
}
