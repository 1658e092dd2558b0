package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"slipway/dataset/picture"
	"slipway/internal/display"
)

// openPictures reads the pictures of a list: into a Set where they are of one size and
// take no more memory than they may, into Pictures elsewhere. Each file is read and
// decoded once before the first picture is asked for: that tells the set's digest and
// what is damaged. Where decoded pictures are kept on the disk, that is once for all runs.
func openPictures(ctx context.Context, name, place string, list *pictureFiles, opts Options,
	inMemory bool) (Source, error) {
	if opts.Originals && opts.Sizing == nil {
		return nil,
			fmt.Errorf(
				"%s: %w: pictures are taken from their originals where they come to one size; give it with -resize",
				list.place, ErrArgument)
	}
	if len(list.files) == 0 {
		return nil, fmt.Errorf("%s: %w", list.place, ErrEmpty)
	}
	if a, b := sameButCase(list.classes); a != "" {
		opts.say(
			"note: the classes %s and %s differ in upper and lower case alone; if they are the same, move the pictures of one to the other",
			a, b)
	}
	limit := opts.Memory
	if limit == 0 {
		limit = DefaultMemory
	}
	t := newIntake(list, opts, limit)
	if opts.inspection != nil {
		return t.inspect(ctx, name, place)
	}
	if !opts.Originals && !inMemory {
		t.limit /= 2 // for the copy in one piece
	}
	t.inMemory = inMemory
	store, err := t.stored(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", list.place, err)
	}
	kept, err := t.readable()
	if err != nil {
		return nil, err
	}
	if list.passed > 0 {
		opts.say("%s: %s passed over, which are no pictures", list.place,
			counted(list.passed, "file", "files"))
	}
	set, err := t.describe(name, kept)
	if err != nil {
		return nil, err
	}
	set.info.Place = place
	if _, ok := store.(decoded); ok && !opts.Originals {
		return nilled(t.inOnePiece(set))
	}
	set.store = store
	return set, nil
}

// stored reads all files, and returns what has their pictures from then on.
func (t *intake) stored(ctx context.Context) (pictureStore, error) {
	cache, cacheErr := t.cache()
	if cacheErr == nil {
		store, err := t.fromPack(ctx, cache)
		if _, isPack := store.(*pack); err == nil && isPack && t.inMemory {
			return nil, t.tooLarge()
		}
		if err == nil {
			return store, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !errors.Is(err, errNoPack) {
			t.opts.say("note: the decoded pictures in %s are made again: %v", cache.path, err)
		}
		t.facts = make([]fact, len(t.list.files))
	}
	err := t.run(ctx, t.hold)
	if !errors.Is(err, errFull) {
		return t.images, err
	}
	if t.inMemory {
		return nil, t.tooLarge()
	}
	memory := display.Bytes(t.asked)
	if cacheErr == nil {
		cacheErr = cache.room(t.held * int64(len(t.facts)) / t.next.Load())
	}
	if cacheErr == nil {
		t.opts.say("%s: its pictures do not fit into %s of memory, and are decoded into %s",
			t.list.place, memory, cache.path)
		store, err := t.intoPack(ctx, cache)
		if err == nil || ctx.Err() != nil {
			return store, err
		}
		cacheErr = err
	}
	t.opts.say("%s: its pictures do not fit into %s of memory, and are decoded in each epoch: %v",
		t.list.place, memory, cacheErr)
	t.images, t.held = nil, 0
	if err := t.run(ctx, func(int, *picture.Image) error { return nil }); err != nil {
		return nil, err
	}
	return t.fromFiles(), nil
}

func (t *intake) tooLarge() error {
	return fmt.Errorf("%w: its pictures do not fit into %s of memory; make them smaller with -resize",
		ErrTooLarge, display.Bytes(t.asked))
}

// fromFiles decodes the pictures each time.
func (t *intake) fromFiles() *inFiles {
	contents := make([]content, len(t.facts))
	for place := range contents {
		contents[place] = t.facts[place].content
	}
	return &inFiles{files: t.list.files, contents: contents, sizing: t.kept(),
		channels: t.opts.Channels}
}

// fromPack takes what an earlier intake of the same files has decoded.
func (t *intake) fromPack(ctx context.Context, cache pictureCache) (pictureStore, error) {
	pack, err := cache.open(len(t.facts))
	if err != nil {
		return nil, err
	}
	t.facts = pack.facts()
	pack.files = t.fromFiles()
	pack.say = t.opts.say
	if pack.bytes() > t.limit {
		return pack, nil
	}
	for place := range t.facts {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if t.facts[place].damaged != nil {
			continue
		}
		image := new(picture.Image)
		if err := pack.load(ctx, place, nil, image); err != nil {
			return nil, err
		}
		t.images[place] = image
	}
	return t.images, nil
}

// intoPack decodes what is left into a file, after what is in memory.
func (t *intake) intoPack(ctx context.Context, cache pictureCache) (pictureStore, error) {
	err := cache.write(func(w io.Writer) error {
		writer := newPackWriter(w, cache.key, t.facts)
		for place, image := range t.images {
			if image == nil {
				continue
			}
			if err := writer.write(place, image); err != nil {
				return err
			}
			t.images[place] = nil
		}
		t.images, t.held = nil, 0
		if err := t.run(ctx, writer.write); err != nil {
			return err
		}
		for place := range t.facts {
			// Another time the file may be read.
			if err := t.facts[place].unread; err != nil {
				return err
			}
		}
		return writer.finish()
	})
	if err != nil {
		return nil, err
	}
	pack, err := cache.open(len(t.facts))
	if err != nil {
		return nil, err
	}
	pack.files = t.fromFiles()
	pack.say = t.opts.say
	return pack, nil
}

// sameButCase returns two names that differ in upper and lower case alone, and nothing
// where there are none.
func sameButCase(names []string) (a, b string) {
	seen := make(map[string]string, len(names))
	for _, name := range names {
		folded := strings.ToLower(name)
		if other, ok := seen[folded]; ok {
			return display.Printable(other), display.Printable(name)
		}
		seen[folded] = name
	}
	return "", ""
}
