package infer

import (
	"fmt"
	"slices"

	"slipway/dataset"
	"slipway/infer/port"
	"slipway/onnx"
)

// PictureOptions adds to the options how pictures are read for a model: to the size that
// its training record says, where the options say none, and in as many channels as its
// input has, with any number of labels where it gives them. The record may be nil.
func PictureOptions(model *onnx.Model, record *onnx.TrainingRecord, options dataset.Options) (
	dataset.Options, error,
) {
	options.Channels = port.Channels(model)
	options.MultiLabel = options.MultiLabel || record != nil && record.MultiLabel()
	if options.Sizing != nil || record == nil {
		return options, nil
	}
	var err error
	options.Sizing, err = port.SizingOf(*record)
	return options, err
}

// InModelOrder gives the labels of pictures in files, which are in the order of their
// folders, the order of the model's classes, where its record has them all by name. A set
// that shares some names with the model and has others is refused: its labels would mean
// one thing here, and another there. One that shares none is taken by the order of its
// classes; OtherClasses says so. Other sets are returned as they are, and all where the
// record is nil.
func InModelOrder(set dataset.Source, record *onnx.TrainingRecord) (dataset.Source, error) {
	names := set.Info().ClassNames
	if record == nil || len(dataset.FileNames(set)) == 0 || slices.Equal(names, record.ClassLabels) {
		return set, nil
	}
	if relabelled, err := dataset.Relabelled(set, record.ClassLabels); err == nil {
		return relabelled, nil
	}
	unknown, shared := "", false
	for _, name := range names {
		switch {
		case slices.Contains(record.ClassLabels, name):
			shared = true
		case unknown == "":
			unknown = name
		}
	}
	if shared && unknown != "" {
		return nil, fmt.Errorf("%s has the class %q, which the model does not have; "+
			"take it out of the set, or call it as the model does", set.Info().Name, unknown)
	}
	return set, nil
}
