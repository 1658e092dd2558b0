package infer

import (
	"errors"
	"fmt"

	"slipway/dataset"
	"slipway/dataset/feed"
	"slipway/infer"
	"slipway/internal/cli"
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

// parsePixels reads -pixels and -channels; nil where none is given.
func (f *runFlags) parsePixels(given map[string]bool) (*feeding, error) {
	if !given["pixels"] && f.channels != channelsBGR {
		return nil, nil
	}
	feeding := &feeding{bgr: f.channels == channelsBGR}
	if given["pixels"] {
		pixels, _, _, err := feed.Parse(f.pixelsText)
		if err != nil {
			return nil, fmt.Errorf("-%w", err)
		}
		feeding.formula = &pixels
	}
	return feeding, nil
}

// renamed tells of a flag that has another name now.
func renamed(err error) error {
	var unknown *cli.UnknownFlagError
	if !errors.As(err, &unknown) {
		return err
	}
	switch unknown.Name {
	case "scale":
		return fmt.Errorf("unknown flag -%s: it is -pixels %s now, and -%s=false -pixels %s",
			unknown.Name, feed.Unit, unknown.Name, feed.Raw)
	case "normalize":
		return fmt.Errorf("unknown flag -%s: it is -pixels MEAN,STD now, and for each channel "+
			"-pixels mean=0.485,0.456,0.406,std=0.229,0.224,0.225", unknown.Name)
	}
	return err
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
