package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"slipway/dataset/picture"
)

// Source is a labelled set of images that are read when they are asked for. A Set is one,
// and so are Pictures, which need not lie in memory. What else has labelled images, a data
// base say, can be one: training and evaluation ask for no more than this.
//
// A Source does not change after it is made, and is safe for concurrent use.
type Source interface {
	// Len returns the number of images.
	Len() int
	// Info says what the set is. It is the same at each call.
	Info() Info
	// Read writes the images of those indices to images, B×C×H×W bytes, and their labels
	// to labels, B: of a multi-label set the places of their combinations (Info.LabelsOf).
	// Both may be longer than needed; labels may be nil. What an image is
	// depends on its index and on the epoch alone, not on what else is read or on how
	// often; a set that is the same in each epoch does not look at it. The error names
	// the image.
	Read(ctx context.Context, images []uint8, labels []int32, indices []int, epoch int) error
}

// Originals is a Source that has its pictures as they were before they came to one size:
// what a random resized crop is taken from.
type Originals interface {
	Source
	// Original makes into the picture of that index, of any size, with as many channels
	// as Info says. Its Pixels are used again where they are large enough. Of the pixels those
	// in the rows are set, all if rows is nil; the others can be anything.
	Original(ctx context.Context, index int, rows Rows, into *picture.Image) error
	// ReadLabels writes the labels of those indices, as Read does, without the images.
	ReadLabels(labels []int32, indices []int) error
}

// Rows says of a picture of that size which rows are needed: from first on, up to the one
// before end, where 0 ≤ first < end ≤ height.
type Rows func(height, width int) (first, end int)

// Named is a Source whose images have file names, or that has images of which none has.
type Named interface {
	Source
	// FileNames has the name of each image's file, or is empty.
	FileNames() []string
}

// FileNames returns the name of each image's file, and nothing where they have none.
func FileNames(s Source) []string {
	if named, ok := s.(Named); ok {
		return named.FileNames()
	}
	return nil
}

// Read is Source's Read: the same images in each epoch.
func (s *Set) Read(_ context.Context, images []uint8, labels []int32, indices []int, _ int) error {
	size := s.ImageSize()
	if err := checkRead(s.Name, len(images), labels, indices, size, s.Len()); err != nil {
		return err
	}
	for k, i := range indices {
		copy(images[k*size:(k+1)*size], s.Image(i))
		if labels != nil {
			labels[k] = s.Labels[i]
		}
	}
	return nil
}

// FileNames returns Files.
func (s *Set) FileNames() []string { return s.Files }

// checkRead reports what a Read cannot go into, and indices that are none.
func checkRead(name string, room int, labels []int32, indices []int, size, count int) error {
	if room/size < len(indices) {
		return fmt.Errorf("%w: %d images of %d bytes into a buffer of %d", ErrSize, len(indices),
			size, room)
	}
	if labels != nil && len(labels) < len(indices) {
		return fmt.Errorf("%w: %d labels into a buffer of %d", ErrSize, len(indices), len(labels))
	}
	for _, i := range indices {
		if i < 0 || i >= count {
			return fmt.Errorf("%s: %w: %d of 0…%d", name, ErrIndex, i, count-1)
		}
	}
	return nil
}

// labelled is a source whose labels are known without its images.
type labelled interface{ allLabels() []int32 }

func (s *Set) allLabels() []int32      { return s.Labels }
func (p *Pictures) allLabels() []int32 { return p.labels }

// AllLabels returns the label of each image, as Source.Read writes it. Those of a Set and of
// Pictures are known; another source is read for them. They are not to be changed.
func AllLabels(ctx context.Context, source Source) ([]int32, error) {
	if known, ok := source.(labelled); ok {
		return known.allLabels(), nil
	}
	info := source.Info()
	labels, indices := make([]int32, source.Len()), make([]int, 0, loadBatch)
	images := make([]uint8, min(loadBatch, source.Len())*info.Channels*info.Height*info.Width)
	for first := 0; first < len(labels); first += len(indices) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		indices = indices[:0]
		for i := first; i < min(first+loadBatch, len(labels)); i++ {
			indices = append(indices, i)
		}
		if err := source.Read(ctx, images, labels[first:], indices, 0); err != nil {
			return nil, err
		}
	}
	return labels, nil
}

// First returns the first n images of a source, all of them where n is 0 or more than
// there are.
func First(source Source, n int) (Source, error) {
	if n == 0 || n >= source.Len() {
		return source, nil
	}
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	switch s := source.(type) {
	case *Set:
		return nilled(s.Subset(indices))
	case *Pictures:
		return s.subset(indices), nil
	}
	return newPart(source, indices), nil
}

// Inputs reads the images of those indices as a network takes them: N×C×H×W values.
func Inputs(ctx context.Context, source Source, indices []int, pixels Pixels) ([]float32, error) {
	info := source.Info()
	size := info.Channels * info.Height * info.Width
	images, values := make([]uint8, len(indices)*size), make([]float32, len(indices)*size)
	if err := source.Read(ctx, images, nil, indices, 0); err != nil {
		return nil, err
	}
	if err := pixels.Feed(values, images, info.Channels, size); err != nil {
		return nil, fmt.Errorf("data %s: %w", info.Name, err)
	}
	return values, nil
}

// loadBatch is how many images Load reads at a time.
const loadBatch = 256

// Load reads a whole source, as it is in epoch 0, into memory. A Set is returned as it is.
func Load(ctx context.Context, source Source) (*Set, error) {
	if set, ok := source.(*Set); ok {
		return set, nil
	}
	info := source.Info()
	size := info.Channels * info.Height * info.Width
	images, labels := make([]uint8, size*info.Images), make([]int32, info.Images)
	indices := make([]int, 0, loadBatch)
	for first := 0; first < info.Images; first += len(indices) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		indices = indices[:0]
		for i := first; i < min(first+loadBatch, info.Images); i++ {
			indices = append(indices, i)
		}
		if err := source.Read(ctx, images[first*size:], labels[first:], indices, 0); err != nil {
			return nil, err
		}
	}
	set, err := newSetOf(info, images, labels)
	if err != nil {
		return nil, err
	}
	set.Place, set.ClassNames, set.Licence = info.Place, info.ClassNames, info.Licence
	set.Files, set.Sizing, set.LeftOut = FileNames(source), info.Sizing, info.LeftOut
	if pictures, ok := source.(*Pictures); ok {
		set.contents = pictures.contents
	}
	return set, nil
}

// newSetOf makes a set of images and their labels, as a source of that Info reads them.
func newSetOf(info Info, images []uint8, labels []int32) (*Set, error) {
	if info.MultiLabel {
		return multiLabelSet(info.Name, images, info.Combinations, labels, info.Channels, info.Height,
			info.Width, info.Classes)
	}
	return NewSet(info.Name, images, labels, info.Channels, info.Height, info.Width, info.Classes)
}

// SplitSource draws round(fraction·Len) images for validation, as Set.SplitFraction does,
// from any source. The sources read from the one that is split.
func SplitSource(source Source, fraction float64, seed uint64) (training, validation Source,
	err error) {
	if set, ok := source.(*Set); ok {
		training, validation, err := set.SplitFraction(fraction, seed)
		if err != nil {
			return nil, nil, err
		}
		return training, validation, nil
	}
	rest, drawn, err := splitFraction(source.Info().Name, source.Len(), fraction, seed)
	if err != nil {
		return nil, nil, err
	}
	if pictures, ok := source.(*Pictures); ok {
		return pictures.subset(rest), pictures.subset(drawn), nil
	}
	return newPart(source, rest), newPart(source, drawn), nil
}

// part is some images of a source.
type part struct {
	source  Source
	info    Info
	indices []int
}

func newPart(source Source, indices []int) Source {
	info := source.Info()
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%d\n", info.SHA256, indices)
	info.Images, info.Place, info.SHA256 = len(indices), "", hex.EncodeToString(sum.Sum(nil))
	info.Title, info.Authors = "", ""
	p := &part{source, info, indices}
	if originals, ok := source.(Originals); ok {
		return &originalsPart{p, originals}
	}
	return p
}

func (p *part) Len() int   { return len(p.indices) }
func (p *part) Info() Info { return p.info }

func (p *part) FileNames() []string {
	names := FileNames(p.source)
	if len(names) == 0 {
		return nil
	}
	return pick(names, p.indices)
}

func (p *part) Read(ctx context.Context, images []uint8, labels []int32, indices []int,
	epoch int) error {
	if err := checkRead(p.info.Name, len(images), labels, indices,
		max(p.info.Channels*p.info.Height*p.info.Width, 1), p.Len()); err != nil {
		return err
	}
	return p.source.Read(ctx, images, labels, pick(p.indices, indices), epoch)
}

// originalsPart is a part of a source that has originals.
type originalsPart struct {
	*part
	originals Originals
}

func (p *originalsPart) Original(ctx context.Context, index int, rows Rows,
	into *picture.Image) error {
	if index < 0 || index >= p.Len() {
		return fmt.Errorf("%s: %w: %d of 0…%d", p.info.Name, ErrIndex, index, p.Len()-1)
	}
	return p.originals.Original(ctx, p.indices[index], rows, into)
}

func (p *originalsPart) ReadLabels(labels []int32, indices []int) error {
	if err := checkRead(p.info.Name, len(indices), labels, indices, 1, p.Len()); err != nil {
		return err
	}
	return p.originals.ReadLabels(labels, pick(p.indices, indices))
}

// pick returns the values at those indices.
func pick[T any](values []T, indices []int) []T {
	picked := make([]T, len(indices))
	for k, i := range indices {
		picked[k] = values[i]
	}
	return picked
}

// WithClassNames returns the source with its classes named, as Set.WithClassNames does. It
// must be a Set or Pictures.
func WithClassNames(source Source, names []string) (Source, error) {
	switch s := source.(type) {
	case *Set:
		return nilled(s.WithClassNames(names))
	case *Pictures:
		if len(names) < s.info.Classes {
			return nil,
				fmt.Errorf("%s: %w: %d class names for %s; give a name for each label from 0",
					s.info.Name, ErrArgument, len(names), counted(s.info.Classes, "class", "classes"))
		}
		named := s.clone()
		named.info.Classes, named.info.ClassNames = len(names), slices.Clone(names)
		return named, nil
	}
	return nil, fmt.Errorf("%w: the classes of a %T cannot be named", ErrArgument, source)
}

// Relabelled returns the source with its labels in the order of other class names, as
// Set.Relabelled does. It must be a Set or Pictures.
func Relabelled(source Source, names []string) (Source, error) {
	switch s := source.(type) {
	case *Set:
		return nilled(s.Relabelled(names))
	case *Pictures:
		to, err := places(s.info, names)
		if err != nil {
			return nil, err
		}
		relabelled := s.clone()
		if s.info.MultiLabel {
			relabelled.info.Combinations = s.info.Combinations.relabel(to)
		} else {
			relabelled.labels = relabel(s.labels, to)
		}
		relabelled.info.Classes, relabelled.info.ClassNames = len(names), slices.Clone(names)
		relabelled.info.SHA256 = relabelled.digest()
		return relabelled, nil
	}
	return nil, fmt.Errorf("%w: the labels of a %T cannot be put into another order", ErrArgument,
		source)
}

// nilled is a Source that is nil where its set is.
func nilled(set *Set, err error) (Source, error) {
	if err != nil {
		return nil, err
	}
	return set, nil
}

// As returns the source under another name, and with another licence where that is not
// empty. It must be a Set or Pictures; another source is returned as it is.
func As(source Source, name, licence string) Source {
	switch s := source.(type) {
	case *Set:
		known := *s
		known.Name = name
		if licence != "" {
			known.Licence = licence
		}
		return &known
	case *Pictures:
		known := s.clone()
		known.info.Name = name
		if licence != "" {
			known.info.Licence = licence
		}
		return known
	}
	return source
}
