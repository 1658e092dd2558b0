package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

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
	// with slipway/mnist, slipway/optdigits, slipway/fashion and so on.
	CacheDir string
	// From is the archive at hand that FetchNamed takes cifar10 or cifar100 from, in place
	// of their authors' page. It applies to nothing else.
	From string
	// Part is the pair to take when a folder or a file holds both and the name does not
	// say, and the part of fashion, cifar10 and cifar100, whose test set is taken where
	// Part is empty.
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
	// MultiLabel says that images have any number of labels, none too, where the set does not say it
	// itself: the label of a list has several parted by | or ; and is empty for none. Sets with
	// columns of 0 and 1, and labels N×L, are so anyway. A set with one label an image is refused.
	MultiLabel bool
	// OwnNames says that the caller names the classes, so that labels.txt is not read.
	OwnNames bool
	// Limit is the most bytes of data that one file may declare, or that the pictures of
	// a folder take; 0 means DefaultLimit, or DefaultPictureLimit.
	Limit int64
	// Messages takes a line when something is brought or the cache fails. May be nil.
	Messages io.Writer

	archive *publishedArchive // of a test, in place of the one that its authors publish
	// inspection takes what Inspect finds out, nil elsewhere.
	inspection *Inspection
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
		return fmt.Errorf("%w: a data folder applies to the data set %q alone, not to %q", ErrArgument,
			Train, spec)
	case o.From != "":
		return fmt.Errorf("%w: a file at hand was given, which applies to fetching alone", ErrArgument)
	case o.Classes < 0 || o.Classes > MaxClasses:
		return fmt.Errorf("%w: %d classes, 1 to %d are possible", ErrArgument, o.Classes, MaxClasses)
	case o.Classes != 0 && o.Classes != classesOf(spec) && slices.Contains(names(), spec):
		return fmt.Errorf("%w: %d classes, %s has %d", ErrArgument, o.Classes, spec, classesOf(spec))
	}
	return nil
}

// Open returns the set that spec names, in memory, in one of the forms that the package
// comment lists. Words such as t10k, train and fashion go before files of
// that name; write ./train for such a folder. Options.Originals, Memory and PictureCache
// are OpenSource's.
func Open(ctx context.Context, spec string, opts Options) (*Set, error) {
	if opts.Originals {
		return nil, fmt.Errorf("%w: a set in memory has its images at one size, and no originals",
			ErrArgument)
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
	source, err := openAny(ctx, spec, opts, inMemory)
	if err != nil {
		return nil, err
	}
	if err := mustBeSeveral(source, opts); err != nil {
		return nil, err
	}
	return source, nil
}

func openAny(ctx context.Context, spec string, opts Options, inMemory bool) (Source, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := opts.check(spec); err != nil {
		return nil, err
	}
	if folder := FolderBeside(spec); folder != "" {
		opts.say("note: %s is a set that this program knows by that word; the folder of the name is %s",
			spec, folder)
	}
	if IsWord(spec) {
		return nilled(openWord(ctx, spec, opts))
	}
	if spec == "" {
		return nil, unknown(spec)
	}
	dir, part, info, err := splitPart(spec)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, unknown(spec)
	case err != nil:
		return nil, err
	case !info.IsDir():
		return openAnyFile(ctx, dir, part, opts, inMemory)
	}
	set, err := openDir(dir, part, opts)
	if !errors.Is(err, ErrUnknown) {
		return nilled(set, err)
	}
	if of, set, numbersErr := openNumbers(dir, part, opts); of {
		return nilled(set, numbersErr)
	}
	if source, placeErr := openPlace(ctx, dir, part, opts, inMemory); source != nil ||
		placeErr != nil {
		return source, placeErr
	}
	return nil, explained(dir, part, err)
}

// openAnyFile opens a file of encoded pictures or of numbers: of pictures first, since a
// list of names and labels is a table, too.
func openAnyFile(ctx context.Context, file string, part Part, opts Options, inMemory bool) (Source,
	error) {
	if source, err := openPlace(ctx, file, part, opts, inMemory); source != nil || err != nil {
		return source, err
	}
	return nilled(openFile(ctx, file, part, opts))
}

// openPlace opens the set of encoded pictures at the path, and returns nil where none are.
func openPlace(ctx context.Context, path string, part Part, opts Options, inMemory bool) (Source,
	error) {
	place, err := findPictures(path, part, opts)
	if place == nil || err != nil {
		return nil, err
	}
	return openPictures(ctx, place.path+place.suffix, wholePath(place.path, place.suffix), place.list,
		opts, inMemory)
}

// openWord opens a set that this program knows by a word of IsWord.
func openWord(ctx context.Context, word string, opts Options) (*Set, error) {
	switch word {
	case string(Test):
		return openT10k()
	case string(Train):
		return openTrain(ctx, opts)
	case Fashion:
		return openCached(ctx, Fashion, opts.Part, opts)
	case fashionTrain:
		return openCached(ctx, Fashion, Train, opts)
	case FashionTest:
		return openCached(ctx, Fashion, Test, opts)
	}
	if c, part, ok := cifarOfWord(word); ok {
		return openCached(ctx, c.word, part, opts)
	}
	return openCached(ctx, word, Test, opts)
}

func openDir(dir string, part Part, opts Options) (*Set, error) {
	if part == "" {
		_, _, trainErr := findPair(dir, Train)
		_, _, testErr := findPair(dir, Test)
		switch {
		case trainErr == nil && testErr == nil && opts.Part == "":
			return nil, ambiguous(dir)
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
			return nil, fmt.Errorf(
				"%w: the folder %s has neither %s nor %s, plain or .gz, nor folders of pictures, one a class, nor a list, .tar or .parquet files of them%s%s",
				ErrUnknown, dir, imageNames(Train)[0], imageNames(Test)[0],
				nearest.Hint(imageNames(Train)[0], entries(dir)), setsIn(dir))
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

func openIDXFile(images string, opts Options) (*Set, error) {
	candidates := labelNames(images)
	labels, ok := firstFile(filepath.Dir(images), candidates)
	if !ok {
		// The file itself may be what is wrong; its own error says more then.
		if x, err := ReadIDXFile(images, opts.Limit); err != nil {
			return nil, err
		} else if _, err := layoutOf(x.Shape); err != nil {
			return nil, fmt.Errorf("%s: %w", images, err)
		}
		if len(candidates) == 0 {
			return nil, fmt.Errorf(
				"%s: %w: call the pair …images… and …labels…, so that one tells the other", images, ErrNoLabels)
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
func readSet(name string, classes int, limit int64, readImages,
	readLabels func(int64) (*IDX, error)) (*Set, error) {
	images, err := readImages(limit)
	if err != nil {
		return nil, err
	}
	pixels, err := images.array()
	if err != nil {
		return nil, err
	}
	if _, err := layoutOf(pixels.shape); err != nil {
		return nil, fmt.Errorf("%s: images: %w", name, err)
	}
	labels, err := readLabels(limit)
	if err != nil {
		return nil, err
	}
	numbers, err := labels.array()
	if err != nil {
		return nil, err
	}
	return setOf(name, pixels, numbers, classes)
}
