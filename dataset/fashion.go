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
	"slipway/internal/fetch"
)

const (
	// fashionPackage is Debian's, and fashionFolder where it is installed.
	fashionPackage = "dataset-fashion-mnist"
	fashionFolder  = "usr/share/datasets/fashion-mnist"
)

// fashionFiles are a part's, by the sha256 of what is in them: packed again, as by
// Debian, it is the same data in another gzip file.
func fashionFiles(part Part) (images, labels known) {
	if part == Train {
		return known{name: "train-images-idx3-ubyte.gz",
				plain: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
			known{name: "train-labels-idx1-ubyte.gz",
				plain: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"}
	}
	return known{name: "t10k-images-idx3-ubyte.gz",
			plain: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
		known{name: "t10k-labels-idx1-ubyte.gz",
			plain: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"}
}

// openFashion looks in the cache, then where Debian's package is installed.
func openFashion(cache string, part Part) (*Set, error) {
	raw, err := readFashion(cache, part)
	if err != nil && missing(err) {
		if installed, installedErr := readFashion("/"+fashionFolder, part); installedErr == nil {
			raw, err = installed, nil
		}
	}
	if err != nil {
		return nil, notBrought(Fashion, err)
	}
	if part == Train {
		return raw.set(fashionTrain)
	}
	return raw.set(Fashion)
}

func readFashion(dir string, part Part) (raw rawPair, err error) {
	images, labels := fashionFiles(part)
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

// fashionParts are both parts' files, in the order of parts.
type fashionParts [2]rawPair

// parts of Fashion-MNIST, the training part first.
func parts() [2]Part { return [2]Part{Train, Test} }

func readFashionParts(dir string) (all fashionParts, err error) {
	for i, part := range parts() {
		if all[i], err = readFashion(dir, part); err != nil {
			return fashionParts{}, err
		}
	}
	return all, nil
}

// fetchFashion has apt-get download Debian's package, unpacks it without installing
// it, and keeps the four files. That needs no root.
func fetchFashion(ctx context.Context, dir string, opts Options) error {
	if _, err := readFashionParts(dir); err == nil {
		return nil
	}
	all, err := readFashionParts("/" + fashionFolder)
	if err != nil {
		opts.say("bringing Debian's package %s with apt-get", fashionPackage)
		if all, err = downloadFashion(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			images, labels := fashionFiles(Test)
			return fmt.Errorf(
				"%s could not be brought: %w; apt-get and dpkg-deb are Debian's and Ubuntu's (apt-get update first), "+
					"elsewhere put Fashion-MNIST's %s, %s and the two files train-… into %s", Fashion, err,
				images.name, labels.name, dir)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i, part := range parts() {
		images, labels := fashionFiles(part)
		if err := writePacked(filepath.Join(dir, images.name), all[i].images); err != nil {
			return err
		}
		if err := writePacked(filepath.Join(dir, labels.name), all[i].labels); err != nil {
			return err
		}
	}
	return nil
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

func downloadFashion(ctx context.Context) (fashionParts, error) {
	temp, err := os.MkdirTemp("", "slipway-fashion-")
	if err != nil {
		return fashionParts{}, err
	}
	defer os.RemoveAll(temp)
	if err := fetch.Tool(ctx, temp, "apt-get", "download", fashionPackage); err != nil {
		return fashionParts{}, err
	}
	packages, err := filepath.Glob(filepath.Join(temp, "*.deb"))
	if err != nil || len(packages) != 1 {
		return fashionParts{}, errors.Join(fmt.Errorf("apt-get left %d packages", len(packages)), err)
	}
	if err := fetch.Tool(ctx, temp, "dpkg-deb", "-x", packages[0], temp); err != nil {
		return fashionParts{}, err
	}
	return readFashionParts(filepath.Join(temp, fashionFolder))
}
