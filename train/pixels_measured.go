package train

import (
	"context"
	"fmt"
	"math"

	"slipway/dataset"
)

// measuredDigits is how many decimals of a measured mean or deviation are kept, on the
// scale 0…1: as many as published figures have. A level of 255 is 0.0039.
const measuredDigits = 4

// readyPixels returns the constants that pixels are fed by, measured on the set where the
// text asks for that, and what fills images by them.
func readyPixels(text string, training dataset.Source, info dataset.Info) (
	constants string, pixels dataset.Pixels, err error,
) {
	if text == PixelsMeasured {
		if text, err = measurePixels(training, info); err != nil {
			return "", pixels, err
		}
	}
	if pixels, _, _, err = parsePixels(text); err != nil {
		return "", pixels, err
	}
	return text, pixels, fitsChannels(text, pixels, info.Channels)
}

// measurePixels returns the text of the set's own means and deviations: MEAN,STD of one
// channel, mean=…,std=… of several. They are rounded, so that the text is short and each
// machine's the same.
func measurePixels(source dataset.Source, set dataset.Info) (string, error) {
	levels, err := dataset.NewLevels(set.Channels)
	if err != nil {
		return "", fmt.Errorf("data %s: measure pixels: %w", set.Name, err)
	}
	image := make([]uint8, set.Channels*set.Height*set.Width)
	for i := range source.Len() {
		if err := source.Read(context.Background(), image, nil, []int{i}, 0); err != nil {
			return "", fmt.Errorf("measure pixels: %w", err)
		}
		if err := levels.Add(image); err != nil {
			return "", fmt.Errorf("data %s: measure pixels: image %d: %w", set.Name, i, err)
		}
	}
	means, deviations := levels.MeansAndDeviations()
	const unit = 1e4 // 10^measuredDigits
	for channel := range means {
		means[channel] = math.Round(means[channel]*unit) / unit
		deviations[channel] = math.Round(deviations[channel]*unit) / unit
		if deviations[channel] == 0 {
			return "", fmt.Errorf("data %s: channel %d of %d is %.*f in all pixels of all images: its "+
				"deviation is 0, and nothing can be divided by it; give -pixels constants instead of %s",
				set.Name, channel+1, len(means), measuredDigits, means[channel], PixelsMeasured)
		}
	}
	return formatPixels(means, deviations), nil
}

// goesOnWith refuses to resume with what was measured now, where the run was fed otherwise.
func goesOnWith(saved, now Config) error {
	name, was, is := "pixels", saved.Pixels, now.Pixels
	if was == is {
		name, was, is = "class_weights", saved.Loss.ClassWeights.String(), now.Loss.ClassWeights.String()
	}
	if was == is {
		return nil
	}
	return fmt.Errorf(
		"cannot resume with other settings: %s was %q and is now %q, which is measured; "+
			"start a new run from these weights with -init instead", name, was, is)
}
