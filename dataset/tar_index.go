package dataset

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"slipway/dataset/picture"
)

// maxUnpacked is the most that compressed archives of one set take in memory, unpacked,
// in bytes; it also bounds what a small file that unpacks to much may do.
const maxUnpacked = 1 << 30

// tarMember is a file in an archive.
type tarMember struct {
	name         string // clean, with slashes
	offset, size int64
	// data is the content of what lies in memory: small notes, and all of a compressed
	// archive.
	data []byte
}

// tarArchive is a tar archive's table of contents. Members are read at their places, so
// nothing is unpacked and no file stays open.
type tarArchive struct {
	reopenedFile
	members []tarMember
}

// errorAt names the archive and the member.
func (a *tarArchive) errorAt(member string, err error) error {
	return fmt.Errorf("%s: %s: %w", a.path, member, err)
}

// indexTar reads an archive's headers. A compressed one is read as a whole: budget is
// what is left for that, in bytes, and is lowered by it.
func indexTar(file string, budget *int64) (*tarArchive, error) {
	reopened, err := statReopened(file, "a tar file")
	if err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a := &tarArchive{reopenedFile: reopened}
	var magic [2]byte
	if _, err := f.ReadAt(magic[:], 0); err == nil && magic == [2]byte{0x1f, 0x8b} {
		return a, a.readCompressed(f, budget)
	}
	return a, a.indexPlain(f)
}

// indexPlain notes where members lie.
func (a *tarArchive) indexPlain(f *os.File) error {
	window := &windowReader{file: f}
	headers := tar.NewReader(window)
	end := int64(0) // of the last member
	err := a.each(headers, func(header *tar.Header, name string) error {
		m := tarMember{name: name, offset: window.position, size: header.Size}
		if m.size > a.size-m.offset {
			return fmt.Errorf("%w: it should have %d bytes, and the archive ends after %d; copy "+
				"or download it again",
				ErrTruncated, m.size, a.size-m.offset)
		}
		if end = m.offset + m.size; isSampleNote(name) && m.size <= maxNotes {
			m.data = make([]byte, m.size)
			if _, err := io.ReadFull(headers, m.data); err != nil {
				return err
			}
		}
		a.members = append(a.members, m)
		return nil
	})
	if err != nil {
		return err
	}
	return a.checkEnd(window, end)
}

// checkEnd looks for the zeros that end an archive, and for anything behind them.
func (a *tarArchive) checkEnd(window *windowReader, end int64) error {
	end = (end + 511) / 512 * 512
	if window.position < end+512 {
		return fmt.Errorf("%s: %w: the mark at its end is missing; copy or download it again",
			a.path, ErrTruncated)
	}
	const looked = 1 << 20
	behind, err := io.ReadAll(io.LimitReader(window, looked))
	if err != nil {
		return fmt.Errorf("%s: %w", a.path, err)
	}
	if strings.Trim(string(behind), "\x00") != "" {
		return fmt.Errorf("%s: %w: the archive ends after %d bytes; unpack it, and pack it again "+
			"as one",
			a.path, ErrTrailing, window.position-int64(len(behind)))
	}
	return nil
}

// readCompressed reads all members to memory.
func (a *tarArchive) readCompressed(f *os.File, budget *int64) error {
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", a.path, readError(err, "gzip header"))
	}
	defer z.Close()
	left := &budgetReader{z, budget, nil}
	headers := tar.NewReader(left)
	err = a.each(headers, func(header *tar.Header, name string) error {
		if header.Size > *budget {
			return errTooMuch()
		}
		data, err := readGrowing(headers, header.Size)
		if err != nil {
			return err
		}
		a.members = append(a.members, tarMember{name: name, size: header.Size, data: data})
		return nil
	})
	if err == nil {
		_, err = io.Copy(io.Discard, left) // gzip's checksum is at its end
		if err != nil {
			err = fmt.Errorf("%s: %w", a.path, err)
		}
	}
	if left.failed != nil { // says more than that the archive ended
		return fmt.Errorf("%s: %w", a.path, left.failed)
	}
	return err
}

func errTooMuch() error {
	return fmt.Errorf("%w: compressed archives are kept in memory, at most %d bytes unpacked; "+
		"unpack it to a .tar or to a folder",
		ErrTooLarge, maxUnpacked)
}

// each calls visit for each file in the archive and refuses what is none, or leads out.
func (a *tarArchive) each(headers *tar.Reader, visit func(*tar.Header, string) error) error {
	seen := make(map[string]bool)
	last := "the first member"
	for {
		header, err := headers.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: after %s: %w", a.path, last, tarError(err))
		}
		name := path.Clean(header.Name)
		if last = name; header.Typeflag == tar.TypeXGlobalHeader || header.Typeflag == tar.TypeDir {
			continue
		}
		if err := checkMember(header, name); err != nil {
			return a.errorAt(header.Name, err)
		}
		if seen[name] {
			return a.errorAt(name, fmt.Errorf("%w: it is in the archive twice; unpack it, and "+
				"pack it again", ErrArgument))
		}
		seen[name] = true
		if err := visit(header, name); err != nil {
			return a.errorAt(name, tarError(err))
		}
	}
}

// checkMember refuses members that are no plain files of the archive's own.
func checkMember(header *tar.Header, name string) error {
	switch {
	case path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../"):
		return fmt.Errorf("%w: the name leads out of the archive; pack it from within its folder",
			ErrArgument)
	case header.Typeflag == tar.TypeLink || header.Typeflag == tar.TypeSymlink:
		return fmt.Errorf("%w: it is a link to %s; pack the files themselves (tar --dereference "+
			"--hard-dereference)",
			ErrArgument, header.Linkname)
	case header.Typeflag == tar.TypeGNUSparse || header.PAXRecords["GNU.sparse.major"] != "" ||
		header.PAXRecords["GNU.sparse.map"] != "":
		return fmt.Errorf("%w: it is stored as a sparse file; pack it again without --sparse",
			ErrArgument)
	case header.Typeflag != tar.TypeReg:
		return fmt.Errorf("%w: it is no file (type %q); pack files alone", ErrArgument,
			header.Typeflag)
	}
	return nil
}

// tarError says what is wrong with an archive.
func tarError(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: the archive is cut off; copy or download it again", ErrTruncated)
	case errors.Is(err, tar.ErrHeader), errors.Is(err, tar.ErrFieldTooLong):
		return fmt.Errorf("%w: %w; it is damaged or no tar file: copy or download it again",
			ErrMagic, err)
	}
	return err
}

// read returns a function that reads the member's bytes, for use by many at once.
func (a *tarArchive) read(m tarMember) func() ([]byte, error) {
	return func() ([]byte, error) {
		if m.size > picture.DefaultMaxBytes {
			return nil, a.errorAt(m.name, fmt.Errorf("%w: %d bytes, a picture has at most %d",
				ErrTooLarge, m.size, picture.DefaultMaxBytes))
		}
		if m.data != nil || m.size == 0 {
			return m.data, nil
		}
		data := make([]byte, m.size)
		if _, err := a.ReadAt(data, m.offset); err != nil {
			return nil, a.errorAt(m.name, tarError(err))
		}
		return data, nil
	}
}
