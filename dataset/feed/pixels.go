package feed

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// What can be wrong with what the functions here are given.
var (
	ErrSize     = errors.New("sizes disagree")
	ErrArgument = errors.New("argument out of range")
)

// Pixels says how bytes become float32: by one formula, or by one for each channel,
// and in which order the channels are fed. The zero value keeps 0…255.
type Pixels struct {
	table    *[256]float32   // of all channels
	channels *[][256]float32 // of each as it is fed, in place of table
	name     string
	reversed bool
}

// UnitPixels maps 0…255 to 0…1: x/255.
func UnitPixels() Pixels {
	return newPixels("x/255", func(x float32) float32 { return x / 255 })
}

// StandardPixels maps x to (x/255 − mean)/std, mean and std being on the scale
// 0…1, as PyTorch's Normalize has it (MNIST: 0.1307 and 0.3081).
func StandardPixels(mean, std float64) (Pixels, error) {
	convert, err := standard(mean, std)
	if err != nil {
		return Pixels{}, err
	}
	return newPixels(fmt.Sprintf("(x/255-%g)/%g", mean, std), convert), nil
}

// ChannelPixels is StandardPixels with a mean and a deviation for each channel, in the
// order in which the channels are fed (ImageNet's red, green and blue: 0.485, 0.456,
// 0.406 and 0.229, 0.224, 0.225). Images must have as many channels then.
func ChannelPixels(means, stds []float64) (Pixels, error) {
	if len(means) != len(stds) || len(means) == 0 {
		return Pixels{}, fmt.Errorf(
			"%w: %d means and %d standard deviations; there is one of each for every channel", ErrArgument,
			len(means), len(stds))
	}
	tables := make([][256]float32, len(means))
	for c := range tables {
		convert, err := standard(means[c], stds[c])
		if err != nil {
			return Pixels{}, fmt.Errorf("channel %d: %w", c, err)
		}
		tables[c] = tableOf(convert)
	}
	return Pixels{channels: &tables, name: fmt.Sprintf("(x/255-(%s))/(%s)", numbers(means),
		numbers(stds))}, nil
}

func numbers(values []float64) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = fmt.Sprintf("%g", v)
	}
	return strings.Join(texts, ",")
}

func standard(mean, std float64) (func(float32) float32, error) {
	m, s := float32(mean), float32(std)
	lowest, highest := (0-m)/s, (1-m)/s
	if !(s > 0) || !finite(m) || !finite(s) || !finite(lowest) || !finite(highest) {
		return nil, fmt.Errorf(
			"%w: mean %g, standard deviation %g; the deviation must be over 0 and both finite",
			ErrArgument, mean, std)
	}
	return func(x float32) float32 { return (x/255 - m) / s }, nil
}

func newPixels(name string, convert func(float32) float32) Pixels {
	table := tableOf(convert)
	return Pixels{table: &table, name: name}
}

func tableOf(convert func(float32) float32) (table [256]float32) {
	for x := range table {
		table[x] = convert(float32(x))
	}
	return table
}

// ReversedChannels returns the same formula with the last channel fed first: blue,
// green, red of images that are stored as red, green, blue. Images must have three
// channels then.
func (p Pixels) ReversedChannels() Pixels {
	p.reversed = !p.reversed
	return p
}

// Table returns the float32 of each byte, where one formula is for all channels; that of
// the first channel otherwise. ChannelTable is for both.
func (p Pixels) Table() [256]float32 { return p.ChannelTable(0) }

// ChannelTable returns the float32 of each byte of a channel, 0 being the one that is fed
// first. It panics on a channel that CheckChannels refuses.
func (p Pixels) ChannelTable(channel int) [256]float32 {
	switch {
	case p.channels != nil:
		return (*p.channels)[channel]
	case p.table != nil:
		return *p.table
	}
	return tableOf(func(x float32) float32 { return x })
}

// CheckChannels refuses a number of channels that these pixels are not for.
func (p Pixels) CheckChannels(channels int) error {
	if p.channels != nil && len(*p.channels) != channels {
		return fmt.Errorf("%w: pixels are fed as %s, which is of %d channels; the images have %d",
			ErrArgument, p, len(*p.channels), channels)
	}
	if p.reversed && channels != 3 {
		return fmt.Errorf("%w: blue, green, red is an order of 3 channels; the images have %d",
			ErrArgument, channels)
	}
	return nil
}

// String is the formula, x being the byte.
func (p Pixels) String() string {
	name := p.name
	if p.table == nil && p.channels == nil {
		name = "x"
	}
	if p.reversed {
		return name + ", blue first"
	}
	return name
}

func finite(x float32) bool {
	return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0)
}

// Feed writes images, N×C×H×W bytes of size bytes an image, as they are fed: as many values
// to dst. Pixels must be for as many channels as the images have.
func (p Pixels) Feed(dst []float32, images []uint8, channels, size int) error {
	if size < 1 || channels < 1 || size%channels != 0 || len(images)%size != 0 ||
		len(dst) < len(images) {
		return fmt.Errorf("%w: %d bytes of images of %d with %d channels into a buffer of %d", ErrSize,
			len(images), size, channels, len(dst))
	}
	if err := p.CheckChannels(channels); err != nil {
		return err
	}
	for first := 0; first < len(images); first += size {
		p.Image(dst[first:], images[first:first+size], channels)
	}
	return nil
}

// Image writes one image, C×H×W bytes, as it is fed: as many values to dst. CheckChannels must
// have taken the number of channels.
func (p Pixels) Image(dst []float32, image []uint8, channels int) {
	out := dst[:len(image)]
	if p.channels != nil || p.reversed {
		p.fillChannels(out, image, channels)
		return
	}
	convert(out, image, p.table)
}

// convert looks bytes up in a table, which costs less than converting them; nil keeps them.
func convert(out []float32, image []uint8, table *[256]float32) {
	if table == nil {
		for j, x := range image {
			out[j] = float32(x)
		}
		return
	}
	for j, x := range image {
		out[j] = table[x]
	}
}

// fillChannels writes an image of C×H×W bytes, each channel by its own table.
func (p Pixels) fillChannels(dst []float32, image []uint8, channels int) {
	area := len(image) / channels
	for to := range channels {
		from := to
		if p.reversed {
			from = channels - 1 - to
		}
		out := dst[to*area:][:area]
		convert(out, image[from*area:][:area], p.tableOf(to))
	}
}

// tableOf is a channel's table, nil where bytes are fed as they are.
func (p Pixels) tableOf(channel int) *[256]float32 {
	if p.channels != nil {
		return &(*p.channels)[channel]
	}
	return p.table
}
