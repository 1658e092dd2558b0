package dataset

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
)

// holdsCIFAR tells one of CIFAR's archives by the names of its first files.
func holdsCIFAR(file string) bool {
	const looked = 8
	f, err := openRegular(file, "a tar archive, plain or .gz")
	if err != nil {
		return false
	}
	defer f.Close()
	unpacked, err := unpack(f)
	if err != nil {
		return false
	}
	members := tar.NewReader(newCapped(unpacked, DefaultLimit))
	for range looked {
		header, err := members.Next()
		if err != nil {
			return false
		}
		name := path.Base(header.Name)
		if isPythonCIFAR(name) || slices.ContainsFunc(cifars(), func(c cifar) bool {
			return c.holdsFile(name)
		}) {
			return true
		}
	}
	return false
}

// holdsFile reports whether one of the set's files is called so.
func (c cifar) holdsFile(name string) bool {
	return name == c.names || slices.Contains(c.files[Train], name) ||
		slices.Contains(c.files[Test], name)
}

// isPythonCIFAR reports names of files of the Python version.
func isPythonCIFAR(name string) bool { return name == "data_batch_1" || name == "test_batch" }

// openCIFARArchive opens a part of one of CIFAR's archives without unpacking it to the
// disk. An archive of something else is ErrUnknown.
func openCIFARArchive(ctx context.Context, file string, asked Part, opts Options) (*Set, error) {
	c, part, found, err := readCIFARArchive(ctx, file, asked, opts)
	if err != nil {
		return nil, err
	}
	set, err := c.set(file+suffixOf(part), part, found, opts)
	if err != nil {
		return nil, err
	}
	return set.placed(file, suffixOf(part)), nil
}

// readCIFARArchive reads the members of one part, in the order in which they lie.
func readCIFARArchive(ctx context.Context, file string, asked Part, opts Options) (
	c cifar, part Part, found cifarMembers, err error,
) {
	if part = asked; part == "" {
		part = opts.Part
	}
	if part == "" {
		return c, "", found, ambiguous(file)
	}
	f, err := openRegular(file, "a tar archive, plain or .gz")
	if err != nil {
		return c, "", found, err
	}
	defer f.Close()
	unpacked, err := unpack(f)
	if err != nil {
		return c, "", found, fmt.Errorf("%s: %w", file, err)
	}
	found.batches = make(map[string]cifarBatch)
	c, err = found.walk(ctx, file, unpacked, part, opts.dataLimit())
	return c, part, found, err
}

// walk reads what is wanted of an archive. Which set it is, its files' names tell.
func (m *cifarMembers) walk(
	ctx context.Context, file string, r io.Reader, part Part, limit int64,
) (cifar, error) {
	members, known := tar.NewReader(newCapped(r, limit)), (*cifar)(nil)
	for {
		if err := ctx.Err(); err != nil {
			return cifar{}, err
		}
		header, err := members.Next()
		switch {
		case errors.Is(err, io.EOF) && known != nil:
			return *known, nil
		case errors.Is(err, io.EOF):
			return cifar{}, fmt.Errorf("%w: %s is a tar archive without CIFAR's binary files in it",
				ErrUnknown, file)
		case err != nil:
			return cifar{}, fmt.Errorf("%s: %w", file, cifarTarError(err))
		case header.Typeflag != tar.TypeReg:
			continue
		}
		name := path.Base(header.Name)
		if isPythonCIFAR(name) {
			return cifar{}, fmt.Errorf("%s: %w", file, errPythonCIFAR())
		}
		for _, c := range cifars() {
			if c.holdsFile(name) {
				if known != nil && known.word != c.word {
					return cifar{}, fmt.Errorf("%s: %w: files of both %s and %s are in it", file,
						ErrUnknown, known.word, c.word)
				}
				known = &c
			}
		}
		if known == nil {
			continue
		}
		// A sparse file has more bytes than the archive: they count for themselves.
		if err := m.take(*known, file, name, newCapped(members, limit), part); err != nil {
			return cifar{}, err
		}
	}
}

// take reads a member if it is one of the part's, or the names.
func (m *cifarMembers) take(c cifar, file, name string, r io.Reader, part Part) error {
	wanted := slices.Contains(c.files[part], name)
	if !wanted && name != c.names {
		return nil
	}
	if _, twice := m.batches[name]; twice {
		return fmt.Errorf("%w: %s has %s twice", ErrUnknown, file, name)
	}
	where := file + ": " + name
	if !wanted {
		r = newCapped(r, maxNotes)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("%s: %w", where, cifarTarError(err))
	}
	if wanted {
		m.batches[name], err = c.parse(where, data)
	} else {
		m.names, err = c.parseNames(where, data)
	}
	return err
}

func cifarTarError(err error) error {
	if errors.Is(err, tar.ErrHeader) {
		return fmt.Errorf("it is no tar archive, or damaged: %w; copy or download the file again",
			err)
	}
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	return readError(err, "archive")
}
