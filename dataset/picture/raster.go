package picture

import "image"

// raster is a picture as a format's decoder leaves it: planes, and how opaque each pixel is.
type raster struct {
	*Image
	alpha []uint8 // Height×Width, or nil where all is opaque
}

func newRaster(channels int, size image.Rectangle, transparent bool) *raster {
	return new(Converter).raster(channels, size, transparent)
}

// fromStandard takes over what the decoders of the standard library and of x/image return. Of 16
// bits the upper 8 are taken.
func fromStandard(m image.Image) (*raster, error) { return new(Converter).standard(m) }

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
