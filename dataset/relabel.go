package dataset

import (
	"errors"
	"fmt"
	"slices"
)

// Relabelled returns the set with its labels in the order of other class names, which
// have all of its own among them: a folder of some of the classes, say, for a model of
// all.
func (s *Set) Relabelled(names []string) (*Set, error) {
	to, err := places(Info{Name: s.Name, ClassNames: s.ClassNames}, names)
	if err != nil {
		return nil, err
	}
	relabelled := *s
	relabelled.Labels = relabel(s.Labels, to)
	relabelled.Classes, relabelled.ClassNames = len(names), names
	return &relabelled, nil
}

// MatchClasses gives a test set's labels the order of the training set's, where its images
// are pictures in files, whose order is that of the folders there are. Other sets are
// returned as they are.
func MatchClasses(test, training Source) (Source, error) {
	if len(FileNames(test)) == 0 {
		return test, nil
	}
	names := training.Info().ClassNames
	if len(names) == 0 || slices.Equal(test.Info().ClassNames, names) {
		return test, nil
	}
	relabelled, err := Relabelled(test, names)
	if err != nil {
		return nil, fmt.Errorf("the test set's classes are not those of %s: %w",
			training.Info().Name, err)
	}
	return relabelled, nil
}

// places returns where each class of a set is among other names.
func places(set Info, names []string) ([]int32, error) {
	place := make(map[string]int32, len(names))
	for i, name := range names {
		place[name] = int32(i)
	}
	to := make([]int32, len(set.ClassNames))
	for i, name := range set.ClassNames {
		label, ok := place[name]
		if !ok {
			return nil, fmt.Errorf("%s: %w: there is no class %q among those that are known",
				set.Name, ErrLabel, name)
		}
		to[i] = label
	}
	if len(to) == 0 {
		return nil, errors.New("a set without class names cannot be given others' order")
	}
	return to, nil
}

func relabel(labels, to []int32) []int32 {
	relabelled := make([]int32, len(labels))
	for i, label := range labels {
		relabelled[i] = to[label]
	}
	return relabelled
}
