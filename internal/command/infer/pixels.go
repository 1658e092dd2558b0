package infer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"slipway/dataset"
	"slipway/infer"
	"slipway/onnx"
)

// Values of -channels.
const (
	channelsRGB = "rgb"
	channelsBGR = "bgr"
)

// feeding is how the flags want pixels fed.
type feeding struct {
	formula *dataset.Pixels // nil: as the model's record says
	bgr     bool
}

// parsePixels reads -scale, -normalize and -channels; nil where none is given.
func (f *runFlags) parsePixels(given map[string]bool) (*feeding, error) {
	if !given["scale"] && !given["normalize"] && f.channels != channelsBGR {
		return nil, nil
	}
	feed := &feeding{bgr: f.channels == channelsBGR}
	switch {
	case given["scale"] && given["normalize"]:
		return nil, errors.New("-scale and -normalize do not go together; -normalize scales, too")
	case given["scale"]:
		feed.formula = &dataset.Pixels{}
		if f.scale {
			*feed.formula = dataset.UnitPixels()
		}
	case given["normalize"]:
		pixels, err := parseNormalize(f.normalize)
		if err != nil {
			return nil, fmt.Errorf("-normalize %q: %w", f.normalize, err)
		}
		feed.formula = &pixels
	}
	return feed, nil
}

func parseNormalize(text string) (dataset.Pixels, error) {
	var numbers []float64
	for field := range strings.SplitSeq(text, ",") {
		number, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
		if err != nil {
			numbers = nil
			break
		}
		numbers = append(numbers, number)
	}
	channels := len(numbers) / 2
	switch {
	case channels == 0 || len(numbers)%2 != 0:
		return dataset.Pixels{}, errors.New("MEAN,STD is wanted, such as 0.1307,0.3081, or a mean for each channel and then a deviation for each, " +
			"such as 0.485,0.456,0.406,0.229,0.224,0.225")
	case channels == 1:
		return dataset.StandardPixels(numbers[0], numbers[1])
	}
	return dataset.ChannelPixels(numbers[:channels], numbers[channels:])
}

// pixelsFor returns how a model with that record, nil for none, is fed.
func (f *feeding) pixelsFor(record *onnx.TrainingRecord) (pixels dataset.Pixels, err error) {
	switch {
	case f != nil && f.formula != nil:
		pixels = *f.formula
	case record != nil:
		if pixels, err = infer.PixelsOf(*record); err != nil {
			return dataset.Pixels{}, err
		}
	}
	if f != nil && f.bgr {
		pixels = pixels.ReversedChannels()
	}
	return pixels, nil
}
