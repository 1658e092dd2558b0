package dataset

import "slipway/dataset/feed"

// Pixels says how bytes become float32, and is that of package feed. The zero value keeps
// 0…255.
type Pixels = feed.Pixels

// UnitPixels maps 0…255 to 0…1: x/255.
func UnitPixels() Pixels { return feed.UnitPixels() }

// StandardPixels maps x to (x/255 − mean)/std, mean and std being on the scale
// 0…1, as PyTorch's Normalize has it (MNIST: 0.1307 and 0.3081).
func StandardPixels(mean, std float64) (Pixels, error) { return feed.StandardPixels(mean, std) }

// ChannelPixels is StandardPixels with a mean and a deviation for each channel, in the
// order in which the channels are fed.
func ChannelPixels(means, stds []float64) (Pixels, error) { return feed.ChannelPixels(means, stds) }
