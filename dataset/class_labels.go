package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// numberLabels makes labels of texts that are all whole numbers, as "3", or "3.0", which
// pandas writes of a column that once had a gap. ok is false where one is none. A number
// that is no label stays as it is, for the caller to refuse: see checkLabel.
func numberLabels(texts []string) (labels []int32, ok bool) {
	labels = make([]int32, len(texts))
	for i, text := range texts {
		text = strings.TrimSuffix(text, ".0")
		number, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, false
		}
		labels[i] = int32(number)
	}
	return labels, true
}

// wordLabels makes labels of texts: the classes are the texts that occur, in sorted order,
// as class folders have them.
func wordLabels(texts []string) (labels []int32, classes []string) {
	place := make(map[string]int32)
	for _, text := range texts {
		if _, known := place[text]; !known {
			place[text] = 0
			classes = append(classes, text)
		}
	}
	slices.Sort(classes)
	for i, class := range classes {
		place[class] = int32(i)
	}
	labels = make([]int32, len(texts))
	for i, text := range texts {
		labels[i] = place[text]
	}
	return labels, classes
}

// checkLabel refuses numbers that are no labels.
func checkLabel(label int32) error {
	if label < 0 || label >= MaxClasses {
		return fmt.Errorf("%w: the label %d, 0 to %d are possible", ErrLabel, label, MaxClasses-1)
	}
	return nil
}

// setLabels gives the files of the list their labels, one text a file: numbers are
// labels, words are names of classes.
func (l *pictureFiles) setLabels(texts []string) error {
	labels, numbers := numberLabels(texts)
	if !numbers {
		labels, l.classes = wordLabels(texts)
		if len(l.classes) > MaxClasses {
			return fmt.Errorf("%s: %w: %d different labels; at most %d classes are possible",
				l.place, ErrArgument, len(l.classes), MaxClasses)
		}
	}
	for i, label := range labels {
		if err := checkLabel(label); err != nil {
			return fmt.Errorf("%s: %w", l.files[i].where, err)
		}
		l.files[i].label = label
	}
	return nil
}

// setLabelSets gives the files of the list their labels, any number a file. Classes are called as
// titles, in their order, or, where there are none, as setLabels has them.
func (l *pictureFiles) setLabelSets(titles []string, told [][]string) error {
	var flat []string
	for _, texts := range told {
		flat = append(flat, texts...)
	}
	if len(flat) == 0 {
		return fmt.Errorf("%s: %w: no picture has a label", l.place, ErrLabel)
	}
	labels, numbers := numberLabels(flat)
	switch {
	case len(titles) > 0:
		labels, l.classes = labelsAmong(titles, flat), titles
	case !numbers:
		labels, l.classes = wordLabels(flat)
	}
	if len(l.classes) > MaxClasses {
		return fmt.Errorf("%s: %w: %d different labels; at most %d are possible", l.place, ErrArgument,
			len(l.classes), MaxClasses)
	}
	combiner := NewCombiner(nil)
	for i, texts := range told {
		own := labels[:len(texts):len(texts)]
		labels = labels[len(texts):]
		slices.Sort(own)
		for k, label := range own {
			if err := checkLabel(label); err != nil {
				return fmt.Errorf("%s: %w", l.files[i].where, err)
			}
			if k > 0 && label == own[k-1] {
				return fmt.Errorf("%s: %w: the label %s is there twice", l.files[i].where, ErrLabel,
					strings.Join(texts, ", "))
			}
		}
		l.files[i].label = combiner.Place(own)
	}
	l.combinations = combiner.Combinations()
	return nil
}

// labelsAmong are the places of texts among classes that have them all.
func labelsAmong(classes, texts []string) []int32 {
	place := make(map[string]int32, len(classes))
	for i, class := range classes {
		place[class] = int32(i)
	}
	labels := make([]int32, len(texts))
	for i, text := range texts {
		labels[i] = place[text]
	}
	return labels
}

// withNamesIn takes the classes' names from labels.txt in the folder where labels are
// numbers, and the licence.
func (l *pictureFiles) withNamesIn(dir string, opts Options) error {
	if l.licence == "" {
		l.licence = licenceIn(dir)
	}
	path := filepath.Join(dir, ClassNamesFile)
	if _, err := os.Stat(path); err != nil || opts.OwnNames || len(l.classes) > 0 {
		return nil
	}
	names, err := ReadClassNames(path)
	if err != nil {
		return err
	}
	l.classes = names
	return nil
}
