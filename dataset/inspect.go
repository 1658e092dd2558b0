package dataset

import (
	"context"
	"fmt"
	"sync"

	"slipway/dataset/picture"
)

// Inspection is what looking once at each image of a set tells, the damaged ones and those
// of any size included. It holds no pictures: a set may be larger than memory.
type Inspection struct {
	// Source has the images that are not damaged, which may be none. Pictures are decoded
	// anew when they are read. Where they are of more than one size, and no Options.Sizing
	// was given, its Info has the height and width 0, and it cannot be read.
	Source Source
	// Levels are those of all images as they are trained on, nil where they are of more
	// than one size, or none.
	Levels *Levels
	// Files is how many encoded pictures were found, 0 where images are none. The rest is
	// of these.
	Files int
	// Sizes has the size of each image of Source as it is in its file, turned upright.
	Sizes []PictureSize
	// Formats has the format of each image's file, as picture.Format names it.
	Formats []string
	// Damaged says of each file that could not be read why, in the order of the set.
	Damaged []error
	// PassedOver is how many other files were passed over; PassedNames has the names of
	// those in folders of a class.
	PassedOver  int
	PassedNames []string

	// undecoded takes the files' sha256 alone.
	undecoded bool
}

// PictureSize is the size of a picture in pixels.
type PictureSize struct{ Height, Width int }

// String writes height × width.
func (s PictureSize) String() string { return fmt.Sprintf("%d×%d", s.Height, s.Width) }

// Inspect opens what spec names, as Open does, and looks at each image once. Damaged
// pictures and pictures of different sizes are no errors; Options.Memory, PictureCache,
// SkipDamaged and Originals do not apply.
func Inspect(ctx context.Context, spec string, opts Options) (*Inspection, error) {
	inspection := new(Inspection)
	source, err := openInspected(ctx, spec, opts, inspection)
	if err != nil {
		return nil, err
	}
	inspection.Source = source
	if set, ok := source.(*Set); ok {
		inspection.Levels, err = levelsOf(ctx, set)
	}
	return inspection, err
}

func openInspected(ctx context.Context, spec string, opts Options, into *Inspection) (Source,
	error) {
	return OpenSource(ctx, spec, opts.inspecting(into))
}

// inspecting has pictures looked at, as they are before they come to one size.
func (o Options) inspecting(into *Inspection) Options {
	o.inspection, o.Originals = into, o.Sizing != nil
	return o
}

func levelsOf(ctx context.Context, set *Set) (*Levels, error) {
	levels, err := NewLevels(set.Channels)
	if err != nil {
		return nil, err
	}
	for i := range set.Len() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := levels.Add(set.Image(i)); err != nil {
			return nil, err
		}
	}
	return levels, nil
}

// inspect looks at each file, and returns the set of those that are not damaged, which
// reads them from their files.
func (t *intake) inspect(ctx context.Context, name, place string) (Source, error) {
	into := t.opts.inspection
	counts := &levelCounts{sizing: t.opts.Sizing}
	t.look = counts.look
	if err := t.run(ctx, func(int, *picture.Image) error { return nil }); err != nil {
		return nil, fmt.Errorf("%s: %w", t.list.place, err)
	}
	into.Files, into.PassedOver, into.PassedNames = len(t.facts), t.list.passed, t.list.passedNames
	var kept []int
	for place := range t.facts {
		fact := &t.facts[place]
		switch {
		case fact.unread != nil:
			into.Damaged = append(into.Damaged, fact.unread)
		case fact.damaged != nil:
			into.Damaged = append(into.Damaged, fact.damaged)
		default:
			kept = append(kept, place)
			into.Sizes = append(into.Sizes, PictureSize{fact.height, fact.width})
			into.Formats = append(into.Formats, fact.format)
		}
	}
	if len(kept) == 0 {
		info := Info{Name: name, Place: place, LeftOut: len(t.facts), Licence: t.list.licence,
			Classes: len(t.list.classes), ClassNames: t.list.classes,
			MultiLabel: t.list.combinations != nil, Combinations: t.list.combinations}
		return &Pictures{info: info}, nil
	}
	set, err := t.describe(name, kept)
	if err != nil {
		return nil, err
	}
	set.info.Place, set.store = place, t.fromFiles()
	if set.info.Height > 0 && !into.undecoded {
		into.Levels, err = counts.of(set.info.Channels)
	}
	return set, err
}

// levelCounts counts the levels of pictures on several threads, in grey and in colour.
type levelCounts struct {
	sizing *picture.Sizing // which brings them to one size first, nil for none
	lock   sync.Mutex
	idle   []*levelCounter
	all    []*levelCounter
	// first is the size of the first picture; mixed says that another one has another
	// size, and that counting is of no use.
	first PictureSize
	mixed bool
}

// levelCounter is what one thread counts with.
type levelCounter struct {
	grey, colour *Levels
	sized        picture.Image
}

// look counts a picture.
func (l *levelCounts) look(image *picture.Image, resizer *picture.Resizer) error {
	counter, err := l.take(PictureSize{image.Height, image.Width})
	if counter == nil || err != nil {
		return err
	}
	defer l.putBack(counter)
	if l.sizing != nil {
		if err := resizer.Fit(&counter.sized, image, *l.sizing); err != nil {
			return err
		}
		image = &counter.sized
	}
	if image.Channels == 1 {
		return counter.grey.Add(image.Pixels)
	}
	return counter.colour.Add(image.Pixels)
}

// take returns what to count a picture of that size with, nil where that is of no use.
func (l *levelCounts) take(size PictureSize) (*levelCounter, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.first == (PictureSize{}) {
		l.first = size
	}
	l.mixed = l.mixed || l.sizing == nil && size != l.first
	if l.mixed {
		return nil, nil
	}
	if n := len(l.idle); n > 0 {
		counter := l.idle[n-1]
		l.idle = l.idle[:n-1]
		return counter, nil
	}
	counter := new(levelCounter)
	var err error
	if counter.grey, err = NewLevels(1); err != nil {
		return nil, err
	}
	if counter.colour, err = NewLevels(3); err != nil {
		return nil, err
	}
	l.all = append(l.all, counter)
	return counter, nil
}

func (l *levelCounts) putBack(counter *levelCounter) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.idle = append(l.idle, counter)
}

// of adds up the counts for a set with that many channels: a grey picture counts in each.
func (l *levelCounts) of(channels int) (*Levels, error) {
	sum, err := NewLevels(channels)
	if err != nil {
		return nil, err
	}
	for _, counter := range l.all {
		for channel := range channels {
			sum.addCounts(channel, &counter.grey.counts[0])
			if channels == 3 {
				sum.addCounts(channel, &counter.colour.counts[channel])
			}
		}
	}
	return sum, nil
}
