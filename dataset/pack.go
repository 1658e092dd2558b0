package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"slipway/internal/atomicfile"
)

// Packed says what was written.
type Packed struct {
	Images, Classes, LeftOut int
	Files                    []string
}

// PackTar writes the set that spec names, as Open has it, to a new tar file, as
// webdataset does: for each image a member, and the number of its class in another that
// ends in .cls. Names of classes and the licence lie in the folder __set__, which webdataset
// passes over; Open finds them. The same set gives the same bytes.
//
// Pictures are stored byte for byte as they are, after they were decoded once: one that is
// damaged is an error, or left out with Options.SkipDamaged. Images of other sets, and
// pictures with Options.Sizing, become PNGs, which lose nothing.
func PackTar(ctx context.Context, file, spec string, opts Options) (*Packed, error) {
	if !strings.EqualFold(filepath.Ext(file), ".tar") {
		return nil, fmt.Errorf("%s: %w: give a name that ends in .tar; a compressed one could "+
			"not be read in place", file, ErrArgument)
	}
	if err := mustBeNew(file); err != nil {
		return nil, err
	}
	pack, err := tarPacker(ctx, spec, opts)
	if err != nil {
		return nil, err
	}
	packed := &Packed{Files: []string{file}}
	if err := atomicfile.Write(file, pack.to(packed)); err != nil {
		return nil, err
	}
	return packed, nil
}

// notPacked refuses a set whose images have any number of labels.
func notPacked(name string) error {
	return fmt.Errorf("%s: %w: its images have any number of them, and what is packed has one each; "+
		"keep the list or the arrays that it is", name, ErrMultiLabel)
}

// mustBeNew refuses to write over a file.
func mustBeNew(path string) error {
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		return fmt.Errorf("%s: %w; remove it, or give another name", path, fs.ErrExist)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// PackIDX writes the set that spec names, as Open has it, to a folder as a pair of IDX
// files, N×H×W for grey images and N×C×H×W for others, and labels.txt where its classes
// have names. The pair is the folder's test part if the set is one, else its training
// part; the other part may be there.
func PackIDX(ctx context.Context, dir, spec string, opts Options) (*Packed, error) {
	set, err := Open(ctx, spec, opts)
	if err != nil {
		return nil, err
	}
	if set.MultiLabel() {
		return nil, notPacked(set.Name)
	}
	files, err := idxFiles(dir, set)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.MkdirAll(dir); err != nil {
		return nil, err
	}
	packed := &Packed{Images: set.Len(), Classes: set.Classes, LeftOut: set.LeftOut}
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := atomicfile.Write(file.path, file.write); err != nil {
			return nil, err
		}
		packed.Files = append(packed.Files, file.path)
	}
	return packed, nil
}

// placeOf finds the encoded pictures of a set, and returns nil where it has none: where
// Open takes it for another kind of set, or for nothing at all.
func placeOf(spec string, opts Options) (*picturePlace, error) {
	if IsWord(spec) || spec == "" {
		return nil, nil
	}
	path, part, info, err := splitPart(spec)
	if err != nil {
		return nil, nil // Open says what is wrong
	}
	for _, p := range []Part{Train, Test} { // IDX files go first
		if !info.IsDir() || part != "" && p != part {
			continue
		}
		if _, _, err := findPair(path, p); err == nil || errors.Is(err, ErrNoLabels) {
			return nil, nil
		}
	}
	return findPictures(path, part, opts)
}
