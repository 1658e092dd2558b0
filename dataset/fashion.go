package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"slipway/internal/atomicfile"
)

const (
	// fashionPackage is Debian's, and fashionFolder where it is installed.
	fashionPackage = "dataset-fashion-mnist"
	fashionFolder  = "usr/share/datasets/fashion-mnist"
)

// fashionFiles are the test part's, by the sha256 of what is in them: packed again,
// as by Debian, it is the same data in another gzip file.
func fashionFiles() (images, labels known) {
	return known{name: "t10k-images-idx3-ubyte.gz", plain: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
		known{name: "t10k-labels-idx1-ubyte.gz", plain: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"}
}

// openFashion looks in the cache, then where Debian's package is installed.
func openFashion(cache string) (*Set, error) {
	raw, err := readFashion(cache)
	if err != nil && missing(err) {
		if installed, installedErr := readFashion("/" + fashionFolder); installedErr == nil {
			raw, err = installed, nil
		}
	}
	if err != nil {
		return nil, notBrought(Fashion, err)
	}
	return raw.set(Fashion)
}

func readFashion(dir string) (raw rawPair, err error) {
	images, labels := fashionFiles()
	if raw.images, err = images.readUnpacked(filepath.Join(dir, images.name)); err != nil {
		return rawPair{}, err
	}
	if raw.labels, err = labels.readUnpacked(filepath.Join(dir, labels.name)); err != nil {
		return rawPair{}, err
	}
	return raw, nil
}

// readUnpacked reads a .gz file and verifies what is in it.
func (k known) readUnpacked(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, readError(err, "gzip header"))
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxMNISTFile))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, readError(err, "data"))
	}
	return plain, verifySum(path, plain, k.plain)
}

func verifySum(name string, data []byte, want string) error {
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != want {
		return fmt.Errorf("%s: %w: it is %s, %s is known", name, ErrChecksum, got, want)
	}
	return nil
}

// fetchFashion has apt-get download Debian's package, unpacks it without installing
// it, and keeps the two files. That needs no root.
func fetchFashion(ctx context.Context, dir string, opts Options) error {
	if _, err := readFashion(dir); err == nil {
		return nil
	}
	raw, err := readFashion("/" + fashionFolder)
	if err != nil {
		opts.say("bringing Debian's package %s with apt-get", fashionPackage)
		if raw, err = downloadFashion(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			images, labels := fashionFiles()
			return fmt.Errorf("%s could not be brought: %w; apt-get and dpkg-deb are Debian's and Ubuntu's (apt-get update first), "+
				"elsewhere put Fashion-MNIST's %s and %s into %s", Fashion, err, images.name, labels.name, dir)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	images, labels := fashionFiles()
	if err := writePacked(filepath.Join(dir, images.name), raw.images); err != nil {
		return err
	}
	return writePacked(filepath.Join(dir, labels.name), raw.labels)
}

func writePacked(path string, data []byte) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		z := gzip.NewWriter(w)
		if _, err := z.Write(data); err != nil {
			return err
		}
		return z.Close()
	})
}

func downloadFashion(ctx context.Context) (rawPair, error) {
	temp, err := os.MkdirTemp("", "slipway-fashion-")
	if err != nil {
		return rawPair{}, err
	}
	defer os.RemoveAll(temp)
	if err := runTool(ctx, temp, "apt-get", "download", fashionPackage); err != nil {
		return rawPair{}, err
	}
	packages, err := filepath.Glob(filepath.Join(temp, "*.deb"))
	if err != nil || len(packages) != 1 {
		return rawPair{}, errors.Join(fmt.Errorf("apt-get left %d packages", len(packages)), err)
	}
	if err := runTool(ctx, temp, "dpkg-deb", "-x", packages[0], temp); err != nil {
		return rawPair{}, err
	}
	return readFashion(filepath.Join(temp, fashionFolder))
}
