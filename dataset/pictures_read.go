package dataset

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"slipway/dataset/picture"
)

// DefaultPictureLimit is the most bytes that the pictures of a set take in memory at
// one size, unless Options.Limit says otherwise.
const DefaultPictureLimit = 8 << 30

// openPictures reads the pictures of a list into a set of that name.
func openPictures(ctx context.Context, name string, list *pictureFiles, opts Options) (*Set, error) {
	reader := &pictureReader{opts: opts, images: make([]*picture.Image, len(list.files)), errs: make([]error, len(list.files))}
	if err := reader.readAll(ctx, list.files); err != nil {
		return nil, fmt.Errorf("%s: %w", list.place, err)
	}
	kept, err := reader.keep(list)
	if err != nil {
		return nil, err
	}
	if list.passed > 0 {
		opts.say("%s: %s passed over, which are no pictures", list.place, counted(list.passed, "file", "files"))
	}
	set, err := reader.assemble(name, kept, list.files)
	if err != nil {
		return nil, err
	}
	set.Licence = list.licence
	if len(list.classes) == 0 {
		return set, nil
	}
	return set.WithClassNames(list.classes)
}

// pictureReader decodes pictures on all cores. What it makes does not depend on how
// many there are.
type pictureReader struct {
	opts   Options
	images []*picture.Image
	errs   []error
}

// readAll decodes each file to its place.
func (r *pictureReader) readAll(ctx context.Context, files []pictureFile) error {
	limit := r.opts.Limit
	if limit == 0 {
		limit = DefaultPictureLimit
	}
	var next, held atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			var resizer picture.Resizer
			for {
				i := int(next.Add(1)) - 1
				if i >= len(files) || ctx.Err() != nil || held.Load() > limit {
					return
				}
				r.images[i], r.errs[i] = r.read(files[i], &resizer)
				if r.errs[i] == nil {
					held.Add(int64(len(r.images[i].Pixels)))
				}
			}
		})
	}
	workers.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case held.Load() > limit:
		return fmt.Errorf("%w: its pictures take more than %d bytes in memory; make them smaller with -resize", ErrTooLarge, limit)
	}
	return nil
}

func (r *pictureReader) read(file pictureFile, resizer *picture.Resizer) (*picture.Image, error) {
	data, err := file.read()
	if err != nil {
		return nil, err
	}
	image, err := picture.Decode(data, picture.Options{Channels: r.opts.Channels})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.where, err)
	}
	if r.opts.Sizing == nil {
		return image, nil
	}
	sized := new(picture.Image)
	return sized, resizer.Fit(sized, image, *r.opts.Sizing)
}

// keep returns the places of the pictures that were read. What was not ends it, or is
// told and left out.
func (r *pictureReader) keep(list *pictureFiles) (kept []int, err error) {
	var first error
	damaged := 0
	for i, err := range r.errs {
		if err == nil {
			kept = append(kept, i)
			continue
		}
		damaged++
		if first == nil {
			first = err
		}
		if r.opts.SkipDamaged {
			r.opts.say("left out: %v", err)
		}
	}
	switch {
	case damaged > 0 && !r.opts.SkipDamaged && damaged == 1:
		return nil, fmt.Errorf("%w (-skip-damaged leaves it out)", first)
	case damaged > 0 && !r.opts.SkipDamaged:
		return nil, fmt.Errorf("%w (and %d more of %d files; -skip-damaged leaves them out)", first, damaged-1, len(list.files))
	case len(kept) == 0:
		return nil, fmt.Errorf("%s: %w", list.place, ErrEmpty)
	}
	return kept, nil
}

// assemble puts the pictures behind each other: in colour if any has one.
func (r *pictureReader) assemble(name string, kept []int, files []pictureFile) (*Set, error) {
	first := r.images[kept[0]]
	channels := first.Channels
	for _, i := range kept {
		image := r.images[i]
		channels = max(channels, image.Channels)
		if image.Height != first.Height || image.Width != first.Width {
			return nil, fmt.Errorf("%s: %w: %s is %d×%d pixels (height × width), %s %d×%d; give them one size with -resize",
				name, ErrSize, files[kept[0]].name, first.Height, first.Width, files[i].name, image.Height, image.Width)
		}
	}
	size := channels * first.Height * first.Width
	pixels := make([]uint8, 0, size*len(kept))
	var labels []int32
	var names []string
	for _, i := range kept {
		image, err := r.images[i].ToChannels(channels)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", files[i].name, err)
		}
		pixels, labels, names = append(pixels, image.Pixels...), append(labels, files[i].label), append(names, files[i].name)
		r.images[i] = nil // it lies in pixels now
	}
	set, err := NewSet(name, pixels, labels, channels, first.Height, first.Width, 0)
	if err != nil {
		return nil, err
	}
	set.Files, set.LeftOut = names, len(files)-len(kept)
	if r.opts.Sizing != nil {
		set.Sizing = r.opts.Sizing.String()
	}
	return set, nil
}

// Relabelled returns the set with its labels in the order of other class names, which
// have all of its own among them: a folder of some of the classes, say, for a model of
// all.
func (s *Set) Relabelled(names []string) (*Set, error) {
	place := make(map[string]int32, len(names))
	for i, name := range names {
		place[name] = int32(i)
	}
	to := make([]int32, len(s.ClassNames))
	for i, name := range s.ClassNames {
		label, ok := place[name]
		if !ok {
			return nil, fmt.Errorf("%s: %w: there is no class %q among those that are known", s.Name, ErrLabel, name)
		}
		to[i] = label
	}
	if len(to) == 0 {
		return nil, errors.New("a set without class names cannot be given others' order")
	}
	relabelled := *s
	relabelled.Labels = make([]int32, len(s.Labels))
	for i, label := range s.Labels {
		relabelled.Labels[i] = to[label]
	}
	relabelled.Classes, relabelled.ClassNames = len(names), names
	return &relabelled, nil
}
