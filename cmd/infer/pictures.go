package main

import (
	"fmt"
	"slices"

	"slipway/dataset"
	"slipway/dataset/picture"
	"slipway/internal/cli"
)

// pictureOptions is how pictures are read for a model: to the size that the flags say,
// or that its record does, and in as many channels as its input has.
func (l *loaded) pictureOptions(flags *cli.Pictures) (dataset.Options, error) {
	options := flags.Apply(dataset.Options{Part: dataset.Test, Channels: l.inputChannels()})
	if options.Sizing != nil || l.record == nil || l.record.Sizing == "" {
		return options, nil
	}
	sizing, err := picture.ParseSizing(l.record.Sizing)
	if err != nil {
		return options, fmt.Errorf("%s: its training record: %w", l.modelPath, err)
	}
	options.Sizing = &sizing
	return options, nil
}

// inputChannels are those of the model's input, 0 where it does not say whether it takes
// grey or coloured images.
func (l *loaded) inputChannels() int {
	inputs := l.model.Inputs()
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

// named gives the labels of a folder of pictures, which are in the order of its folders,
// the order of the model's classes, where it has them by name. A set that shares some names
// with the model and has others is refused: its labels would mean one thing here, and
// another there. One that shares none is taken by the order of its classes, and the report
// says so.
func (l *loaded) named(set dataset.Source) (dataset.Source, error) {
	names := set.Info().ClassNames
	if l.record == nil || len(dataset.FileNames(set)) == 0 || slices.Equal(names, l.record.ClassLabels) {
		return set, nil
	}
	if relabelled, err := dataset.Relabelled(set, l.record.ClassLabels); err == nil {
		return relabelled, nil
	}
	unknown, shared := "", false
	for _, name := range names {
		switch {
		case slices.Contains(l.record.ClassLabels, name):
			shared = true
		case unknown == "":
			unknown = name
		}
	}
	if shared && unknown != "" {
		return nil, fmt.Errorf("%s has the class %q, which %s does not have; take it out of the set, or call it as the model does",
			set.Info().Name, unknown, l.modelPath)
	}
	return set, nil
}
