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
	if s.MultiLabel() {
		relabelled.Combinations, relabelled.known = s.Combinations.relabel(to), new(knownDigest)
	} else {
		relabelled.Labels = relabel(s.Labels, to)
	}
	relabelled.Classes, relabelled.ClassNames = len(names), names
	return &relabelled, nil
}

// MatchClasses gives the labels of a set the order of the class names of another, where
// its images are pictures in files, whose order is that of the folders there are. Other
// sets, and sets of which either has no names, are returned as they are.
func MatchClasses(set Source, names []string) (Source, error) {
	own := set.Info().ClassNames
	if len(FileNames(set)) == 0 || len(names) == 0 || len(own) == 0 || slices.Equal(own, names) {
		return set, nil
	}
	return Relabelled(set, names)
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
