package picture

import (
	"fmt"
	"image"
	"image/color"
)

// raster is a picture as a format's decoder leaves it: planes, and how opaque each pixel is.
type raster struct {
	*Image
	alpha []uint8 // Height×Width, or nil where all is opaque
}

func newRaster(channels int, size image.Rectangle, transparent bool) *raster {
	r := &raster{Image: New(channels, size.Dy(), size.Dx())}
	if transparent {
		r.alpha = make([]uint8, r.Height*r.Width)
	}
	return r
}

// fromStandard takes over what the decoders of the standard library and of x/image return. Of 16 bits the upper 8 are taken.
func fromStandard(m image.Image) (*raster, error) {
	bounds := m.Bounds()
	if bounds.Empty() {
		return nil, fmt.Errorf("it has no pixels")
	}
	switch m := m.(type) {
	case *image.Gray:
		return interleaved(1, bounds, m.Pix, m.Stride, 1, 1, false), nil
	case *image.Gray16:
		return interleaved(1, bounds, m.Pix, m.Stride, 2, 2, false), nil
	case *image.NRGBA:
		return interleaved(3, bounds, m.Pix, m.Stride, 4, 1, !m.Opaque()), nil
	case *image.NRGBA64:
		return interleaved(3, bounds, m.Pix, m.Stride, 8, 2, !m.Opaque()), nil
	case *image.RGBA:
		if m.Opaque() {
			return interleaved(3, bounds, m.Pix, m.Stride, 4, 1, false), nil
		}
	case *image.RGBA64:
		if m.Opaque() {
			return interleaved(3, bounds, m.Pix, m.Stride, 8, 2, false), nil
		}
	case *image.Paletted:
		return fromPalette(m), nil
	}
	return fromColours(m), nil
}

// interleaved takes pixels of some samples each, whose upper bytes are sampleBytes apart; a fourth sample is the opacity.
func interleaved(channels int, size image.Rectangle, pixels []uint8, stride, pixelBytes, sampleBytes int, transparent bool) *raster {
	r := newRaster(channels, size, transparent)
	for y := range r.Height {
		row := pixels[y*stride:][:r.Width*pixelBytes]
		for c := range channels {
			out := r.plane(c)[y*r.Width:][:r.Width]
			for x := range out {
				out[x] = row[x*pixelBytes+c*sampleBytes]
			}
		}
		if transparent {
			out := r.alpha[y*r.Width:][:r.Width]
			for x := range out {
				out[x] = row[x*pixelBytes+channels*sampleBytes]
			}
		}
	}
	return r
}

func fromPalette(m *image.Paletted) *raster {
	var colours [256]color.NRGBA
	for i := range colours {
		colours[i].A = 255 // Beyond the palette lies black.
	}
	transparent := false
	for i, c := range m.Palette[:min(len(m.Palette), 256)] {
		colours[i] = unmultiplied(c)
		transparent = transparent || colours[i].A != 255
	}
	r := newRaster(3, m.Rect, transparent)
	red, green, blue := r.plane(0), r.plane(1), r.plane(2)
	for y := range r.Height {
		for x, index := range m.Pix[y*m.Stride:][:r.Width] {
			c, at := colours[index], y*r.Width+x
			red[at], green[at], blue[at] = c.R, c.G, c.B
			if transparent {
				r.alpha[at] = c.A
			}
		}
	}
	return r
}

// fromColours takes any image, slowly.
func fromColours(m image.Image) *raster {
	bounds := m.Bounds()
	r := newRaster(3, bounds, true)
	at := 0
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := unmultiplied(m.At(x, y))
			r.plane(0)[at], r.plane(1)[at], r.plane(2)[at], r.alpha[at] = c.R, c.G, c.B, c.A
			at++
		}
	}
	return r
}

// unmultiplied is the colour before it was weakened by its opacity, without a detour where it is stored so.
func unmultiplied(c color.Color) color.NRGBA {
	return color.NRGBAModel.Convert(c).(color.NRGBA)
}

// flatten lays the picture on a background, with the integers of Pillow's alpha_composite.
func (r *raster) flatten(background Colour) *Image {
	if r.alpha == nil {
		return r.Image
	}
	if r.Channels == 1 && !background.grey() {
		// Grey on a colour is coloured.
		r.Image, _ = r.ToChannels(3)
	}
	for c := range r.Channels {
		plane, behind := r.plane(c)[:len(r.alpha)], background.channel(c, r.Channels)
		for i, alpha := range r.alpha {
			plane[i] = blend(plane[i], behind, alpha)
		}
	}
	return r.Image
}

func blend(over, behind, alpha uint8) uint8 {
	const precision = 7
	sum := uint32(over)*uint32(alpha) + uint32(behind)*uint32(255-alpha)
	sum = (sum + 128) << precision
	return uint8((sum>>8 + sum) >> 8 >> precision)
}
