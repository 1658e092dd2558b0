package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/dataset/picture"
	"slipway/internal/nearest"
)

// Part is one of the two pairs of files in which a set is published.
type Part string

// The parts, by the word that begins their files' names.
const (
	Train Part = "train"
	Test  Part = "t10k"
)

// Options for Open and Fetch. The zero value is a good choice.
type Options struct {
	// DataDir is a folder with MNIST's training files, to be used instead of
	// the cache. It applies to "train" alone.
	DataDir string
	// CacheDir is used instead of the user's cache folder, os.UserCacheDir
	// with slipway/mnist, slipway/optdigits or slipway/fashion.
	CacheDir string
	// Part is the pair to take when a folder holds both and the name does not say, and
	// the part of fashion, whose test set is taken where Part is empty.
	Part Part
	// Classes is the number of classes of a set from files, 1 to MaxClasses; 0 means as
	// many as its labels or its class names ask for.
	Classes int
	// Sizing brings the pictures of a folder to one size; nil takes them as they are,
	// which is of one size then. Channels is 1 for grey and 3 for colour; 0 is colour if
	// any of them has one. They apply to folders of pictures alone.
	Sizing   *picture.Sizing
	Channels int
	// Originals asks for Pictures that have the pictures as they were before they came to
	// one size. OpenSource alone takes it.
	Originals bool
	// Memory is the most bytes of pictures that OpenSource holds in memory, DefaultMemory
	// when 0: originals of so many, and images of one size of half as many, which are there
	// twice while they are put behind each other. What takes more is decoded into a file
	// in PictureCache once, and read from there; or decoded in each epoch where there is no
	// room for it.
	Memory int64
	// PictureCache is the folder of decoded pictures, pictures under slipway in the user's
	// cache folder when empty. NoPictureCache keeps none.
	PictureCache string
	// SkipDamaged leaves pictures out that cannot be read, and tells Messages which.
	SkipDamaged bool
	// OwnNames says that the caller names the classes, so that labels.txt is not read.
	OwnNames bool
	// Limit is the most bytes of data that one file may declare, or that the pictures of
	// a folder take; 0 means DefaultLimit, or DefaultPictureLimit.
	Limit int64
	// Messages takes a line when something is brought or the cache fails. May be nil.
	Messages io.Writer
}

func (o Options) say(format string, args ...any) {
	if o.Messages != nil {
		fmt.Fprintf(o.Messages, format+"\n", args...)
	}
}

func (o Options) cacheDir() (string, error) {
	if o.CacheDir != "" {
		return o.CacheDir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "slipway", "mnist"), nil
}

func (o Options) check(spec string) error {
	switch {
	case o.Part != "" && o.Part != Train && o.Part != Test:
		return fmt.Errorf("%w: part %q, there are %q and %q", ErrArgument, o.Part, Train, Test)
	case o.DataDir != "" && spec != string(Train):
		return fmt.Errorf("%w: a data folder applies to the data set %q alone, not to %q", ErrArgument, Train, spec)
	case o.Classes < 0 || o.Classes > MaxClasses:
		return fmt.Errorf("%w: %d classes, 1 to %d are possible", ErrArgument, o.Classes, MaxClasses)
	case o.Classes != 0 && o.Classes != mnistClasses && slices.Contains(names(), spec):
		return fmt.Errorf("%w: %d classes, %s has %d", ErrArgument, o.Classes, spec, mnistClasses)
	}
	return nil
}

// Open returns the set that spec names, in memory, in one of the forms that the package
// comment lists. The words t10k, train, optdigits and fashion go before files of
// that name; write ./train for such a folder. Options.Originals, Memory and PictureCache
// are OpenSource's.
func Open(ctx context.Context, spec string, opts Options) (*Set, error) {
	if opts.Originals {
		return nil, fmt.Errorf("%w: a set in memory has its images at one size, and no originals", ErrArgument)
	}
	if opts.Memory = opts.Limit; opts.Memory == 0 {
		opts.Memory = DefaultPictureLimit
	}
	source, err := open(ctx, spec, opts, true)
	if err != nil {
		return nil, err
	}
	return Load(ctx, source)
}

// OpenSource returns what spec names, as Open does, and need not read pictures into memory
// for it: see Options.Memory.
func OpenSource(ctx context.Context, spec string, opts Options) (Source, error) {
	return open(ctx, spec, opts, false)
}

func open(ctx context.Context, spec string, opts Options, inMemory bool) (Source, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := opts.check(spec); err != nil {
		return nil, err
	}
	if folder := FolderBeside(spec); folder != "" {
		opts.say("note: %s is a set that this program knows by that word; the folder of the name is %s", spec, folder)
	}
	if IsWord(spec) {
		return nilled(openWord(ctx, spec, opts))
	}
	if spec == "" {
		return nil, unknown(spec)
	}
	info, err := os.Stat(spec)
	if err == nil && !info.IsDir() {
		if source, err := openPlace(ctx, spec, "", opts, inMemory); source != nil || err != nil {
			return source, err
		}
		return nilled(openFile(spec, opts))
	}
	dir, part := spec, Part("")
	if err != nil {
		for _, p := range []Part{Train, Test} {
			if before, ok := strings.CutSuffix(spec, ":"+string(p)); ok {
				dir, part = before, p
			}
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, err
			}
			if err == nil {
				if source, err := openPlace(ctx, dir, part, opts, inMemory); source != nil || err != nil {
					return source, err
				}
			}
			return nil, unknown(spec)
		}
	}
	set, err := openDir(dir, part, opts)
	if !errors.Is(err, ErrUnknown) {
		return nilled(set, err)
	}
	if source, placeErr := openPlace(ctx, dir, part, opts, inMemory); source != nil || placeErr != nil {
		return source, placeErr
	}
	return nil, explained(dir, part, err)
}

// openPlace opens the set of encoded pictures at the path, and returns nil where none are.
func openPlace(ctx context.Context, path string, part Part, opts Options, inMemory bool) (Source, error) {
	place, err := findPictures(path, part, opts)
	if place == nil || err != nil {
		return nil, err
	}
	return openPictures(ctx, place.path+place.suffix, wholePath(place.path, place.suffix), place.list, opts, inMemory)
}

// openWord opens a set that this program knows by a word of IsWord.
func openWord(ctx context.Context, word string, opts Options) (*Set, error) {
	switch word {
	case string(Test):
		return openT10k()
	case string(Train):
		return openTrain(ctx, opts)
	case Fashion:
		return openCached(Fashion, opts.Part, opts)
	case fashionTrain:
		return openCached(Fashion, Train, opts)
	case FashionTest:
		return openCached(Fashion, Test, opts)
	}
	return openCached(word, Test, opts)
}

func openDir(dir string, part Part, opts Options) (*Set, error) {
	if part == "" {
		_, _, trainErr := findPair(dir, Train)
		_, _, testErr := findPair(dir, Test)
		switch {
		case trainErr == nil && testErr == nil && opts.Part == "":
			return nil, fmt.Errorf("%s: %w; say which: %s:%s or %s:%s", dir, ErrAmbiguous, dir, Train, dir, Test)
		case trainErr == nil && testErr == nil:
			part = opts.Part
		case trainErr == nil:
			part = Train
		case testErr == nil:
			part = Test
		case errors.Is(trainErr, ErrNoLabels):
			return nil, trainErr
		case errors.Is(testErr, ErrNoLabels):
			return nil, testErr
		default:
			return nil, fmt.Errorf("%w: the folder %s has neither %s nor %s, plain or .gz, nor folders of pictures, one a class, nor a list, .tar or .parquet files of them%s",
				ErrUnknown, dir, imageNames(Train)[0], imageNames(Test)[0], nearest.Hint(imageNames(Train)[0], entries(dir)))
		}
	}
	images, labels, err := findPair(dir, part)
	if err != nil {
		return nil, err
	}
	suffix := ":" + string(part)
	set, err := openPair(dir+suffix, images, labels, opts)
	if err != nil {
		return nil, err
	}
	return set.placed(dir, suffix).withNotes(dir, opts)
}

func openFile(images string, opts Options) (*Set, error) {
	candidates := labelNames(images)
	labels, ok := firstFile(filepath.Dir(images), candidates)
	if !ok {
		// The file itself may be what is wrong; its own error says more then.
		if x, err := ReadIDXFile(images, opts.Limit); err != nil {
			return nil, err
		} else if err := checkImages(x); err != nil {
			return nil, fmt.Errorf("%s: %w", images, err)
		}
		if len(candidates) == 0 {
			return nil, fmt.Errorf("%s: %w: call the pair …images… and …labels…, so that one tells the other", images, ErrNoLabels)
		}
		return nil, fmt.Errorf("%s: %w: put %s beside it", images, ErrNoLabels, candidates[0])
	}
	set, err := openPair(images, images, labels, opts)
	if err != nil {
		return nil, err
	}
	return set.placed(images, ""), nil
}

func openPair(name, images, labels string, opts Options) (*Set, error) {
	return readSet(name, opts.Classes, opts.Limit,
		func(limit int64) (*IDX, error) { return ReadIDXFile(images, limit) },
		func(limit int64) (*IDX, error) { return ReadIDXFile(labels, limit) })
}

// readSet makes a set of two arrays.
func readSet(name string, classes int, limit int64, readImages, readLabels func(int64) (*IDX, error)) (*Set, error) {
	images, err := readImages(limit)
	if err != nil {
		return nil, err
	}
	if err := checkImages(images); err != nil {
		return nil, fmt.Errorf("%s: images: %w", name, err)
	}
	labels, err := readLabels(limit)
	if err != nil {
		return nil, err
	}
	if len(labels.Shape) != 1 {
		return nil, fmt.Errorf("%s: labels: %w: shape %v, labels have 1", name, ErrRank, labels.Shape)
	}
	shape := images.Shape
	if shape[0] != labels.Shape[0] {
		return nil, fmt.Errorf("%s: %w: %d images, %d labels; take both files from the same set", name, ErrCount, shape[0], labels.Shape[0])
	}
	numbers, err := labels.Labels()
	if err != nil {
		return nil, fmt.Errorf("%s: labels: %w", name, err)
	}
	channels := 1
	if len(shape) == 4 {
		channels = shape[1]
	}
	return NewSet(name, images.Data, numbers, channels, shape[len(shape)-2], shape[len(shape)-1], classes)
}

func checkImages(x *IDX) error {
	if len(x.Shape) != 3 && len(x.Shape) != 4 {
		return fmt.Errorf("%w: shape %v; images have 3 (N×H×W) or 4 (N×C×H×W); give the images file, not the labels",
			ErrRank, x.Shape)
	}
	if x.Type != Uint8 {
		return fmt.Errorf("%w: %s, images are uint8", ErrElementType, x.Type)
	}
	return nil
}
