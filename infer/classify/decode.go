package classify

import (
	"image"
	"image/color"
	"io"

	"slipway/dataset/picture"
)

// Decode decodes a picture as ClassifyReader does, for ClassifyBatch and Classify: with the
// integers of libjpeg, turned upright as its EXIF block says, what is transparent on white, grey
// or in colour as the model takes it. The picture is read to its end, or to the limits.
func (c *Classifier) Decode(r io.Reader) (image.Image, error) {
	m, err := picture.Read(r, c.chosen.pictures)
	if err != nil {
		return nil, pictureError{err}
	}
	return &decoded{m}, nil
}

// decoded is a picture in the form that the network is fed from.
type decoded struct{ image *picture.Image }

func (d *decoded) ColorModel() color.Model {
	if d.image.Channels == 1 {
		return color.GrayModel
	}
	return color.RGBAModel
}

func (d *decoded) Bounds() image.Rectangle {
	return image.Rect(0, 0, d.image.Width, d.image.Height)
}

func (d *decoded) At(x, y int) color.Color {
	m := d.image
	if !(image.Point{X: x, Y: y}.In(d.Bounds())) {
		return d.ColorModel().Convert(color.Transparent)
	}
	area, at := m.Height*m.Width, y*m.Width+x
	if m.Channels == 1 {
		return color.Gray{Y: m.Pixels[at]}
	}
	return color.RGBA{m.Pixels[at], m.Pixels[area+at], m.Pixels[2*area+at], 255}
}
