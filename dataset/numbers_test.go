package dataset

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writeFiles writes files by their names in a folder, which it makes.
func writeFiles(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// asTrain does what a run does with a set and its test set: opens both from the folder of
// their file, splits the training set, and opens all of it again from another folder.
func asTrain(t *testing.T, dir, spec string, opts Options) (training, test *Set) {
	t.Helper()
	t.Chdir(dir)
	opts.Part = Train
	training, err := Open(t.Context(), spec, opts)
	if err != nil {
		t.Fatal(err)
	}
	opts.Part = ""
	source, err := OpenTest(t.Context(), training, opts)
	if err != nil {
		t.Fatal(err)
	}
	if source != nil {
		test = source.(*Set)
	}
	if _, _, err := training.Split(1, 7); err != nil {
		t.Error(err)
	}
	t.Chdir(t.TempDir())
	for _, set := range []*Set{training, test} {
		if set == nil {
			continue
		}
		info := set.Info()
		if !filepath.IsAbs(info.Place) && !IsWord(info.Place) {
			t.Errorf("%s is at %q, which is no place for other folders", set.Name, info.Place)
		}
		if info.Title != "" || info.Licence != "" {
			t.Errorf("%s is taken for %q, %q", set.Name, info.Title, info.Licence)
		}
		again, err := Reopen(t.Context(), info, opts)
		if err != nil {
			t.Fatal(err)
		}
		if now := again.Info(); now.Name != set.Name || now.SHA256 != set.Digest() ||
			now.Classes != set.Classes || !slices.Equal(now.ClassNames, set.ClassNames) {
			t.Errorf("opened again, %s of %d classes is %s of %d", set.Name, set.Classes, now.Name,
				now.Classes)
		}
	}
	if test != nil {
		if none, err := OpenTest(t.Context(), test, opts); none != nil || err != nil {
			t.Errorf("the test set of a test set: %v, %v", none, err)
		}
	}
	return training, test
}

// refused opens what cannot be opened.
func refused(t *testing.T, spec string, opts Options, want error, says string) {
	t.Helper()
	set, err := Open(t.Context(), spec, opts)
	if !errors.Is(err, want) || !strings.Contains(err.Error(), says) ||
		!strings.Contains(err.Error(), filepath.Base(strings.Split(spec, ":")[0])) {
		t.Errorf("%s: %v, %v; want %q, %q and the file", spec, set, err, want, says)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, spec, opts); !errors.Is(err, context.Canceled) {
		t.Errorf("%s, cancelled: %v", spec, err)
	}
}

// A file of another kind is called what it begins as.
func TestAFileOfTheWrongKindIsNamed(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		data []byte
		want error
		says string
	}{
		"a.idx":     {[]byte("\x89PNG\r\n\x1a\n and more"), ErrMagic, "a PNG picture"},
		"b.idx":     {[]byte("\xff\xd8\xff\xe0 and more"), ErrMagic, "a JPEG picture"},
		"c.idx.gz":  {packIDX(t, []byte("\x89PNG\r\n\x1a\n and more")), ErrMagic, "a PNG picture"},
		"d.hdf5":    {[]byte("\x89HDF\r\n\x1a\n and more"), ErrMagic, "an HDF5 file"},
		"e.parquet": {[]byte("PAR1 and more"), ErrTruncated, "a Parquet file"},
		"f.csv":     {[]byte("PAR1 and more"), ErrTruncated, "a Parquet file"},
		"g.csv":     {[]byte("name,class\na.png,1\n"), os.ErrNotExist, "there is no file a.png"},
		"h.csv.gz":  {packIDX(t, []byte("%PDF-1.4")), ErrTable, "a PDF"},
		"i.zip":     {[]byte("PK\x03\x04 and no more"), ErrUnknown, "a ZIP file; unpack it"},
		"j.zip": {[]byte("PK\x05\x06" + strings.Repeat("\x00", 18)), ErrUnknown,
			"a ZIP file; unpack it"},
		"k.tar": {[]byte("no tar"), ErrTruncated, "archive"},
		"l.7z":  {[]byte("7z\xbc\xaf\x27\x1c more"), ErrUnknown, "a 7z file; unpack it"},
		"m.npz": {[]byte("\x93NUMPY"), ErrTruncated, "first 8 bytes"},
	} {
		writeFiles(t, dir, map[string][]byte{name: test.data})
		refused(t, filepath.Join(dir, name), Options{Part: Train}, test.want, test.says)
	}
}

// A part is asked only of what has parts.
func TestAPartOfWhatHasNone(t *testing.T) {
	dir := t.TempDir()
	writeSet(t, dir, "images", "labels", 2, 3)
	refused(t, filepath.Join(dir, "images")+":train", Options{}, ErrUnknown, "is one set")
	for _, place := range []string{"nothing:train", "nothing:t10k"} {
		refused(t, filepath.Join(dir, place), Options{}, ErrUnknown, "give t10k")
	}
}
