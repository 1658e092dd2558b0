package study

import (
	"context"
	"errors"
	"fmt"

	"slipway/dataset"
)

// open opens the data sets, once for all runs.
func (e *execution) open(ctx context.Context) error {
	training, err := dataset.OpenSource(ctx, e.file.Data, e.reading(dataset.Train))
	if err != nil {
		return e.unopened("data", err)
	}
	if err := training.Info().OneLabel("a study"); err != nil {
		return e.unopened("data", err)
	}
	test, err := e.openTest(ctx, training)
	if err != nil {
		return e.unopened("test", err)
	}
	if err := test.Info().OneLabel("a study"); err != nil {
		return e.unopened("test", err)
	}
	if test, err = dataset.MatchClasses(test, training.Info().ClassNames); err != nil {
		return fmt.Errorf("%s: the test set's classes are not those of %s: %w", e.file.Path,
			training.Info().Name, err)
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

// unopened says which key of the file names a set that cannot be opened.
func (e *execution) unopened(key string, err error) error {
	err = fmt.Errorf("%s: %s: %w", e.file.Path, key, err)
	if errors.Is(err, dataset.ErrUnknown) {
		err = fmt.Errorf("%w; a path in a study's file is taken from the working folder", err)
	}
	return err
}

// openTest opens the test set that the file names, or the one that belongs to the
// training set.
func (e *execution) openTest(ctx context.Context, training dataset.Source) (dataset.Source, error) {
	reading := e.reading(dataset.Test)
	if len(dataset.FileNames(training)) > 0 {
		reading.Channels = training.Info().Channels
	}
	if e.file.Test != "" {
		return dataset.OpenSource(ctx, e.file.Test, reading)
	}
	test, err := dataset.OpenTest(ctx, training, reading)
	if err == nil && test == nil {
		err = fmt.Errorf("%s has no test set beside it; name one with test: SET", training.Info().Name)
	}
	return test, err
}

func (e *execution) reading(part dataset.Part) dataset.Options {
	options := dataset.Options{Part: part, SkipDamaged: e.file.Pictures.SkipDamaged}
	options.Sizing, _ = e.file.Pictures.sizing() // which was checked with the file
	if part == dataset.Train {
		options.DataDir = e.options.DataDir
		options.Originals = e.file.Pictures.Originals && options.Sizing != nil
	}
	if e.options.Messages != nil {
		options.Messages = lineWriter(e.options.Messages)
	}
	return options
}
