package classify

import (
	"fmt"

	"slipway/infer/port"
)

// Input is what a model takes, and how images come to it.
type Input struct {
	// Name is that of the graph's input.
	Name string
	// Type is the element type that images are fed as: "float", "float16", "double" or "uint8".
	Type string
	// Channels is 1 for grey images and 3 for colour; 0 where the model does not say, and
	// pictures are fed as their files have them.
	Channels int
	// Height and Width are those of the images that are fed, in pixels; 0 where the model
	// takes any.
	Height, Width int
	// Batch is how many images the model takes at a time where it fixes that, 0 where it does
	// not. More and fewer are taken all the same, in pieces that are filled up.
	Batch int
	// Pixels is the formula of what is fed, x being the byte: "x/255", say.
	Pixels string
	// Sizing is how pictures come to size, such as "resize 224×224 crop bilinear"; empty where
	// they must have it.
	Sizing string

	features int // of a model that takes no more than N×features
}

// describeInput works out the Input, and refuses a sizing or a pixel formula that is not for
// the model.
func (c *Classifier) describeInput() error {
	in := Input{
		Name: c.ports.Input, Type: port.ElementName(c.ports.InputType),
		Channels: port.Channels(c.model), Pixels: c.pixels.String(),
	}
	if fixed := c.ports.FixedBatch(); fixed != port.Unknown {
		in.Batch = fixed
	}
	in.Height, in.Width = c.ports.Size(in.Channels)
	if d := c.ports.InputDims; len(d) == 2 && d[1] != port.Unknown {
		in.features = d[1]
	}
	if in.Channels > 0 {
		if err := c.pixels.CheckChannels(in.Channels); err != nil {
			return err
		}
	}
	if c.sizing != nil {
		in.Sizing = c.sizing.String()
		fits := false
		for _, channels := range []int{1, 3} {
			if in.Channels == 0 || in.Channels == channels {
				_, err := c.ports.Fit(channels, c.sizing.Height, c.sizing.Width)
				fits = fits || err == nil
			}
		}
		if !fits {
			return fmt.Errorf("pictures are brought to size by %q, and the model's input %q is %s",
				in.Sizing, in.Name, port.FormatDims(c.ports.InputDims))
		}
		in.Height, in.Width = c.sizing.Height, c.sizing.Width
	}
	c.input = in
	c.chosen.pictures.Channels = in.Channels
	return nil
}
