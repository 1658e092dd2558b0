package feed

import (
	"fmt"
	"slices"
	"strings"

	"slipway/internal/numberlist"
)

// Ways of feeding the bytes of an image that have a name, x being 0…255.
const (
	Raw      = "0-255"    // as they are
	Unit     = "0-1"      // divided by 255
	Half     = "0.5"      // (x/255 − 0.5)/0.5, which is −1…1
	ImageNet = "imagenet" // by the means and deviations of ImageNet's red, green and blue
)

// Names lists the ways that have a name.
func Names() []string { return []string{Raw, Unit, Half, ImageNet} }

// ImageNetConstants are the figures of ImageNet's training pictures that torchvision's models are
// trained with (torchvision.transforms, ImageClassification), on the scale 0…1: red, green, blue.
func ImageNetConstants() (means, deviations []float64) {
	return []float64{0.485, 0.456, 0.406}, []float64{0.229, 0.224, 0.225}
}

// Parse reads a way of feeding pixels: one of Names, or constants on the scale 0…1,
//
//	MEAN,STD               (x/255 − MEAN)/STD, as PyTorch's Normalize has it: 0.1307,0.3081
//	mean=M,…,std=S,…       the same with a mean and a deviation for each channel, in the
//	                       order of the channels; a single one is that of all of them
//
// scales and offsets are the factor and the summand of a byte, one of each for all channels or one
// for each. An error of a text that is none of these names them all, and the others, which are
// ways that the caller knows.
func Parse(text string, others ...string) (
	pixels Pixels, scales, offsets []float64, err error,
) {
	means, deviations := []float64{0.5}, []float64{0.5}
	switch text {
	case Raw:
		return Pixels{}, []float64{1}, []float64{0}, nil
	case Unit:
		return UnitPixels(), []float64{1.0 / 255}, []float64{0}, nil
	case ImageNet:
		means, deviations = ImageNetConstants()
	case Half:
	default:
		if means, deviations, err = parseConstants(text, others); err != nil {
			return pixels, nil, nil, err
		}
	}
	if len(means) == 1 {
		pixels, err = StandardPixels(means[0], deviations[0])
	} else {
		pixels, err = ChannelPixels(means, deviations)
	}
	if err != nil {
		return pixels, nil, nil, fmt.Errorf("pixels %q: %w", text, err)
	}
	for channel, deviation := range deviations {
		scales = append(scales, 1/(255*deviation))
		offsets = append(offsets, -means[channel]/deviation)
	}
	return pixels, scales, offsets, nil
}

// parseConstants reads MEAN,STD or mean=…,std=…, and returns as many means as deviations.
func parseConstants(text string, others []string) (means, deviations []float64, err error) {
	names := slices.Concat(Names(), others)
	unknown := fmt.Errorf(
		"pixels %q; there are %s, MEAN,STD, such as 0.1307,0.3081, and mean=…,std=… "+
			"with one number for all channels or one for each, such as "+
			"mean=0.485,0.456,0.406,std=0.229,0.224,0.225", text, strings.Join(names, ", "))
	first, second, ok := strings.Cut(text, ",")
	lists, perChannel := strings.CutPrefix(text, "mean=")
	if perChannel {
		first, second, ok = strings.Cut(lists, ",std=")
	}
	if !ok {
		return nil, nil, unknown
	}
	means, meanErr := numberlist.Parse(first)
	deviations, deviationErr := numberlist.Parse(second)
	if meanErr != nil || deviationErr != nil || !perChannel && len(deviations) != 1 {
		return nil, nil, unknown
	}
	switch {
	case len(means) == 1:
		means = slices.Repeat(means, len(deviations))
	case len(deviations) == 1:
		deviations = slices.Repeat(deviations, len(means))
	case len(means) != len(deviations):
		return nil, nil, fmt.Errorf("pixels %q: %d means and %d deviations; give one of each for every "+
			"channel, or a single one for all", text, len(means), len(deviations))
	}
	return means, deviations, nil
}
