package dataset

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Sets beside MNIST, by the names that Open takes. They are brought by FetchNamed alone.
const (
	// Optdigits is the test part of UCI's Optical Recognition of Handwritten Digits
	// (Alpaydin and Kaynak, 1998), 1,797 digits of other writers, as scikit-learn's
	// wheel carries it: 8×8 pixels, scaled up to 28×28.
	Optdigits = "optdigits"
	// Fashion is Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017, arXiv:1708.07747), clothes
	// and shoes, as Debian's package dataset-fashion-mnist carries it: 60,000 images to
	// train on, and 10,000 to test on, which are taken where Options.Part is not Train.
	// fashion:train and fashion:t10k say which. Its labels 0…9 are no digits.
	Fashion = "fashion"

	// CIFAR10 and CIFAR100 are the sets of 32×32 photographs (Krizhevsky, 2009) in their
	// binary versions, from their authors' page: 50,000 images to train on and 10,000 to
	// test on, parts as Fashion's. The classes of CIFAR100 are the 100 fine ones.
	CIFAR10  = "cifar10"
	CIFAR100 = "cifar100"

	fashionTrain = Fashion + ":" + string(Train)
	// FashionTest is the test part, whatever it is opened for.
	FashionTest = Fashion + ":" + string(Test)
)

// FetchedNames lists the sets that FetchNamed brings.
func FetchedNames() []string { return []string{Optdigits, Fashion, CIFAR10, CIFAR100} }

// FetchNamed makes sure that the set of that name, one of FetchedNames, is in the
// cache, and returns its folder. What is there already is verified only.
func FetchNamed(ctx context.Context, name string, opts Options) (dir string, err error) {
	if opts.DataDir != "" {
		return "", fmt.Errorf("%w: a data folder was given, but the set is to be fetched into the cache",
			ErrArgument)
	}
	if _, _, ok := cifarOfWord(name); opts.From != "" && !ok {
		return "", fmt.Errorf("%w: a file at hand was given, which applies to %s and %s alone",
			ErrArgument, CIFAR10, CIFAR100)
	}
	if dir, err = opts.cachedDir(name); err != nil {
		return "", fmt.Errorf("no cache folder: %w; set HOME or XDG_CACHE_HOME", err)
	}
	switch name {
	case Optdigits:
		return dir, fetchOptdigits(ctx, dir, opts)
	case Fashion:
		return dir, fetchFashion(ctx, dir, opts)
	case CIFAR10:
		return dir, fetchCIFAR(ctx, cifar10(), dir, opts)
	case CIFAR100:
		return dir, fetchCIFAR(ctx, cifar100(), dir, opts)
	}
	return "", unknown(name)
}

// openCached reads a set that is on this machine, and brings nothing.
func openCached(ctx context.Context, name string, part Part, opts Options) (*Set, error) {
	dir, err := opts.cachedDir(name)
	if err != nil {
		return nil, fmt.Errorf("no cache folder: %w; set HOME or XDG_CACHE_HOME", err)
	}
	if name == Optdigits {
		return openOptdigits(dir)
	}
	if c, _, ok := cifarOfWord(name); ok {
		return openCIFAR(ctx, c, dir, part, opts)
	}
	return openFashion(dir, part)
}

func (o Options) cachedDir(name string) (string, error) {
	if o.CacheDir != "" {
		return o.CacheDir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "slipway", name), nil
}

// notBrought is the error of a set that is not there, or not as it should be.
func notBrought(name string, cause error) error {
	return fmt.Errorf("%w: %s (%w); run `dataset fetch %s` once, where a network is", ErrNotBrought,
		name, cause, name)
}
