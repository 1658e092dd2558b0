package dataset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The side and the channels of an image of CIFAR.
const (
	cifarSide     = 32
	cifarChannels = 3
	cifarPixels   = cifarChannels * cifarSide * cifarSide
)

// cifar is one of the two sets in their binary versions, as
// https://www.cs.toronto.edu/~kriz/cifar.html describes them: records of the labels, one
// byte each, and of 3,072 bytes of pixels, the red ones first, then green and blue, row
// by row.
type cifar struct {
	word    string // Open's
	folder  string // as the archive has it
	classes int
	labels  int // bytes before the pixels; the last is the class
	files   map[Part][]string
	names   string // the file of the classes' names
	archive publishedArchive
}

// publishedArchive is a file as its authors publish it.
type publishedArchive struct {
	name, address, md5 string
	silence            time.Duration // of its server that is borne; maxSilence if 0
}

func cifars() []cifar { return []cifar{cifar10(), cifar100()} }

func cifar10() cifar {
	return cifar{
		word: CIFAR10, folder: "cifar-10-batches-bin", names: "batches.meta.txt",
		classes: 10, labels: 1,
		files: map[Part][]string{
			Train: {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
				"data_batch_4.bin", "data_batch_5.bin"},
			Test: {"test_batch.bin"},
		},
		archive: publishedArchive{
			name:    "cifar-10-binary.tar.gz",
			address: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
			md5:     "c32a1d4ab5d03f1284b67883e8d87530",
		},
	}
}

// cifar100 has two labels an image, the coarse one of 20 first; the fine ones are its classes.
func cifar100() cifar {
	return cifar{
		word: CIFAR100, folder: "cifar-100-binary", names: "fine_label_names.txt",
		classes: 100, labels: 2,
		files: map[Part][]string{Train: {"train.bin"}, Test: {"test.bin"}},
		archive: publishedArchive{
			name:    "cifar-100-binary.tar.gz",
			address: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
			md5:     "03b5dce01913d631647c71ecec9e9cb8",
		},
	}
}

// cifarMembers are what a folder or an archive was read for.
type cifarMembers struct {
	batches map[string]cifarBatch // of one part, by their files
	names   []string
}

// cifarBatch is what one file of records holds.
type cifarBatch struct {
	pixels []uint8
	labels []int32
}

// parse takes the records of a file apart, in the memory that they lie in.
func (c cifar) parse(file string, data []byte) (cifarBatch, error) {
	record := c.labels + cifarPixels
	if len(data)%record != 0 || len(data) == 0 {
		return cifarBatch{}, fmt.Errorf("%s: %w: %d bytes are no whole number of records of %d; "+
			"copy or download the file again", file, ErrTruncated, len(data), record)
	}
	batch := cifarBatch{pixels: data[:0], labels: make([]int32, len(data)/record)}
	for i := range batch.labels {
		label := data[i*record+c.labels-1]
		if int(label) >= c.classes {
			return cifarBatch{}, fmt.Errorf("%s: %w: image %d has the label %d, %d classes end "+
				"at %d; it is no file of the binary version, or damaged",
				file, ErrLabel, i, label, c.classes, c.classes-1)
		}
		batch.labels[i] = int32(label)
		batch.pixels = append(batch.pixels, data[i*record+c.labels:(i+1)*record]...)
	}
	return batch, nil
}

// set makes a set of a part's batches.
func (c cifar) set(name string, part Part, of cifarMembers, opts Options) (*Set, error) {
	var pixels [][]uint8
	var labels []int32
	for _, file := range c.files[part] {
		batch, ok := of.batches[file]
		if len(of.batches) == 0 {
			return nil, fmt.Errorf("%w: %s: %w", ErrUnknown, name, errNoPart)
		}
		if !ok {
			return nil, fmt.Errorf("%w: %s: %s is missing; the part is %s", ErrUnknown, name, file,
				strings.Join(c.files[part], ", "))
		}
		pixels, labels = append(pixels, batch.pixels), append(labels, batch.labels...)
	}
	all := pixels[0]
	if len(pixels) > 1 {
		all = slices.Concat(pixels...)
	}
	classes := opts.Classes
	if classes == 0 {
		classes = c.classes
	}
	set, err := NewSet(name, all, labels, cifarChannels, cifarSide, cifarSide, classes)
	if err != nil || len(of.names) == 0 || opts.OwnNames {
		return set, err
	}
	return set.WithClassNames(of.names)
}

// parseNames reads the file of the classes' names, which has one for each.
func (c cifar) parseNames(file string, text []byte) ([]string, error) {
	names, err := parseClassNames(file, text)
	if err == nil && len(names) != c.classes {
		err = fmt.Errorf("%s: %w: %d class names, %d are wanted", file, ErrArgument, len(names),
			c.classes)
	}
	return names, err
}

// cifarFolder tells which of the sets a folder holds, in itself or in the folder of the
// archive's; ok is false where it is neither.
func cifarFolder(dir string) (c cifar, inner string, ok bool) {
	for _, c := range cifars() {
		for _, inner := range []string{dir, filepath.Join(dir, c.folder)} {
			if c.holds(inner) {
				return c, inner, true
			}
		}
	}
	return cifar{}, "", false
}

// holds reports whether a folder is of the set. Other sets have a train.bin, too, but none
// beside it of the names of CIFAR-100's classes.
func (c cifar) holds(dir string) bool {
	if c.word == CIFAR100 {
		if _, named := firstFile(dir, []string{c.names}); !named {
			return false
		}
	}
	return c.holdsPart(dir, Train) || c.holdsPart(dir, Test)
}

func (c cifar) holdsPart(dir string, part Part) bool {
	_, ok := firstFile(dir, c.files[part])
	return ok
}

// openCIFARFolder opens a part of a folder for which cifarFolder or holdsPythonCIFAR is true.
func openCIFARFolder(dir string, asked Part, opts Options) (*Set, error) {
	c, inner, ok := cifarFolder(dir)
	if !ok {
		return nil, fmt.Errorf("%s: %w", dir, errPythonCIFAR())
	}
	has := func(part Part) bool { return c.holdsPart(inner, part) }
	part, err := choosePart(dir, asked, opts, has)
	if err != nil {
		return nil, err
	}
	found := cifarMembers{batches: make(map[string]cifarBatch)}
	for _, file := range c.files[part] {
		batch, err := c.readFile(filepath.Join(inner, file), opts.dataLimit())
		if errors.Is(err, fs.ErrNotExist) {
			continue // set says which
		}
		if err != nil {
			return nil, err
		}
		found.batches[file] = batch
	}
	if found.names, err = c.readNames(inner); err != nil {
		return nil, err
	}
	set, err := c.set(dir+suffixOf(part), part, found, opts)
	if err != nil {
		return nil, err
	}
	return set.placed(dir, suffixOf(part)).withNotes(inner, opts)
}

func (c cifar) readFile(path string, limit int64) (cifarBatch, error) {
	f, err := openRegular(path, "a file of records")
	if err != nil {
		return cifarBatch{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(newCapped(f, limit))
	if err != nil {
		return cifarBatch{}, fmt.Errorf("%s: %w", path, err)
	}
	return c.parse(path, data)
}

// readNames returns nothing where there is no file of names.
func (c cifar) readNames(dir string) ([]string, error) {
	path := filepath.Join(dir, c.names)
	text, err := readNotes(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return c.parseNames(path, text)
}

// holdsPythonCIFAR reports whether a folder is of the version that is not read.
func holdsPythonCIFAR(dir string) bool {
	_, ok := firstFile(dir, []string{"data_batch_1", "test_batch"})
	return ok
}

func errPythonCIFAR() error {
	return fmt.Errorf("%w: this is CIFAR's version for Python, whose files are pickles; take "+
		"the binary version, "+
		"as `dataset fetch %s` brings it", ErrUnknown, CIFAR10)
}

// cifarOfWord tells which of the sets a word of Open's is of, and which part.
func cifarOfWord(word string) (c cifar, part Part, ok bool) {
	for _, c := range cifars() {
		switch word {
		case c.word:
			return c, "", true
		case c.word + suffixOf(Train):
			return c, Train, true
		case c.word + suffixOf(Test):
			return c, Test, true
		}
	}
	return cifar{}, "", false
}

// folderOfWord returns the folder in the working folder that is called as the word.
func (c cifar) folderOfWord() string {
	if info, err := os.Stat(c.word); err == nil && info.IsDir() {
		return "./" + c.word
	}
	return ""
}
