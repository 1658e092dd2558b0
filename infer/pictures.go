package infer

import (
	"fmt"
	"slices"

	"slipway/dataset"
	"slipway/dataset/picture"
	"slipway/onnx"
)

// PictureOptions adds to the options how pictures are read for a model: to the size that
// its training record says, where the options say none, and in as many channels as its
// input has. The record may be nil.
func PictureOptions(model *onnx.Model, record *onnx.TrainingRecord, options dataset.Options) (
	dataset.Options, error,
) {
	options.Channels = inputChannels(model)
	if options.Sizing != nil || record == nil || record.Sizing == "" {
		return options, nil
	}
	sizing, err := picture.ParseSizing(record.Sizing)
	if err != nil {
		return options, fmt.Errorf("the model's training record: %w", err)
	}
	options.Sizing = &sizing
	return options, nil
}

// inputChannels are those of the model's input, 0 where it does not say whether it takes
// grey or coloured images.
func inputChannels(model *onnx.Model) int {
	inputs := model.Inputs()
	if len(inputs) != 1 || len(inputs[0].Dims) != 4 {
		return 0
	}
	for _, dim := range []int{1, 3} {
		if size := inputs[0].Dims[dim].Size; size == 1 || size == 3 {
			return int(size)
		}
	}
	return 0
}

// InModelOrder gives the labels of pictures in files, which are in the order of their
// folders, the order of the model's classes, where its record has them all by name. Other
// sets are returned as they are. The record may be nil.
func InModelOrder(set dataset.Source, record *onnx.TrainingRecord) dataset.Source {
	if record == nil || len(dataset.FileNames(set)) == 0 ||
		slices.Equal(set.Info().ClassNames, record.ClassLabels) {
		return set
	}
	if relabelled, err := dataset.Relabelled(set, record.ClassLabels); err == nil {
		return relabelled
	}
	return set
}
