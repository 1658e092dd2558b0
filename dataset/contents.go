package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
)

// ErrIncomparable is of two sets of which it is not known which images they share.
var ErrIncomparable = errors.New("the sets' images cannot be compared")

// Contents tells which images are the same, byte by byte: of pictures their files, of
// other sets the pixels. It does not change, and is safe for concurrent use.
type Contents struct {
	info   Info
	labels []int32
	names  []string // of the images' files
	// kind is equal for contents that can be compared.
	kind string
	of   func(index int) []byte
}

// ContentsOf returns what tells the images of a Set or of Pictures. Of another source it
// is not known.
func ContentsOf(source Source) (*Contents, error) {
	switch s := source.(type) {
	case *Pictures:
		return contentsOfFiles(s.Info(), s.labels, s.files, s.contents), nil
	case *Set:
		if s.contents != nil {
			return contentsOfFiles(s.Info(), s.Labels, s.Files, s.contents), nil
		}
		kind := fmt.Sprintf("images of %d×%d×%d", s.Channels, s.Height, s.Width)
		return &Contents{s.Info(), s.Labels, s.Files, kind, s.Image}, nil
	}
	return nil, fmt.Errorf("%w: those of a %T are not known", ErrIncomparable, source)
}

func contentsOfFiles(info Info, labels []int32, names []string, contents []content) *Contents {
	return &Contents{info, labels, names, "files of pictures",
		func(index int) []byte { return contents[index][:] }}
}

// ReadContents returns what tells the images of the set that spec names, as Open does. It
// reads the files of pictures without decoding them, and takes damaged ones for pictures.
func ReadContents(ctx context.Context, spec string, opts Options) (*Contents, error) {
	source, err := openInspected(ctx, spec, opts, &Inspection{undecoded: true})
	return contentsUnless(source, err)
}

// ReadTestContents is ReadContents of the set that OpenTest opens, nil where there is none.
func ReadTestContents(ctx context.Context, training Source, opts Options) (*Contents, error) {
	source, err := OpenTest(ctx, training, opts.inspecting(&Inspection{undecoded: true}))
	if source == nil && err == nil {
		return nil, nil
	}
	return contentsUnless(source, err)
}

func contentsUnless(source Source, err error) (*Contents, error) {
	if err != nil {
		return nil, err
	}
	return ContentsOf(source)
}

// Len returns the number of images.
func (c *Contents) Len() int { return len(c.labels) }

// SetName returns the set's name.
func (c *Contents) SetName() string { return c.info.Name }

// ImageName returns the name of an image's file within the set, or its number, counted
// from 0.
func (c *Contents) ImageName(index int) string {
	if len(c.names) > 0 {
		return c.names[index]
	}
	return fmt.Sprintf("image %d", index)
}

// Class returns what the class of an image is called, its number where it has no name; of several
// labels all, see Info.NameOf.
func (c *Contents) Class(index int) string { return c.info.NameOf(c.labels[index]) }

// SameClass reports whether an image is of the same class as one of another set, or has the same
// labels: by the classes' names where both have some.
func (c *Contents) SameClass(index int, other *Contents, otherIndex int) bool {
	if len(c.info.ClassNames) > 0 && len(other.info.ClassNames) > 0 {
		names, others := c.info.namesOf(c.labels[index]), other.info.namesOf(other.labels[otherIndex])
		slices.Sort(names)
		slices.Sort(others)
		return slices.Equal(names, others)
	}
	return slices.Equal(c.info.LabelsOf(c.labels[index]),
		other.info.LabelsOf(other.labels[otherIndex]))
}

// Bytes is how much is compared of all images.
func (c *Contents) Bytes() int64 {
	if c.Len() == 0 {
		return 0
	}
	return int64(c.Len()) * int64(len(c.of(0)))
}

// Duplicates returns the groups of images that are the same, each in ascending order, in
// the order of their first images.
func (c *Contents) Duplicates() [][]int {
	var groups [][]int
	groupOf := make(map[int]int) // by the first image
	known := newContentIndex(c)
	for i := range c.Len() {
		first := known.find(c.of(i))
		if first < 0 {
			known.add(i)
			continue
		}
		group, ok := groupOf[first]
		if !ok {
			group = len(groups)
			groupOf[first] = group
			groups = append(groups, []int{first})
		}
		groups[group] = append(groups[group], i)
	}
	slices.SortFunc(groups, func(a, b []int) int { return a[0] - b[0] })
	return groups
}

// SharedImage is an image of one set that is in another one, too, at the place First.
type SharedImage struct{ Index, First int }

// Shared returns the images that are among those of another set, in ascending order, each
// with the first that is the same there. Sets of files are compared by these, and sets of
// pixels where images have the same shape; other two are ErrIncomparable.
func (c *Contents) Shared(other *Contents) ([]SharedImage, error) {
	if c.kind != other.kind {
		return nil, fmt.Errorf("%w: %s has %s, %s has %s", ErrIncomparable, c.info.Name, c.kind,
			other.info.Name, other.kind)
	}
	// This set is kept for looking up: a test set, mostly, which is the smaller one.
	firsts := newContentIndex(c)
	for i := range c.Len() {
		firsts.add(i)
	}
	in := make(map[int]int)
	for i := range other.Len() {
		if first := firsts.find(other.of(i)); first >= 0 {
			if _, known := in[first]; !known {
				in[first] = i
			}
		}
	}
	if len(in) == 0 {
		return nil, nil
	}
	var shared []SharedImage
	for i := range c.Len() {
		if first, ok := in[firsts.find(c.of(i))]; ok {
			shared = append(shared, SharedImage{i, first})
		}
	}
	return shared, nil
}

// contentIndex finds images by their bytes. Its hashes differ from run to run, what it
// finds does not: bytes are compared.
type contentIndex struct {
	contents *Contents
	seed     maphash.Seed
	// newest has the image added last for a hash, before the one added before it; −1 is none.
	newest map[uint64]int32
	before []int32
}

func newContentIndex(c *Contents) *contentIndex {
	return &contentIndex{c, maphash.MakeSeed(), make(map[uint64]int32, c.Len()), make([]int32,
		c.Len())}
}

// find returns the image of those bytes, −1 if none was added.
func (x *contentIndex) find(content []byte) int {
	return x.under(maphash.Bytes(x.seed, content), content)
}

func (x *contentIndex) under(hash uint64, content []byte) int {
	at, ok := x.newest[hash]
	for ok && at >= 0 {
		if bytes.Equal(x.contents.of(int(at)), content) {
			return int(at)
		}
		at = x.before[at]
	}
	return -1
}

// add adds an image unless one of the same bytes is there.
func (x *contentIndex) add(index int) {
	content := x.contents.of(index)
	hash := maphash.Bytes(x.seed, content)
	if x.under(hash, content) >= 0 {
		return
	}
	before, ok := x.newest[hash]
	if !ok {
		before = -1
	}
	x.newest[hash], x.before[index] = int32(index), before
}
