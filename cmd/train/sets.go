package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"slipway/dataset"
	"slipway/train"
)

// noTest is the word of -test that asks for no test set.
const noTest = "none"

// sets is what a run is trained and tested on.
type sets struct {
	training *dataset.Set
	test     *dataset.Set // nil if there is none
}

// openSets opens the sets of a new run.
func (o *options) openSets(ctx context.Context, out io.Writer) (s sets, err error) {
	reading := o.pictures.Apply(dataset.Options{OwnNames: o.labels != "", Messages: out})
	training := reading
	training.DataDir, training.Part = o.dataDir, dataset.Train
	if s.training, err = dataset.Open(ctx, o.data, training); err != nil {
		return s, fmt.Errorf("-data: %w", err)
	}
	if err := o.pictures.Check(s.training); err != nil {
		return s, err
	}
	if len(s.training.Files) > 0 {
		reading.Channels = s.training.Channels
	}
	err = o.finishSets(ctx, &s, reading, nil)
	return s, err
}

// reopenSets opens the sets of the run that the checkpoint is of, where they were or
// where the flags say that they are now.
func (o *options) reopenSets(ctx context.Context, checkpoint *train.Checkpoint, out io.Writer) (s sets, err error) {
	recorded := checkpoint.Sets
	reading, err := o.pictures.Apply(dataset.Options{OwnNames: o.labels != "", Messages: out}).AsRecorded(recorded.Training)
	if err != nil {
		return s, err
	}
	training := reading
	training.DataDir, training.Part = o.dataDir, dataset.Train
	place := recorded.Training.Place
	if place == "" {
		place = checkpoint.Config.Data
	}
	if place == dataset.Fashion && recorded.Training.Images == 0 {
		place = dataset.FashionTest // what the word meant before there was a training part
	}
	if o.given["data"] {
		place = o.data
	}
	if s.training, err = dataset.Open(ctx, place, training); err != nil {
		return s, fmt.Errorf("the run's training set: %w; -data names the place where it is now", err)
	}
	s.training = asRecorded(s.training, recorded.Training)
	if names := recorded.Training.ClassNames; len(names) >= s.training.Classes {
		if s.training, err = s.training.WithClassNames(names); err != nil {
			return s, err
		}
	}
	err = o.finishSets(ctx, &s, reading, &recorded)
	return s, err
}

// asRecorded gives a set that was opened at its place the name and the licence that the
// run knows it by.
func asRecorded(set *dataset.Set, recorded dataset.Info) *dataset.Set {
	known := *set
	if set.Place == recorded.Place && recorded.Place != "" {
		known.Name = recorded.Name
	}
	if known.Licence == "" {
		known.Licence = recorded.Licence
	}
	return &known
}

// finishSets opens the test set and gives the training set what the flags say of it.
// recorded is what the run to resume knows of its sets, nil for a new run.
func (o *options) finishSets(ctx context.Context, s *sets, reading dataset.Options, recorded *train.Sets) (err error) {
	if o.labels != "" {
		names, err := dataset.ReadClassNames(o.labels)
		if err != nil {
			return fmt.Errorf("-labels: %w", err)
		}
		if s.training, err = s.training.WithClassNames(names); err != nil {
			return fmt.Errorf("-labels: %w", err)
		}
	}
	if o.licence != "" {
		licensed := *s.training
		licensed.Licence = o.licence
		s.training = &licensed
	}
	reading.Part = dataset.Test
	switch {
	case o.test == noTest:
		return nil
	case o.given["test"]:
		if s.test, err = dataset.Open(ctx, o.test, reading); err != nil {
			return fmt.Errorf("-test: %w", err)
		}
	case recorded == nil || recorded.Training.Images == 0: // of a run before sets were recorded
		if s.test, err = dataset.OpenTest(ctx, s.training, reading); err != nil {
			return fmt.Errorf("the test set of %s: %w; -test names another one, or %s", s.training.Name, err, noTest)
		}
	case recorded.Test != nil:
		s.test, err = dataset.Reopen(ctx, *recorded.Test, reading)
		if err != nil {
			return fmt.Errorf("the run's test set: %w; -test names the place where it is now, another set to test on, or %s", err, noTest)
		}
	}
	return s.matchClasses()
}

// matchClasses gives the test set's labels the order of the training set's, where both
// are folders of pictures, whose order is that of the folders there are.
func (s *sets) matchClasses() (err error) {
	if s.test == nil || len(s.test.Files) == 0 || len(s.training.ClassNames) == 0 || slices.Equal(s.test.ClassNames, s.training.ClassNames) {
		return nil
	}
	if s.test, err = s.test.Relabelled(s.training.ClassNames); err != nil {
		return fmt.Errorf("the test set's classes are not those of %s: %w", s.training.Name, err)
	}
	return nil
}

// classes is how many classes the sets have between them.
func (s sets) classes() int {
	if s.test == nil {
		return s.training.Classes
	}
	return max(s.training.Classes, s.test.Classes)
}

// testedOnAnother says that a run goes on with another test set than it had, empty where
// it does not.
func testedOnAnother(before, now train.Sets) string {
	switch {
	case before.Training.Images == 0:
		return ""
	case before.Test == nil && now.Test != nil:
		return fmt.Sprintf("note: the run had no test set so far; it is tested on %s from here on", now.Test.Name)
	case before.Test != nil && now.Test == nil:
		return fmt.Sprintf("note: the run was tested on %s so far; it is tested on nothing from here on", before.Test.Name)
	case before.Test != nil && before.Test.SHA256 != now.Test.SHA256:
		return fmt.Sprintf("note: the run was tested on %s so far, and is on %s, another set, from here on", before.Test.Name, now.Test.Name)
	}
	return ""
}
