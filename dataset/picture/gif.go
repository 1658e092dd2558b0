package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/gif"
	"strings"
)

func configGIF(data []byte) (Config, error) {
	header, err := gif.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return Config{}, err
	}
	return Config{Channels: 3, Height: header.Height, Width: header.Width, Orientation: 1}, nil
}

// decodeGIF decodes the first frame, and lays it on its canvas. What the frame does not cover is as in Pillow: transparent if the
// frame knows transparency, else of the first colour.
func decodeGIF(data []byte, config Config) (*raster, error) {
	decoded, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		if strings.HasSuffix(err.Error(), "not enough image data") {
			err = fmt.Errorf("its first frame ends early: %w", ErrTruncated)
		}
		return nil, err
	}
	frame, err := fromStandard(decoded)
	if err != nil {
		return nil, err
	}
	canvas := frame.onCanvas(decoded.Bounds().Min, config.Height, config.Width)
	if paletted, ok := decoded.(*image.Paletted); ok && frame.alpha == nil && canvas.alpha != nil {
		first := unmultiplied(paletted.Palette[0])
		canvas.flatten(Colour{first.R, first.G, first.B})
		canvas.alpha = nil
	}
	return canvas, nil
}

// onCanvas puts a frame on a larger, transparent canvas that it lies within.
func (r *raster) onCanvas(corner image.Point, height, width int) *raster {
	if r.Height == height && r.Width == width {
		return r
	}
	canvas := newRaster(r.Channels, image.Rect(0, 0, width, height), true)
	for y := range r.Height {
		from, to := y*r.Width, (corner.Y+y)*width+corner.X
		for c := range r.Channels {
			copy(canvas.plane(c)[to:to+r.Width], r.plane(c)[from:])
		}
		opacity := canvas.alpha[to : to+r.Width]
		if r.alpha != nil {
			copy(opacity, r.alpha[from:])
			continue
		}
		for x := range opacity {
			opacity[x] = 255
		}
	}
	return canvas
}
