package train

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"slipway/builder"
	"slipway/dataset"
	feeding "slipway/dataset/feed"
)

// Ways of feeding the bytes of an image, x being 0…255. Constants are two more, as feed.Parse reads
// them: MEAN,STD, and mean=…,std=… for each channel.
const (
	PixelsRaw      = feeding.Raw      // as they are
	PixelsUnit     = feeding.Unit     // divided by 255
	PixelsHalf     = feeding.Half     // (x/255 − 0.5)/0.5, which is −1…1
	PixelsImageNet = feeding.ImageNet // by the means and deviations of ImageNet's red, green and blue
	// PixelsMeasured takes the mean and the deviation of each channel from the images
	// that are trained on: without those held out for validation, before any
	// augmentation. New puts what it measured in its place, as constants.
	PixelsMeasured = "measured"
)

// PixelsNames lists the ways that have a name.
func PixelsNames() []string { return append(feeding.Names(), PixelsMeasured) }

var errNotMeasured = errors.New("pixels are measured on a training set, and here is none; " +
	"give the constants, as the run's config.json has them")

// parsePixels reads a way of feeding pixels: as what dataset fills images by, and as the
// factor and the summand of a byte, one of each for all channels or one for each.
func parsePixels(text string) (pixels dataset.Pixels, scales, offsets []float64, err error) {
	if text == PixelsMeasured {
		return pixels, nil, nil, errNotMeasured
	}
	return feeding.Parse(text, PixelsMeasured)
}

// PixelTransform returns the factor and the summand that make an input of a pixel, for a
// training record: one of each for all channels, or one for each channel in their order.
// Pixels that are to be measured have none yet, which is an error.
func (c Config) PixelTransform() (scales, offsets []float64, err error) {
	setDefault(&c.Pixels, PixelsRaw)
	_, scales, offsets, err = parsePixels(c.Pixels)
	return scales, offsets, err
}

// PixelsFor is PixelTransform backwards: it returns the Config.Pixels of the factors and
// the summands, as many of these as of those, a factor of 0 standing for 1.
func PixelsFor(scales, offsets []float64) string {
	means, deviations := make([]float64, len(scales)), make([]float64, len(scales))
	for channel, scale := range scales {
		if scale == 0 {
			scale = 1
		}
		offset := offsets[channel]
		if len(scales) == 1 && offset == 0 && scale == 1 {
			return PixelsRaw
		}
		if len(scales) == 1 && offset == 0 && scale == 1.0/255 {
			return PixelsUnit
		}
		deviations[channel] = 1 / (255 * scale)
		means[channel] = -offset * deviations[channel]
	}
	return formatPixels(means, deviations)
}

// formatPixels returns the text of constants. Pixels are float32: no more digits count.
func formatPixels(means, deviations []float64) string {
	list := func(values []float64) string {
		texts := make([]string, len(values))
		for i, value := range values {
			texts[i] = strconv.FormatFloat(value, 'g', -1, 32)
		}
		return strings.Join(texts, ",")
	}
	if len(means) == 1 {
		return list(means) + "," + list(deviations)
	}
	text := func(means, deviations []float64) string {
		return "mean=" + list(means) + ",std=" + list(deviations)
	}
	found := text(means, deviations)
	if found == text(feeding.ImageNetConstants()) {
		return PixelsImageNet
	}
	return found
}

// checkPixels refuses a text that is no way of feeding pixels, and one that is not for the
// images of the network. What is measured fits any.
func checkPixels(text string, network *builder.Network) error {
	if text == PixelsMeasured {
		return nil
	}
	pixels, _, _, err := parsePixels(text)
	if err != nil {
		return err
	}
	if input := network.Input(); len(input) == 3 {
		return fitsChannels(text, pixels, input[0])
	}
	return nil
}

// fitsChannels refuses pixels of another number of channels than the images have.
func fitsChannels(text string, pixels dataset.Pixels, channels int) error {
	if err := pixels.CheckChannels(channels); err != nil {
		return fmt.Errorf("pixels %s: %w; feed them as %s, or as %s, %s or MEAN,STD, which are for any",
			text, err, PixelsMeasured, PixelsUnit, PixelsHalf)
	}
	return nil
}
