package picture

import (
	"fmt"
	"image"
	"image/color"
)

// Converter makes Images of images of the standard library, and keeps the memory that this takes
// for the next one. The zero value is ready. It is for one goroutine at a time.
type Converter struct {
	image    Image
	alpha    []uint8
	result   raster
	channels Image // in grey or in colour, where that is another
}

// Convert makes of an image what Decode makes of the file that the image was decoded from:
// opaque, in 8 bits, in the channels that the options ask for, one grey and three in colour. It
// does not turn the image, as the note of how a camera was held is in the file alone, and a
// JPEG's colours are those of the package that decoded it, which may be a few steps of 255 away
// from Decode's.
//
// The Image belongs to the Converter and is of use until the next call.
func (c *Converter) Convert(m image.Image, options Options) (*Image, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fmt.Errorf("picture: there is no image")
	}
	if size := m.Bounds(); size.Dx() > 0 && size.Dy() > options.MaxPixels/size.Dx() {
		return nil, fmt.Errorf("picture: %d×%d pixels, and %d at most are taken: %w",
			size.Dx(), size.Dy(), options.MaxPixels, ErrTooLarge)
	}
	r, err := c.standard(m)
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	flat := r.flatten(*options.Background)
	if options.Channels == 0 || options.Channels == flat.Channels {
		return flat, nil
	}
	return &c.channels, flat.toChannels(&c.channels, options.Channels)
}

// raster is a new one in the Converter's memory.
func (c *Converter) raster(channels int, size image.Rectangle, transparent bool) *raster {
	height, width := size.Dy(), size.Dx()
	c.image.Channels, c.image.Height, c.image.Width = channels, height, width
	c.image.Pixels = atLeast(c.image.Pixels, channels*height*width)
	c.result = raster{Image: &c.image}
	if transparent {
		c.alpha = atLeast(c.alpha, height*width)
		c.result.alpha = c.alpha
	}
	return &c.result
}

// standard takes over an image of the standard library or of x/image.
func (c *Converter) standard(m image.Image) (*raster, error) {
	bounds := m.Bounds()
	if bounds.Empty() {
		return nil, fmt.Errorf("it has no pixels")
	}
	switch m := m.(type) {
	case *image.Gray:
		return c.interleaved(1, bounds, m.Pix, m.Stride, 1, 1, false), nil
	case *image.Gray16:
		return c.interleaved(1, bounds, m.Pix, m.Stride, 2, 2, false), nil
	case *image.NRGBA:
		return c.interleaved(3, bounds, m.Pix, m.Stride, 4, 1, !m.Opaque()), nil
	case *image.NRGBA64:
		return c.interleaved(3, bounds, m.Pix, m.Stride, 8, 2, !m.Opaque()), nil
	case *image.RGBA:
		if m.Opaque() {
			return c.interleaved(3, bounds, m.Pix, m.Stride, 4, 1, false), nil
		}
	case *image.RGBA64:
		if m.Opaque() {
			return c.interleaved(3, bounds, m.Pix, m.Stride, 8, 2, false), nil
		}
	case *image.Paletted:
		return c.fromPalette(m), nil
	case *image.YCbCr:
		return c.fromYCbCr(m), nil
	}
	return c.fromColours(m), nil
}

// interleaved takes pixels of some samples each, whose upper bytes are sampleBytes apart; a fourth
// sample is the opacity.
func (c *Converter) interleaved(channels int, size image.Rectangle, pixels []uint8,
	stride, pixelBytes, sampleBytes int, transparent bool) *raster {
	r := c.raster(channels, size, transparent)
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

func (c *Converter) fromPalette(m *image.Paletted) *raster {
	var colours [256]color.NRGBA
	for i := range colours {
		colours[i].A = 255 // Beyond the palette lies black.
	}
	transparent := false
	for i, c := range m.Palette[:min(len(m.Palette), 256)] {
		colours[i] = unmultiplied(c)
		transparent = transparent || colours[i].A != 255
	}
	r := c.raster(3, m.Rect, transparent)
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

// fromYCbCr takes what package image/jpeg makes of a photograph.
func (c *Converter) fromYCbCr(m *image.YCbCr) *raster {
	r := c.raster(3, m.Rect, false)
	red, green, blue := r.plane(0), r.plane(1), r.plane(2)
	at := 0
	for y := m.Rect.Min.Y; y < m.Rect.Max.Y; y++ {
		for x := m.Rect.Min.X; x < m.Rect.Max.X; x++ {
			luma, chroma := m.YOffset(x, y), m.COffset(x, y)
			red[at], green[at], blue[at] = color.YCbCrToRGB(m.Y[luma], m.Cb[chroma], m.Cr[chroma])
			at++
		}
	}
	return r
}

// fromColours takes any image, slowly.
func (c *Converter) fromColours(m image.Image) *raster {
	bounds := m.Bounds()
	r := c.raster(3, bounds, true)
	red, green, blue := r.plane(0), r.plane(1), r.plane(2)
	// A colour that is returned as color.Color is allocated.
	wide, ok := m.(image.RGBA64Image)
	at := 0
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			var c color.NRGBA
			if ok {
				c = unmultiplied64(wide.RGBA64At(x, y))
			} else {
				c = unmultiplied(m.At(x, y))
			}
			red[at], green[at], blue[at], r.alpha[at] = c.R, c.G, c.B, c.A
			at++
		}
	}
	return r
}

// unmultiplied is the colour before it was weakened by its opacity, without a detour where it is
// stored so: what color.NRGBAModel makes of it, which allocates that.
func unmultiplied(c color.Color) color.NRGBA {
	if stored, ok := c.(color.NRGBA); ok {
		return stored
	}
	r, g, b, a := c.RGBA()
	return unmultiplied64(color.RGBA64{uint16(r), uint16(g), uint16(b), uint16(a)})
}

// unmultiplied64 is unmultiplied of 16 bits, by the integers of color.NRGBAModel.
func unmultiplied64(c color.RGBA64) color.NRGBA {
	switch c.A {
	case 0xffff:
		return color.NRGBA{uint8(c.R >> 8), uint8(c.G >> 8), uint8(c.B >> 8), 0xff}
	case 0:
		return color.NRGBA{}
	}
	before := func(v uint16) uint8 { return uint8(uint32(v) * 0xffff / uint32(c.A) >> 8) }
	return color.NRGBA{before(c.R), before(c.G), before(c.B), uint8(c.A >> 8)}
}
