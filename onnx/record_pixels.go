package onnx

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// PixelTransform returns the factor and the summand that make an input of a pixel of
// 0…255: one of each for all channels, or one for each channel.
func (r TrainingRecord) PixelTransform() (scales, offsets []float64) {
	return pixelTransform(r.PixelScale, r.PixelOffset, r.PixelScales, r.PixelOffsets)
}

// pixelTransform is PixelTransform of fields that a record and a Form have alike.
func pixelTransform(scale, offset float64, each, offsetOfEach []float64) (
	scales, offsets []float64,
) {
	if len(each) > 0 {
		return each, offsetOfEach
	}
	if scale == 0 {
		scale = 1
	}
	return []float64{scale}, []float64{offset}
}

// SetPixelTransform records the factors and the summands of pixels, one of each for all
// channels or one for each.
func (r *TrainingRecord) SetPixelTransform(scales, offsets []float64) error {
	next := *r
	next.setPixelTransform(scales, offsets)
	if err := next.checkPixels(); err != nil {
		return err
	}
	*r = next
	return nil
}

func (r *TrainingRecord) setPixelTransform(scales, offsets []float64) {
	r.PixelScale, r.PixelOffset, r.PixelScales, r.PixelOffsets = 0, 0, nil, nil
	if len(scales) == 1 && len(offsets) == 1 {
		r.PixelScale, r.PixelOffset = scales[0], offsets[0]
		return
	}
	r.PixelScales, r.PixelOffsets = scales, offsets
}

func (r TrainingRecord) checkPixels() error {
	each := len(r.PixelScales) > 0 || len(r.PixelOffsets) > 0
	switch {
	case len(r.PixelScales) != len(r.PixelOffsets):
		return fmt.Errorf("pixels are scaled by %d numbers and moved by %d; there is one of each for "+
			"every channel", len(r.PixelScales), len(r.PixelOffsets))
	case each && (r.PixelScale != 0 || r.PixelOffset != 0):
		return fmt.Errorf(
			"pixels are scaled by %v and moved by %v in all channels, and otherwise in each; "+
				"only one of both can be", r.PixelScale, r.PixelOffset)
	}
	scales, offsets := r.PixelScales, r.PixelOffsets
	if !each {
		scales, offsets = []float64{r.PixelScale}, []float64{r.PixelOffset}
	}
	for channel, scale := range scales {
		if offset := offsets[channel]; !finite(scale) || !finite(offset) || scale == 0 {
			return fmt.Errorf(
				"pixels are scaled by %v and moved by %v; both must be finite, the scale not 0",
				scale, offset)
		}
	}
	return nil
}

// numberList writes numbers with commas between them, each with the fewest digits that
// read back as the same value. A reader that knows of one number alone takes a list for
// none, and does not feed the channels alike.
func numberList(values []float64) string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = strconv.FormatFloat(value, 'g', -1, 64)
	}
	return strings.Join(texts, ",")
}

func finite(value float64) bool { return !math.IsNaN(value) && !math.IsInf(value, 0) }
