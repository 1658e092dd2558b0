package dataset

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/internal/nearest"
)

// arrayPair are the names of a part's two arrays, without .npy.
type arrayPair struct{ images, labels string }

// arrayPairs are the names in use, in small letters, the usual ones first: those of
// MedMNIST, of Keras' mnist.npz, and of many a notebook. What is called val or valid is
// tested on only where nothing is called test.
func arrayPairs(part Part) []arrayPair {
	var pairs []arrayPair
	for _, name := range arrayPartNames(part) {
		pairs = append(pairs,
			arrayPair{name + "_images", name + "_labels"}, arrayPair{"x_" + name, "y_" + name},
			arrayPair{"images_" + name, "labels_" + name}, arrayPair{name + "_x", name + "_y"})
	}
	if part == "" {
		return []arrayPair{{"images", "labels"}, {"x", "y"}}
	}
	return pairs
}

func arrayPartNames(part Part) []string {
	switch part {
	case Train:
		return []string{"train", "training"}
	case Test:
		return []string{"test", "t10k", "val", "valid", "validation"}
	}
	return nil
}

const npySuffix = ".npy"

// arrayPlace is where arrays lie by names: a folder of .npy files, or an .npz file.
type arrayPlace struct {
	path  string
	names []string // as they are written there, .npy included
	open  func(name string) (io.ReadCloser, error)
}

// find returns the names of a part's pair, as they are written in the place. ok is false
// where it has no such images; labels is empty where these lack theirs.
func (p *arrayPlace) find(part Part) (pair arrayPair, ok bool) {
	for _, usual := range arrayPairs(part) {
		if images := p.named(usual.images); images != "" {
			return arrayPair{images, p.named(usual.labels)}, true
		}
	}
	return arrayPair{}, false
}

// named returns the name in the place that is that one but for the size of letters.
func (p *arrayPlace) named(name string) string {
	for _, written := range p.names {
		if strings.EqualFold(written, name+npySuffix) {
			return written
		}
	}
	return ""
}

func (p *arrayPlace) has(part Part) bool {
	_, ok := p.find(part)
	return ok
}

// any reports whether a pair of the names in use is there.
func (p *arrayPlace) any() bool { return p.has(Train) || p.has(Test) || p.has("") }

// read makes a set of a part's pair.
func (p *arrayPlace) read(name string, part Part, opts Options) (*Set, error) {
	pair, ok := p.find(part)
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	if pair.labels == "" {
		return nil, fmt.Errorf("%s: %s: %w: it goes by the name %s", p.path, pair.images,
			ErrNoLabels, p.labelsOf(pair.images, part))
	}
	return p.readPair(name, pair, opts)
}

func (p *arrayPlace) labelsOf(images string, part Part) string {
	for _, usual := range arrayPairs(part) {
		if strings.EqualFold(usual.images+npySuffix, images) {
			return usual.labels + npySuffix
		}
	}
	return "labels" + npySuffix
}

func (p *arrayPlace) readPair(name string, pair arrayPair, opts Options) (*Set, error) {
	images, err := p.readArray(pair.images, opts)
	if err != nil {
		return nil, err
	}
	labels, err := p.readArray(pair.labels, opts)
	if err != nil {
		return nil, err
	}
	switch shape := labels.shape; {
	case len(shape) == 2 && shape[1] == 1: // as Keras and MedMNIST have them
		labels.shape = shape[:1]
	case len(shape) == 2:
		return multiLabelSetOf(name, images, labels, opts)
	}
	return setOf(name, images, labels, opts.Classes)
}

func (p *arrayPlace) readArray(name string, opts Options) (*array, error) {
	where := filepath.Join(p.path, name)
	r, err := p.open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, readError(err, "beginning"))
	}
	defer r.Close()
	read, err := readNPY(r, opts.dataLimit())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return read, nil
}

// arrayFolder is a folder with .npy files.
func arrayFolder(dir string) *arrayPlace {
	place := &arrayPlace{path: dir, open: func(name string) (io.ReadCloser, error) {
		return openRegular(filepath.Join(dir, name), "a .npy file")
	}}
	for _, name := range entries(dir) {
		if strings.EqualFold(filepath.Ext(name), npySuffix) {
			place.names = append(place.names, name)
		}
	}
	return place
}

// openArrayFolder opens a part of a folder of .npy files; ErrUnknown where it holds none
// of the names in use.
func openArrayFolder(dir string, asked Part, opts Options) (*Set, error) {
	place := arrayFolder(dir)
	part, err := choosePart(dir, asked, opts, place.has)
	if err != nil {
		return nil, err
	}
	set, err := place.read(dir+suffixOf(part), part, opts)
	if err != nil {
		return nil, err
	}
	return set.placed(dir, suffixOf(part)).withNotes(dir, opts)
}

// openNPY opens a .npy file of images, its labels beside it.
func openNPY(path string, opts Options) (*Set, error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	place := arrayFolder(dir)
	if !slices.Contains(place.names, base) { // whatever it is called
		place.names = append(place.names, base)
	}
	wanted := npyLabels(base)
	labels := place.named(strings.TrimSuffix(wanted, npySuffix))
	if labels == "" {
		// The file itself may be what is wrong; its own error says more then.
		images, err := place.readArray(base, opts)
		if err != nil {
			return nil, err
		}
		if _, err := layoutOf(images.shape); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if wanted == "" {
			return nil, fmt.Errorf("%s: %w: call the pair images.npy and labels.npy, or "+
				"x_train.npy and y_train.npy", path, ErrNoLabels)
		}
		return nil, fmt.Errorf("%s: %w: put %s beside it", path, ErrNoLabels, wanted)
	}
	set, err := place.readPair(path, arrayPair{base, labels}, opts)
	if err != nil {
		return nil, err
	}
	return set.placed(path, ""), nil
}

// npyLabels is the name of the labels that belong to a file of images, empty where its
// name does not tell.
func npyLabels(images string) string {
	name := strings.ToLower(strings.TrimSuffix(strings.ToLower(images), npySuffix))
	for _, part := range []Part{Train, Test, ""} {
		for _, usual := range arrayPairs(part) {
			if usual.images == name {
				return usual.labels + npySuffix
			}
		}
	}
	if i := strings.LastIndex(name, "images"); i >= 0 {
		return name[:i] + "labels" + name[i+len("images"):] + npySuffix
	}
	return ""
}

// openNPZ opens an .npz file, which is a ZIP archive of .npy files. No more is unpacked
// than an array's header declares and the limit allows.
func openNPZ(path string, asked Part, opts Options) (*Set, error) {
	f, err := openRegular(path, "an .npz file")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	place, err := npzPlace(path, f)
	if err != nil {
		return nil, err
	}
	if !place.any() {
		wanted := arrayPairs("")[0]
		return nil, fmt.Errorf("%w: %s has %s; store them by names: np.savez(file, %s=…, %s=…), "+
			"or train_images=…, train_labels=…, test_images=…, test_labels=…%s", ErrUnknown, path,
			someOf(place.names), wanted.images,
			wanted.labels, nearest.Hint(wanted.images+npySuffix, place.names))
	}
	part, err := choosePart(path, asked, opts, place.has)
	if err != nil {
		return nil, err
	}
	set, err := place.read(path+suffixOf(part), part, opts)
	if err != nil {
		return nil, err
	}
	return set.placed(path, suffixOf(part)), nil
}

func npzPlace(path string, f *os.File) (*arrayPlace, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, readError(err, "list of files"))
	}
	place := &arrayPlace{path: path, open: func(name string) (io.ReadCloser, error) {
		for _, member := range z.File {
			if member.Name == name {
				return member.Open()
			}
		}
		return nil, os.ErrNotExist
	}}
	seen := make(map[string]bool)
	for _, member := range z.File {
		if !strings.EqualFold(filepath.Ext(member.Name), npySuffix) {
			continue
		}
		if seen[member.Name] {
			return nil, fmt.Errorf("%s: %w: %s is in it twice", path, ErrZip, member.Name)
		}
		seen[member.Name] = true
		place.names = append(place.names, member.Name)
	}
	if len(place.names) == 0 {
		return nil, fmt.Errorf("%w: %s is a ZIP archive without arrays (.npy) in it; unpack it, "+
			"or give an .npz file", ErrUnknown, path)
	}
	return place, nil
}

// someOf names the first of them.
func someOf(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// isZip tells an archive by its first bytes, an empty one's included.
func isZip(start []byte) bool {
	return bytes.HasPrefix(start, []byte("PK\x03\x04")) ||
		bytes.HasPrefix(start, []byte("PK\x05\x06"))
}

// missingPart reports whether an error says no more than that a part is not there.
func missingPart(err error) bool { return errors.Is(err, errNoPart) }
