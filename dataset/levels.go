package dataset

import (
	"fmt"
	"math"
)

// Levels counts how often each level 0…255 is there in each channel of images. The
// counts are whole numbers, so they do not depend on the order of the images.
type Levels struct {
	counts [][256]uint64 // of each channel
}

// NewLevels returns the counts of no image yet, of images with that many channels.
func NewLevels(channels int) (*Levels, error) {
	if channels < 1 {
		return nil, fmt.Errorf("%w: levels of %d channels; images have at least 1", ErrArgument, channels)
	}
	return &Levels{counts: make([][256]uint64, channels)}, nil
}

// Add counts an image, C×H×W.
func (l *Levels) Add(image []uint8) error {
	if len(image)%len(l.counts) != 0 {
		return fmt.Errorf("%w: an image of %d bytes has no %d equal channels", ErrSize, len(image),
			len(l.counts))
	}
	area := len(image) / len(l.counts)
	for channel := range l.counts {
		counts := &l.counts[channel]
		for _, level := range image[channel*area:][:area] {
			counts[level]++
		}
	}
	return nil
}

// MeansAndDeviations returns the mean and the standard deviation of each channel, over
// all pixels of all images (the whole population, as numpy's std), on the scale 0…1.
// All are 0 where no image was added.
func (l *Levels) MeansAndDeviations() (means, deviations []float64) {
	for channel := range l.counts {
		mean, deviation := meanAndDeviation(&l.counts[channel])
		means, deviations = append(means, mean/255), append(deviations, deviation/255)
	}
	return means, deviations
}

// meanAndDeviation of the levels themselves. The conversions keep products and sums
// apart: fused, they would round otherwise on some processors.
func meanAndDeviation(counts *[256]uint64) (mean, deviation float64) {
	var pixels, sum uint64
	for level, count := range counts {
		pixels, sum = pixels+count, sum+uint64(level)*count
	}
	if pixels == 0 {
		return 0, 0
	}
	mean = float64(sum) / float64(pixels)
	squares := 0.0
	for level, count := range counts {
		d := float64(level) - mean
		squares += float64(float64(d*d) * float64(count))
	}
	return mean, math.Sqrt(squares / float64(pixels))
}

func (l *Levels) addCounts(channel int, counts *[256]uint64) {
	for level, count := range counts {
		l.counts[channel][level] += count
	}
}

// Channels returns how many channels there are.
func (l *Levels) Channels() int { return len(l.counts) }

// Range returns the lowest and the highest level of a channel, 0 being the first. Both are
// 0 where no image was added.
func (l *Levels) Range(channel int) (lowest, highest uint8) {
	counts := &l.counts[channel]
	for level := range counts {
		if counts[level] > 0 {
			highest = uint8(level)
		}
	}
	for level := range counts {
		if counts[level] > 0 {
			return uint8(level), highest
		}
	}
	return 0, 0
}

// Together returns the counts of all channels as if they were one.
func (l *Levels) Together() *Levels {
	sum := &Levels{counts: make([][256]uint64, 1)}
	for channel := range l.counts {
		sum.addCounts(0, &l.counts[channel])
	}
	return sum
}
