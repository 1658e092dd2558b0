package train

import (
	"fmt"
	"strconv"
	"strings"

	"slipway/dataset"
)

// Ways of feeding the bytes of an image. A third is MEAN,STD, such as
// 0.1307,0.3081: (x/255 − MEAN)/STD, as PyTorch's Normalize has it.
const (
	PixelsRaw  = "0-255" // as they are
	PixelsUnit = "0-1"   // divided by 255
)

// parsePixels reads a way of feeding pixels: as what dataset fills images by, and
// as the factor and the summand of a byte.
func parsePixels(text string) (pixels dataset.Pixels, scale, offset float64, err error) {
	switch text {
	case PixelsRaw:
		return dataset.Pixels{}, 1, 0, nil
	case PixelsUnit:
		return dataset.UnitPixels(), 1.0 / 255, 0, nil
	}
	unknown := fmt.Errorf("pixels %q; there are %s, %s and MEAN,STD, such as 0.1307,0.3081", text, PixelsRaw, PixelsUnit)
	first, second, ok := strings.Cut(text, ",")
	if !ok {
		return pixels, 0, 0, unknown
	}
	mean, meanErr := strconv.ParseFloat(first, 64)
	deviation, deviationErr := strconv.ParseFloat(second, 64)
	if meanErr != nil || deviationErr != nil {
		return pixels, 0, 0, unknown
	}
	if pixels, err = dataset.StandardPixels(mean, deviation); err != nil {
		return pixels, 0, 0, fmt.Errorf("pixels %q: %w", text, err)
	}
	return pixels, 1 / (255 * deviation), -mean / deviation, nil
}

// PixelTransform returns the factor and the summand that make an input of a
// pixel, for a training record.
func (c Config) PixelTransform() (scale, offset float64, err error) {
	setDefault(&c.Pixels, PixelsRaw)
	_, scale, offset, err = parsePixels(c.Pixels)
	return scale, offset, err
}

// PixelsFor is PixelTransform backwards: it returns the Config.Pixels of a factor
// and a summand, a factor of 0 standing for 1.
func PixelsFor(scale, offset float64) string {
	if scale == 0 {
		scale = 1
	}
	switch {
	case offset == 0 && scale == 1:
		return PixelsRaw
	case offset == 0 && scale == 1.0/255:
		return PixelsUnit
	}
	// Pixels are float32: no more digits count.
	digits := func(value float64) string { return strconv.FormatFloat(value, 'g', -1, 32) }
	deviation := 1 / (255 * scale)
	return digits(-offset*deviation) + "," + digits(deviation)
}
