package dataset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// newFile is a file that is to be written.
type newFile struct {
	path  string
	write func(io.Writer) error
}

// idxFiles are the files that a set becomes, the images last: by them a set is found. It
// refuses those that are there, except a labels.txt that says the same.
func idxFiles(dir string, set *Set) ([]newFile, error) {
	part, rank, shape := Train, "idx3", []int{set.Len(), set.Height, set.Width}
	if strings.HasSuffix(set.Name, string(Test)) || set.Name == Optdigits {
		part = Test
	}
	if set.Channels != 1 {
		rank, shape = "idx4", []int{set.Len(), set.Channels, set.Height, set.Width}
	}
	if _, err := layoutOf(shape); err != nil {
		return nil, fmt.Errorf("%s cannot be IDX files: %w, or pack them as tar", set.Name, err)
	}
	for _, name := range append(imageNames(part), labelNames(imageNames(part)[0])...) {
		if err := mustBeNew(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	var files []newFile
	if len(set.ClassNames) > 0 {
		text := namesText(set.ClassNames)
		path := filepath.Join(dir, ClassNamesFile)
		there, err := os.ReadFile(path)
		if err == nil && !bytes.Equal(there, text) {
			return nil, fmt.Errorf("%s: %w: it names other classes; give another folder", path,
				os.ErrExist)
		}
		if err != nil {
			files = append(files, newFile{path, writing(text)})
		}
	}
	licence := filepath.Join(dir, licenceNames()[0])
	if text := licenceText(set.Info().Licence); text != nil && mustBeNew(licence) == nil {
		files = append(files, newFile{licence, writing(text)})
	}
	name := fmt.Sprintf("%s-images-%s-ubyte", part, rank)
	for path, array := range map[string]*IDX{
		labelNames(name)[0]: labelArray(set.Labels),
		name:                {Type: Uint8, Shape: shape, Data: set.Images},
	} {
		write := func(w io.Writer) error { return WriteIDX(w, array) }
		files = append(files, newFile{filepath.Join(dir, path), write})
	}
	slices.SortStableFunc(files, imagesLast)
	return files, nil
}

// imagesLast orders files, the images behind all others.
func imagesLast(a, b newFile) int {
	rank := func(file newFile) int { return strings.Count(filepath.Base(file.path), "-images-") }
	return rank(a) - rank(b)
}

// labelArray has labels as bytes where these hold them, as MNIST's, and as int32 elsewhere.
func labelArray(labels []int32) *IDX {
	array := &IDX{Type: Uint8, Shape: []int{len(labels)}}
	if slices.Max(labels) > math.MaxUint8 {
		array.Type = Int32
	}
	for _, label := range labels {
		if array.Type == Int32 {
			array.Data = binary.BigEndian.AppendUint32(array.Data, uint32(label))
		} else {
			array.Data = append(array.Data, uint8(label))
		}
	}
	return array
}

// namesText is a labels.txt.
func namesText(names []string) []byte { return []byte(strings.Join(names, "\n") + "\n") }

// licenceText is a licence file of what a set says of its licence, nil if that is nothing.
func licenceText(licence string) []byte {
	if licence == "" {
		return nil
	}
	text, _, _ := strings.Cut(licence, licenceFrom)
	return []byte(text + "\n")
}

func writing(text []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}
}
