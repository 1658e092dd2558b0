package dataset

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// Combinations are the sets of labels that the images of a multi-label set have, each once: the
// labels in ascending order, none for an image without any. What Source.Read writes for an image
// of such a set is the place of its combination here, so that whatever deals in one number an
// image, as batches, shuffles and parts do, is the same for both kinds of sets.
type Combinations [][]int32

// Targets returns, of images with these combinations, which of so many labels each has: N×labels,
// row after row.
func (c Combinations) Targets(images []int32, labels int) []bool {
	targets := make([]bool, len(images)*labels)
	for i, combination := range images {
		for _, label := range c[combination] {
			targets[i*labels+int(label)] = true
		}
	}
	return targets
}

// Highest is the largest label of any combination, −1 where there is none.
func (c Combinations) Highest() int32 {
	highest := int32(-1)
	for _, labels := range c {
		if len(labels) > 0 {
			highest = max(highest, labels[len(labels)-1])
		}
	}
	return highest
}

// relabel gives each label the number that stands at its place.
func (c Combinations) relabel(to []int32) Combinations {
	relabelled := make(Combinations, len(c))
	for i, labels := range c {
		relabelled[i] = relabel(labels, to)
		slices.Sort(relabelled[i])
	}
	return relabelled
}

// appendLabels writes the labels of a combination for a digest: how many, and which.
func (c Combinations) appendLabels(to []byte, combination int32) []byte {
	labels := c[combination]
	to = binary.LittleEndian.AppendUint32(to, uint32(len(labels)))
	for _, label := range labels {
		to = binary.LittleEndian.AppendUint32(to, uint32(label))
	}
	return to
}

// check reports combinations that are none, labels that are not 0…classes−1, and images whose
// combination there is not.
func (c Combinations) check(images []int32, classes int) error {
	for _, labels := range c {
		for k, label := range labels {
			if label < 0 || int(label) >= classes {
				return fmt.Errorf("%w: the label %d, there are 0 to %d", ErrLabel, label, classes-1)
			}
			if k > 0 && label <= labels[k-1] {
				return fmt.Errorf("%w: the labels %v of an image are not in ascending order, each once",
					ErrLabel, labels)
			}
		}
	}
	for i, combination := range images {
		if combination < 0 || int(combination) >= len(c) {
			return fmt.Errorf("%w: image %d has the combination %d of %d", ErrLabel, i, combination,
				len(c))
		}
	}
	return nil
}

// Combiner finds the place of each combination of labels, and gives one to those that have none
// yet. Its places are in the order in which they are first asked for.
type Combiner struct {
	all    Combinations
	places map[string]int32
	key    []byte
}

// NewCombiner returns one that knows the combinations already, at their places.
func NewCombiner(known Combinations) *Combiner {
	c := &Combiner{places: make(map[string]int32, len(known))}
	for _, labels := range known {
		c.Place(labels)
	}
	return c
}

// Place returns the place of the combination of those labels, which are in ascending order.
func (c *Combiner) Place(labels []int32) int32 {
	c.key = c.key[:0]
	for _, label := range labels {
		c.key = binary.LittleEndian.AppendUint32(c.key, uint32(label))
	}
	if place, ok := c.places[string(c.key)]; ok {
		return place
	}
	place := int32(len(c.all))
	c.places[string(c.key)] = place
	c.all = append(c.all, append([]int32{}, labels...))
	return place
}

// Combinations returns all that have a place so far.
func (c *Combiner) Combinations() Combinations { return c.all }

// NewMultiLabelSet makes a set whose images have any number of labels each, none too, without
// copying the images, N×C×H×W. labels has those of each image, 0…classes−1, in any order. classes
// is the number of labels that there are, 1 to MaxClasses; 0 means as many as the largest asks for.
func NewMultiLabelSet(name string, images []uint8, labels [][]int32, channels, height, width,
	classes int) (*Set, error) {
	combiner, places := NewCombiner(nil), make([]int32, len(labels))
	for i, some := range labels {
		some = slices.Clone(some)
		slices.Sort(some)
		places[i] = combiner.Place(some)
	}
	return multiLabelSet(name, images, combiner.Combinations(), places, channels, height, width,
		classes)
}

// multiLabelSet makes a set of images whose combinations have places.
func multiLabelSet(name string, images []uint8, combinations Combinations, places []int32, channels,
	height, width, classes int) (*Set, error) {
	if err := checkImages(name, images, len(places), channels, height, width, classes); err != nil {
		return nil, err
	}
	if classes == 0 {
		classes = int(combinations.Highest()) + 1
	}
	if classes < 1 || classes > MaxClasses {
		return nil, fmt.Errorf("%s: %w: %d different labels; 1 to %d are possible", name, ErrLabel,
			classes, MaxClasses)
	}
	if err := combinations.check(places, classes); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &Set{Name: name, Channels: channels, Height: height, Width: width, Classes: classes,
		Images: images, Labels: places, Combinations: combinations, known: new(knownDigest)}, nil
}

// MultiLabel reports whether the images have any number of labels each, and Labels are places in
// Combinations.
func (s *Set) MultiLabel() bool { return s.Combinations != nil }

// severalLabels is a source that tells without its digest whether its images have several labels.
type severalLabels interface{ MultiLabel() bool }

// MultiLabel reports whether the pictures have any number of labels each.
func (p *Pictures) MultiLabel() bool { return p.info.MultiLabel }

// isMultiLabel reports whether the images of a source have any number of labels each.
func isMultiLabel(source Source) bool {
	if known, ok := source.(severalLabels); ok {
		return known.MultiLabel()
	}
	return source.Info().MultiLabel
}

// mustBeSeveral refuses a set with one label an image where the options ask for several.
func mustBeSeveral(source Source, opts Options) error {
	if !opts.MultiLabel || isMultiLabel(source) {
		return nil
	}
	return fmt.Errorf("%s: %w: its images have one label each, and any number of them was asked for; "+
		"write a list of pictures, whose labels | parts, or labels N×L of 0 and 1 beside images as "+
		"numbers (docs/your-own-set.md)", source.Info().Name, ErrMultiLabel)
}

// OneLabel refuses a set whose images have any number of labels. what says what takes none, as
// "a study".
func (i Info) OneLabel(what string) error {
	if !i.MultiLabel {
		return nil
	}
	return fmt.Errorf("%s: %w: its images have any number of labels, and %s is of one label an image",
		i.Name, ErrMultiLabel, what)
}

// LabelsOf returns the labels of an image for which Source.Read wrote that number: the number
// itself or, of a multi-label set, the labels of the combination.
func (i Info) LabelsOf(label int32) []int32 {
	if !i.MultiLabel {
		return []int32{label}
	}
	return i.Combinations[label]
}

// NameOf says in words what label an image has for which Source.Read wrote that number: the class's
// name, or the names of several with a + between them, "none" without any.
func (i Info) NameOf(label int32) string {
	names := i.namesOf(label)
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, "+")
}

func (i Info) namesOf(label int32) []string {
	labels := i.LabelsOf(label)
	names := make([]string, len(labels))
	for k, one := range labels {
		names[k] = fmt.Sprint(one)
		if int(one) < len(i.ClassNames) {
			names[k] = i.ClassNames[one]
		}
	}
	return names
}

// AccuracyName is what the share of images that are answered right is called: of images with any
// number of labels all must be right.
func (i Info) AccuracyName() string {
	if i.MultiLabel {
		return "Subset accuracy"
	}
	return "Accuracy"
}

// Counts returns how many of the images with those labels, as Source.Read writes them, are of each
// class, and how many of none.
func (i Info) Counts(labels []int32) (counts []int, none int) {
	counts = make([]int, i.Classes)
	for _, label := range labels {
		if !i.MultiLabel {
			counts[label]++
			continue
		}
		for _, one := range i.Combinations[label] {
			counts[one]++
		}
		if len(i.Combinations[label]) == 0 {
			none++
		}
	}
	return counts, none
}
