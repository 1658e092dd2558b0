package study

import (
	"context"
	"fmt"

	"slipway/dataset"
)

// open opens the data sets, once for all runs.
func (e *execution) open(ctx context.Context) error {
	training, err := dataset.OpenSource(ctx, e.file.Data, e.reading(dataset.Train))
	if err != nil {
		return err
	}
	test, err := e.openTest(ctx, training)
	if err != nil {
		return err
	}
	e.test = test.Info()
	if test, err = dataset.First(test, e.file.TestImages); err != nil {
		return err
	}
	if training, err = dataset.First(training, e.file.Images); err != nil {
		return err
	}
	e.sets = data{training, test}
	e.keys.training, e.keys.test = training.Info().SHA256, test.Info().SHA256
	return nil
}

// openTest opens the test set that the file names, or the one that belongs to the
// training set.
func (e *execution) openTest(ctx context.Context, training dataset.Source) (dataset.Source, error) {
	if e.file.Test != "" {
		return dataset.OpenSource(ctx, e.file.Test, e.reading(dataset.Test))
	}
	test, err := dataset.OpenTest(ctx, training, e.reading(dataset.Test))
	if err == nil && test == nil {
		err = fmt.Errorf("%s: %s has no test set beside it; name one with test: SET", e.file.Path, training.Info().Name)
	}
	return test, err
}

func (e *execution) reading(part dataset.Part) dataset.Options {
	options := dataset.Options{Part: part}
	if part == dataset.Train {
		options.DataDir = e.options.DataDir
	}
	if e.options.Messages != nil {
		options.Messages = lineWriter(e.options.Messages)
	}
	return options
}
