package picture

import (
	"fmt"
	"strconv"
)

// Image is a decoded picture.
type Image struct {
	Channels int     // 1 for grey, 3 for red, green and blue
	Height   int     // in pixels, at least 1
	Width    int     // in pixels, at least 1
	Pixels   []uint8 // Channels×Height×Width: one plane after the other, each row by row
}

// New makes a black image.
func New(channels, height, width int) *Image {
	return &Image{channels, height, width, make([]uint8, channels*height*width)}
}

// check says what is wrong with an image that a caller made.
func (m *Image) check() error {
	if m == nil {
		return fmt.Errorf("picture: there is no image")
	}
	if m.Channels != 1 && m.Channels != 3 {
		return fmt.Errorf("picture: an image of %d channels; it has 1 or 3", m.Channels)
	}
	if m.Height < 1 || m.Width < 1 || len(m.Pixels)/m.Channels/m.Height != m.Width ||
		len(m.Pixels) != m.Channels*m.Height*m.Width {
		return fmt.Errorf("picture: an image of %d×%d×%d (channels, height, width) with %d values",
			m.Channels, m.Height, m.Width, len(m.Pixels))
	}
	return nil
}

// plane is one channel.
func (m *Image) plane(channel int) []uint8 {
	size := m.Height * m.Width
	return m.Pixels[channel*size : (channel+1)*size]
}

// ToChannels is the image in grey (1) or in colour (3); the same image where it is so already. Grey
// is the luma of ITU-R 601-2, 0.299 red + 0.587 green + 0.114 blue, in the integers of Pillow's
// convert("L"); colour of grey has three equal planes.
func (m *Image) ToChannels(channels int) (*Image, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	if channels == m.Channels {
		return m, nil
	}
	out := &Image{}
	if err := m.toChannels(out, channels); err != nil {
		return nil, err
	}
	return out, nil
}

// toChannels is ToChannels into another image, whose Pixels are used again if they are large
// enough. The number of channels is not m's.
func (m *Image) toChannels(out *Image, channels int) error {
	if channels != 1 && channels != 3 {
		return fmt.Errorf("picture: an image cannot have %d channels; 1 is grey, 3 is colour",
			channels)
	}
	out.Channels, out.Height, out.Width = channels, m.Height, m.Width
	out.Pixels = atLeast(out.Pixels, channels*m.Height*m.Width)
	if channels == 3 {
		for c := range 3 {
			copy(out.plane(c), m.Pixels)
		}
		return nil
	}
	red, green, blue := m.plane(0), m.plane(1), m.plane(2)
	green, blue, pixels := green[:len(red)], blue[:len(red)], out.Pixels[:len(red)]
	for i, r := range red {
		pixels[i] = luma(r, green[i], blue[i])
	}
	return nil
}

func luma(red, green, blue uint8) uint8 {
	return uint8((19595*uint32(red) + 38470*uint32(green) + 7471*uint32(blue) + 1<<15) >> 16)
}

// Colour is a colour without transparency. The zero value is black.
type Colour struct{ Red, Green, Blue uint8 }

// White is what transparent pictures lie on unless Options say otherwise.
func White() Colour { return Colour{255, 255, 255} }

// String writes the colour as #rrggbb.
func (c Colour) String() string { return fmt.Sprintf("#%02x%02x%02x", c.Red, c.Green, c.Blue) }

// ParseColour reads #rrggbb.
func ParseColour(text string) (Colour, error) {
	if len(text) == 7 && text[0] == '#' {
		if v, err := strconv.ParseUint(text[1:], 16, 24); err == nil {
			return Colour{uint8(v >> 16), uint8(v >> 8), uint8(v)}, nil
		}
	}
	return Colour{}, fmt.Errorf("%q is no colour; write it as #rrggbb, like #ffffff for white",
		text)
}

func (c Colour) grey() bool { return c.Red == c.Green && c.Green == c.Blue }

// channel is the colour's value in one of an image's 1 or 3 channels.
func (c Colour) channel(i, channels int) uint8 {
	if channels == 1 {
		return luma(c.Red, c.Green, c.Blue)
	}
	return [3]uint8{c.Red, c.Green, c.Blue}[i]
}
