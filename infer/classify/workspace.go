package classify

import (
	"fmt"
	"image"

	"slipway/dataset/picture"
)

// workspace is the memory in which images become what the network is fed.
type workspace struct {
	classifier *Classifier
	converter  picture.Converter
	resizer    picture.Resizer
	sized      picture.Image
	pixels     []float32
	images     int // that have been added
	wanted     int
	first      picture.Config // the size of the first
	row        []float32      // an image's probabilities
	order      []int          // of the classes, the best first
}

// begin makes room for n images.
func (w *workspace) begin(n int) *workspace {
	w.images, w.wanted = 0, n
	return w
}

// add takes an image: in the channels that the model takes, in its size, scaled. What is wrong
// is ErrPicture.
func (w *workspace) add(m image.Image) error {
	if err := w.take(m); err != nil {
		return pictureError{err}
	}
	return nil
}

func (w *workspace) take(m image.Image) error {
	c := w.classifier
	var from *picture.Image
	if decoded, ok := m.(*decoded); ok {
		from = decoded.image
	} else {
		var err error
		if from, err = w.converter.Convert(m, c.chosen.pictures); err != nil {
			return err
		}
	}
	if c.sizing != nil {
		if err := w.resizer.Fit(&w.sized, from, *c.sizing); err != nil {
			return err
		}
		from = &w.sized
	}
	if w.images == 0 {
		w.first.Channels, w.first.Height, w.first.Width = from.Channels, from.Height, from.Width
		if _, err := c.ports.Fit(from.Channels, from.Height, from.Width); err != nil {
			return fmt.Errorf("%s: %w%s", c.path, err, c.remedy())
		}
		if err := c.pixels.CheckChannels(from.Channels); err != nil {
			return fmt.Errorf("%s: %w", c.path, err)
		}
		w.pixels = atLeast(w.pixels, w.wanted*len(from.Pixels))
	}
	if f := w.first; f.Channels != from.Channels || f.Height != from.Height ||
		f.Width != from.Width {
		return fmt.Errorf("the image is %d×%d×%d (C×H×W), and others of the batch are %d×%d×%d%s",
			from.Channels, from.Height, from.Width, f.Channels, f.Height, f.Width, c.remedy())
	}
	size := len(from.Pixels)
	c.pixels.Image(w.pixels[w.images*size:], from.Pixels, from.Channels)
	w.images++
	return nil
}

// remedy says what brings pictures to the model's size, where nothing does.
func (c *Classifier) remedy() string {
	if c.sizing != nil {
		return ""
	}
	return " (the model does not record a size for pictures: WithSizing gives one)"
}

// batch are the images that were added.
func (w *workspace) batch() Batch {
	return Batch{
		N: w.images, C: w.first.Channels, H: w.first.Height, W: w.first.Width,
		Pixels: w.pixels[:w.images*w.first.Channels*w.first.Height*w.first.Width],
	}
}

// atLeast is a slice of n elements, in the memory of s if there is enough.
func atLeast[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
