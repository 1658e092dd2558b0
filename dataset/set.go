package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"sync"
)

// MaxClasses is the most classes that a set may have.
const MaxClasses = 1 << 16

// Set is a labelled set of images, kept as the bytes of its files.
// It is not changed after it is made, and safe for concurrent use.
type Set struct {
	Name string // as Open would find it again from the same working folder
	// Place is Name as Open finds it from any working folder. It equals Name for sets
	// that have a word of their own, and is empty for those that no file holds.
	Place                   string
	Channels, Height, Width int
	Classes                 int     // labels are 0…Classes−1
	Images                  []uint8 // N×C×H×W
	Labels                  []int32 // N
	// Combinations are those of a set whose images have any number of labels each, nil of another
	// one. Labels are places in it then, and labels are 0…Classes−1 as ever.
	Combinations Combinations
	// ClassNames has a name for each class, and is empty where they are not known.
	ClassNames []string
	// Files has the name of each image's file within the set's folder, and is empty where
	// images have no files of their own. Sizing says how their pictures came to one size,
	// as picture.Sizing writes it; it is empty where they had it.
	Files  []string
	Sizing string
	// LeftOut is how many pictures could not be read and were left out.
	LeftOut int
	// Licence is what the set's own files say of its licence, empty if nothing.
	Licence string

	// contents has the sha256 of each picture's file, where the images are of pictures:
	// the digest is of them, so that it is known without decoding.
	contents []content
	known    *knownDigest
}

// content is the sha256 of a file.
type content [sha256.Size]byte

// knownDigest is the digest of the images and labels that lie at those places.
type knownDigest struct {
	sync.Mutex
	images *uint8
	labels *int32
	digest string
}

// NewSet checks the parts against each other and makes a set of them, without copying.
// Images is N×C×H×W, labels N, each 0…classes−1. Classes is 1 to MaxClasses; 0 means as
// many as the largest label asks for.
func NewSet(name string, images []uint8, labels []int32, channels, height, width,
	classes int) (*Set, error) {
	if err := checkImages(name, images, len(labels), channels, height, width, classes); err != nil {
		return nil, err
	}
	lowest, highest := slices.Min(labels), slices.Max(labels)
	switch most := int32(max(classes, 1) - 1); {
	case lowest < 0 || highest >= MaxClasses:
		return nil, fmt.Errorf("%s: %w: labels are %d to %d, 0 to %d are possible", name, ErrLabel,
			lowest, highest, MaxClasses-1)
	case classes != 0 && highest > most:
		return nil, fmt.Errorf("%s: %w: labels are %d to %d, %d classes end at %d", name, ErrLabel,
			lowest, highest, classes, most)
	}
	if classes == 0 {
		classes = int(highest) + 1
	}
	return &Set{Name: name, Channels: channels, Height: height, Width: width, Classes: classes,
		Images: images, Labels: labels,
		known: new(knownDigest)}, nil
}

// checkImages checks all but what the labels are.
func checkImages(name string, images []uint8, labels, channels, height, width, classes int) error {
	if channels < 1 || height < 1 || width < 1 || channels > math.MaxInt32/height/width {
		return fmt.Errorf("%s: %w: images of %d×%d×%d", name, ErrSize, channels, height, width)
	}
	if classes < 0 || classes > MaxClasses {
		return fmt.Errorf("%s: %w: %d classes, 1 to %d are possible", name, ErrArgument, classes,
			MaxClasses)
	}
	size := channels * height * width
	switch {
	case len(images) == 0:
		return fmt.Errorf("%s: %w", name, ErrEmpty)
	case len(images)%size != 0:
		return fmt.Errorf("%s: %w: %d bytes are no whole number of %d×%d×%d images",
			name, ErrSize, len(images), channels, height, width)
	case len(images)/size != labels:
		return fmt.Errorf("%s: %w: %d images, %d labels; take both files from the same set",
			name, ErrCount, len(images)/size, labels)
	}
	return nil
}

// WithImages returns a set of other images of the same shape, N×C×H×W, with the labels of this one,
// under another name.
func (s *Set) WithImages(name string, images []uint8) (*Set, error) {
	if len(images) != len(s.Images) {
		return nil, fmt.Errorf("%s: %w: %d bytes of images in place of %d", name, ErrSize, len(images),
			len(s.Images))
	}
	if s.MultiLabel() {
		return multiLabelSet(name, images, s.Combinations, s.Labels, s.Channels, s.Height, s.Width,
			s.Classes)
	}
	return NewSet(name, images, s.Labels, s.Channels, s.Height, s.Width, s.Classes)
}

// LabelRange says which labels there are, as "labels are 1 to 26".
func (s *Set) LabelRange() string {
	if s.MultiLabel() {
		return fmt.Sprintf("labels are 0 to %d", s.Combinations.Highest())
	}
	return fmt.Sprintf("labels are %d to %d", slices.Min(s.Labels), slices.Max(s.Labels))
}

// Len returns the number of images.
func (s *Set) Len() int { return len(s.Labels) }

// ImageSize returns the bytes of one image, C·H·W.
func (s *Set) ImageSize() int { return s.Channels * s.Height * s.Width }

// Image returns the C×H×W bytes of image i, 0 ≤ i < Len; not a copy.
func (s *Set) Image(i int) []uint8 {
	size := s.ImageSize()
	return s.Images[i*size : (i+1)*size : (i+1)*size]
}

// Label returns the label of image i, 0 ≤ i < Len, or the place of its combination.
func (s *Set) Label(i int) int { return int(s.Labels[i]) }

// Digest returns the sha256 of the set's shape, images and labels, in hexadecimal:
// sets of the same digest are the same, whatever they and their classes are called.
// Labels count as LabelBytes. Of pictures in files it is that of the files' contents, of
// the labels, and of how they came to one size: decoding them is a function of those.
func (s *Set) Digest() string {
	if s.contents != nil {
		return pictureDigest(s.Channels, s.Height, s.Width, s.Sizing, s.Labels, s.Combinations,
			s.contents)
	}
	if s.known == nil || len(s.Images) == 0 {
		return s.DigestOf(int(slices.Max(s.Labels)) + 1)
	}
	s.known.Lock()
	defer s.known.Unlock()
	// A copy of the set may have been given other images.
	if s.known.digest == "" || s.known.images != &s.Images[0] || s.known.labels != &s.Labels[0] {
		s.known.digest = s.DigestOf(int(slices.Max(s.Labels)) + 1)
		s.known.images, s.known.labels = &s.Images[0], &s.Labels[0]
	}
	return s.known.digest
}

// DigestOf is the digest that records of before labels said how many classes there are
// have of the set, taken for one of that many classes.
func (s *Set) DigestOf(classes int) string {
	sum := sha256.New()
	if s.MultiLabel() {
		fmt.Fprintf(sum, "%d×%d×%d×%d, any number of labels\n", s.Len(), s.Channels, s.Height, s.Width)
		sum.Write(s.Images)
		var labels []byte
		for _, combination := range s.Labels {
			labels = s.Combinations.appendLabels(labels[:0], combination)
			sum.Write(labels)
		}
		return hex.EncodeToString(sum.Sum(nil))
	}
	fmt.Fprintf(sum, "%d×%d×%d×%d, %d classes\n", s.Len(), s.Channels, s.Height, s.Width, classes)
	sum.Write(s.Images)
	sum.Write(s.LabelBytes())
	return hex.EncodeToString(sum.Sum(nil))
}

// LabelBytes returns the labels as bytes: one each, as MNIST's files have them, where
// that holds every label; four each, the lowest first, elsewhere.
func (s *Set) LabelBytes() []byte {
	var encoded []byte
	if slices.Max(s.Labels) > math.MaxUint8 {
		for _, label := range s.Labels {
			encoded = binary.LittleEndian.AppendUint32(encoded, uint32(label))
		}
		return encoded
	}
	for _, label := range s.Labels {
		encoded = append(encoded, uint8(label))
	}
	return encoded
}

// Subset returns a set of copies of the images of those indices, in their order.
func (s *Set) Subset(indices []int) (*Set, error) {
	if len(indices) == 0 {
		return nil, fmt.Errorf("subset of %s: %w", s.Name, ErrEmpty)
	}
	sub := *s
	sub.Place = "" // there lies the whole
	sub.Images = make([]uint8, 0, len(indices)*s.ImageSize())
	sub.Labels = make([]int32, 0, len(indices))
	sub.Files, sub.contents, sub.known = nil, nil, new(knownDigest)
	for _, i := range indices {
		if err := s.checkIndex(i); err != nil {
			return nil, err
		}
		sub.Images = append(sub.Images, s.Image(i)...)
		sub.Labels = append(sub.Labels, s.Labels[i])
		if len(s.Files) > 0 {
			sub.Files = append(sub.Files, s.Files[i])
		}
		if len(s.contents) > 0 {
			sub.contents = append(sub.contents, s.contents[i])
		}
	}
	return &sub, nil
}

// Split draws a validation set of n images, 1 ≤ n < Len, without replacement;
// the training set is the rest. The same seed draws the same images. Both
// keep the order of s.
func (s *Set) Split(n int, seed uint64) (training, validation *Set, err error) {
	rest, drawn, err := split(s.Name, s.Len(), n, seed)
	if err != nil {
		return nil, nil, err
	}
	if training, err = s.Subset(rest); err != nil {
		return nil, nil, err
	}
	if validation, err = s.Subset(drawn); err != nil {
		return nil, nil, err
	}
	return training, validation, nil
}

// SplitFraction draws round(fraction·Len) images for validation, as Split
// does; 0 < fraction < 1.
func (s *Set) SplitFraction(fraction float64, seed uint64) (training, validation *Set, err error) {
	n, err := fractionOf(s.Name, s.Len(), fraction)
	if err != nil {
		return nil, nil, err
	}
	return s.Split(n, seed)
}

// split draws n of count indices; both parts are in ascending order.
func split(name string, count, n int, seed uint64) (rest, drawn []int, err error) {
	if n < 1 || n >= count {
		return nil, nil, fmt.Errorf(
			"%s: %w: a validation set of %d out of %d images; 1 to %d are possible",
			name, ErrArgument, n, count, count-1)
	}
	order := permutation(count, newSource("split", seed, 0))
	drawn, rest = order[:n], order[n:]
	slices.Sort(drawn)
	slices.Sort(rest)
	return rest, drawn, nil
}

func splitFraction(name string, count int, fraction float64, seed uint64) (rest, drawn []int,
	err error) {
	n, err := fractionOf(name, count, fraction)
	if err != nil {
		return nil, nil, err
	}
	return split(name, count, n, seed)
}

func fractionOf(name string, count int, fraction float64) (int, error) {
	if !(fraction > 0 && fraction < 1) {
		return 0, fmt.Errorf("%s: %w: validation fraction %g is not between 0 and 1", name, ErrArgument,
			fraction)
	}
	return int(math.Round(fraction * float64(count))), nil
}

// Stats are figures over all bytes and labels of a set.
type Stats struct {
	Min, Max  uint8
	Mean, Std float64 // on the scale 0…255; Std of the whole population
	Counts    []int   // images of each class
	None      int     // images without any label
}

// Stats computes the set's figures.
func (s *Set) Stats() Stats {
	var histogram [256]int
	for _, pixel := range s.Images {
		histogram[pixel]++
	}
	stats := Stats{Min: slices.Min(s.Images), Max: slices.Max(s.Images)}
	n := float64(len(s.Images))
	for value, count := range histogram {
		stats.Mean += float64(value) * float64(count) / n
	}
	for value, count := range histogram {
		d := float64(value) - stats.Mean
		stats.Std += d * d * float64(count) / n
	}
	stats.Std = math.Sqrt(stats.Std)
	info := Info{Classes: s.Classes, MultiLabel: s.MultiLabel(), Combinations: s.Combinations}
	stats.Counts, stats.None = info.Counts(s.Labels)
	return stats
}

func (s *Set) checkIndex(i int) error {
	if i < 0 || i >= s.Len() {
		return fmt.Errorf("%s: %w: %d of 0…%d", s.Name, ErrIndex, i, s.Len()-1)
	}
	return nil
}
