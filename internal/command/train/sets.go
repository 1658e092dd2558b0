package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"slipway/builder"
	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/train"
)

// noTest is the word of -test that asks for no test set.
const noTest = "none"

// sets is what a run is trained and tested on.
type sets struct {
	training dataset.Source
	test     dataset.Source // nil if there is none
}

// openSets opens the sets of a new run.
func (o *options) openSets(ctx context.Context, out io.Writer) (s sets, err error) {
	reading := o.pictures.Apply(dataset.Options{OwnNames: o.labels != "", Messages: out})
	training := reading
	training.DataDir, training.Part = o.dataDir, dataset.Train
	training.Originals = wantsOriginals(o.config, training)
	if s.training, err = dataset.OpenSource(ctx, o.data, training); err != nil {
		return s, fmt.Errorf("-data: %w", err)
	}
	o.ownSize(s.training, out)
	if err := o.pictures.Check(s.training); err != nil {
		return s, err
	}
	if len(dataset.FileNames(s.training)) > 0 {
		reading.Channels = s.training.Info().Channels
	}
	err = o.finishSets(ctx, &s, reading, nil, s.training.Info().ClassNames)
	return s, err
}

// reopenSets opens the sets of the run that the checkpoint is of, where they were or
// where the flags say that they are now.
func (o *options) reopenSets(ctx context.Context, checkpoint *train.Checkpoint,
	out io.Writer) (s sets, err error) {
	recorded := checkpoint.Sets
	reading, err := o.pictures.Apply(dataset.Options{OwnNames: o.labels != "", Messages: out}).
		AsRecorded(recorded.Training)
	if err != nil {
		return s, err
	}
	training := reading
	training.DataDir, training.Part = o.dataDir, dataset.Train
	training.Originals = wantsOriginals(checkpoint.Config, training)
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
	if s.training, err = dataset.OpenSource(ctx, place, training); err != nil {
		return s, fmt.Errorf("the run's training set: %w; -data names the place where it is now", err)
	}
	s.training = asRecorded(s.training, recorded.Training)
	own := s.training.Info().ClassNames
	if names := recorded.Training.ClassNames; len(names) >= s.training.Info().Classes {
		if s.training, err = dataset.WithClassNames(s.training, names); err != nil {
			return s, err
		}
	}
	err = o.finishSets(ctx, &s, reading, &recorded, own)
	return s, err
}

// fitsSizing reports a -resize to another size than the network takes, before hours are
// spent on the pictures.
func (o *options) fitsSizing(network *builder.Network) error {
	sizing, input := o.pictures.Sizing, network.Input()
	if sizing == nil || len(input) != 3 || input[1] == sizing.Height && input[2] == sizing.Width {
		return nil
	}
	return fmt.Errorf(
		"network %s takes %v, and -resize makes images of %d×%d (height × width); say -resize %dx%d, or give a network for that size",
		network.Name(), input, sizing.Height, sizing.Width, input[1], input[2])
}

// wantsOriginals reports whether training takes parts of pictures as they were before they
// came to one size.
func wantsOriginals(config train.Config, reading dataset.Options) bool {
	return augment.List(config.Augmentation).NeedsOriginal() && reading.Sizing != nil
}

// asRecorded gives a set that was opened at its place the name and the licence that the
// run knows it by.
func asRecorded(set dataset.Source, recorded dataset.Info) dataset.Source {
	info := set.Info()
	name, licence := info.Name, ""
	if info.Place == recorded.Place && recorded.Place != "" {
		name = recorded.Name
	}
	if info.Licence == "" {
		licence = recorded.Licence
	}
	return dataset.As(set, name, licence)
}

// finishSets opens the test set and gives the training set what the flags say of it.
// recorded is what the run to resume knows of its sets, nil for a new run; own is what the training
// set itself calls its classes.
func (o *options) finishSets(ctx context.Context, s *sets, reading dataset.Options,
	recorded *train.Sets, own []string) (err error) {
	if o.labels != "" {
		names, err := dataset.ReadClassNames(o.labels)
		if err != nil {
			return fmt.Errorf("-labels: %w", err)
		}
		if s.training, err = dataset.WithClassNames(s.training, names); err != nil {
			return fmt.Errorf("-labels: %w", err)
		}
	}
	if o.licence != "" {
		s.training = dataset.As(s.training, s.training.Info().Name, o.licence)
	}
	reading.Part, reading.MultiLabel = dataset.Test, s.training.Info().MultiLabel
	switch {
	case o.test == noTest:
		return nil
	case o.given["test"]:
		if s.test, err = dataset.OpenSource(ctx, o.test, reading); err != nil {
			return fmt.Errorf("-test: %w", err)
		}
	case recorded == nil || recorded.Training.Images == 0: // of a run before sets were recorded
		if s.test, err = dataset.OpenTest(ctx, s.training, reading); err != nil {
			return fmt.Errorf("the test set of %s: %w; -test names another one, or %s",
				s.training.Info().Name, err, noTest)
		}
	case recorded.Test != nil:
		s.test, err = dataset.Reopen(ctx, o.moved(*recorded.Test, recorded.Training, s.training), reading)
		if err != nil {
			return fmt.Errorf(
				"the run's test set: %w; -test names the place where it is now, another set to test on, or %s",
				err, noTest)
		}
	}
	if s.test == nil {
		return nil
	}
	names := s.training.Info()
	if s.test, err = renamed(s.test, own, names.ClassNames); err != nil {
		return err
	}
	if s.test, err = dataset.MatchClasses(s.test, names.ClassNames); err != nil {
		return fmt.Errorf("the test set's classes are not those of %s: %w; "+
			"give pictures to train on, too, or take the folder out of the test set", names.Name, err)
	}
	return nil
}

// renamed gives a test set whose classes are called as the training set's were before -labels the
// names that those have now. Any other is returned as it is.
func renamed(test dataset.Source, before, now []string) (dataset.Source, error) {
	if slices.Equal(before, now) || len(before) == 0 || len(test.Info().ClassNames) == 0 {
		return test, nil
	}
	matched, err := dataset.MatchClasses(test, before)
	if err != nil || !slices.Equal(matched.Info().ClassNames, before) {
		return test, nil
	}
	matched, err = dataset.WithClassNames(matched, now)
	if err != nil {
		return nil, fmt.Errorf("-labels: %w", err)
	}
	return matched, nil
}

// moved is the record of a run's test set at its place now: it has moved with the training
// set of which it is the other part, where -data names a new place of that.
func (o *options) moved(test, training dataset.Info, now dataset.Source) dataset.Info {
	cut := func(place string) string { return strings.TrimSuffix(place, ":"+string(dataset.Train)) }
	before, after := cut(training.Place), cut(now.Info().Place)
	rest, together := strings.CutPrefix(test.Place, before+":")
	if !o.given["data"] || before == "" || after == "" || !together {
		return test
	}
	if _, err := os.Stat(before); errors.Is(err, fs.ErrNotExist) {
		test.Place = after + ":" + rest
	}
	return test
}

// classes is how many classes the sets have between them.
func (s sets) classes() int {
	classes := s.training.Info().Classes
	if s.test != nil {
		classes = max(classes, s.test.Info().Classes)
	}
	return classes
}

// chosenByAnother says that a run that goes on tells its best epoch by another measure than it did,
// empty where it does not: what was kept before was the best by that one alone.
func chosenByAnother(before *train.Checkpoint, now train.Config) string {
	was, is := before.Config.BestBy(), now.BestBy()
	switch {
	case was == is:
		return ""
	case was == "":
		return fmt.Sprintf(
			"note: the run kept no best epoch so far; from here on it keeps the one with the best %s, of those that come",
			is)
	case is == "":
		return fmt.Sprintf(
			"note: the run kept the epoch with the best %s so far (%d); from here on it comes to the last weights",
			was, before.Progress.BestEpoch)
	}
	return fmt.Sprintf(
		"note: the run kept the epoch with the best %s so far (%d); from here on it keeps the one with the best %s, of those that come",
		was, before.Progress.BestEpoch, is)
}

// testedOnAnother says that a run goes on with another test set than it had, empty where
// it does not.
func testedOnAnother(before, now train.Sets) string {
	switch {
	case before.Training.Images == 0:
		return ""
	case before.Test == nil && now.Test != nil:
		return fmt.Sprintf("note: the run had no test set so far; it is tested on %s from here on",
			now.Test.Name)
	case before.Test != nil && now.Test == nil:
		return fmt.Sprintf("note: the run was tested on %s so far; it is tested on nothing from here on",
			before.Test.Name)
	case before.Test != nil && before.Test.SHA256 != now.Test.SHA256:
		return fmt.Sprintf(
			"note: the run was tested on %s so far, and is on %s, another set, from here on",
			before.Test.Name, now.Test.Name)
	}
	return ""
}
