package onnx

import (
	"fmt"

	"slipway/onnx/onnxpb"
)

// formulaStep is one operation of the pixel formula. Its values are one for all pixels, or
// one for each entry of the last axis.
type formulaStep struct {
	operator, name string
	values         []float32
}

// pixelFormula returns the operations of the record's formula, (x/255 − mean)/deviation
// where it is not one of the two simpler ones, in float32 and in the order in which
// dataset.Pixels computes it. They come before any Transpose: images are N×H×W×C there, or
// features N×F. dims are those of the model's own input.
func pixelFormula(record TrainingRecord, dims []*onnxpb.TensorShapeProto_Dimension) (
	[]formulaStep, error,
) {
	scales, offsets := record.PixelTransform()
	unit := formulaStep{"Div", "pixels.largest", []float32{255}}
	if len(scales) == 1 && offsets[0] == 0 {
		switch scales[0] {
		case 1:
			return nil, nil
		case 1.0 / 255:
			return []formulaStep{unit}, nil
		}
	}
	repeat, err := repetitions(len(scales), dims)
	if err != nil {
		return nil, err
	}
	var means, deviations []float32
	for channel, scale := range scales {
		deviation := 1 / (255 * scale)
		for range repeat {
			means = append(means, float32(-offsets[channel]*deviation))
			deviations = append(deviations, float32(deviation))
		}
	}
	return []formulaStep{unit, {"Sub", "pixels.mean", means},
		{"Div", "pixels.deviation", deviations}}, nil
}

// maxFeatures bounds the constants that a formula of each channel needs for features.
const maxFeatures = 1 << 24

// repetitions says how often each channel's number stands in a row along the last axis:
// once in N×H×W×C, H·W times in features, which are C×H×W in a row.
func repetitions(channels int, dims []*onnxpb.TensorShapeProto_Dimension) (int, error) {
	if channels == 1 {
		return 1, nil
	}
	size := dims[1].GetDimValue()
	if len(dims) == 4 && channelsLast(dims) {
		size = dims[3].GetDimValue()
	}
	switch {
	case len(dims) == 4 && size == int64(channels):
		return 1, nil
	case len(dims) == 2 && size > 0 && size <= maxFeatures && size%int64(channels) == 0:
		return int(size) / channels, nil
	}
	return 0, fmt.Errorf(
		"its pixels are fed by a formula for each of %d channels, and its input does "+
			"not declare images of as many", channels)
}
