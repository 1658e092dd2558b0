package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const parquetFolder = "testdata/parquet"

// Hugging Face's files are read with their parts and the names of their classes.
// scripts/golden/parquet_sets.py makes them: all pixels of picture i are 10·i.
func TestHuggingFace(t *testing.T) {
	dir := filepath.Join(parquetFolder, "huggingface")
	for _, folder := range []string{dir, filepath.Join(dir, "data")} {
		training, err := Open(t.Context(), folder, Options{Part: Train})
		if err != nil {
			t.Fatal(err)
		}
		if training.Name != folder+":train" ||
			!slices.Equal(training.Labels, []int32{2, 0, 1, 1, 1}) ||
			!slices.Equal(training.ClassNames, []string{"ant", "bee", "wasp"}) ||
			training.Channels != 1 || training.Height != 2 || training.Width != 3 ||
			!slices.Equal(training.Files, []string{"0.png", "1.png", "2.png", "3.png",
				"4.png"}) {
			t.Errorf("%s: labels %v of %q, files %q", training.Name, training.Labels,
				training.ClassNames, training.Files)
		}
		for i := range training.Len() {
			if training.Image(i)[0] != uint8(10*i) {
				t.Errorf("picture %d is of %d", i, training.Image(i)[0])
			}
		}
		if test, err := OpenTest(t.Context(), training, Options{}); err != nil ||
			test.Info().Name != folder+":t10k" || test.Len() != 2 || firstByte(t, test) != 50 {
			t.Errorf("the test part: %v: %v", err, test)
		}
		if _, err := Open(t.Context(), folder, Options{}); !errors.Is(err, ErrAmbiguous) {
			t.Errorf("both parts: %v", err)
		}
	}
	one := filepath.Join(dir, "data", "train-00001-of-00002.parquet")
	if set, err := Open(t.Context(), one, Options{}); err != nil || set.Len() != 2 ||
		set.Classes != 3 || set.Name != one {
		t.Errorf("one file: %v: %v", err, set)
	}
}

func TestParquetColumns(t *testing.T) {
	set, err := Open(t.Context(), filepath.Join(parquetFolder, "cifar100.parquet"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(set.Labels, []int32{4, 3, 2, 1, 0}) || set.ClassNames[4] != "fine 4" ||
		set.Files[4] != "cifar100.parquet/4" || set.Image(4)[0] != 40 {
		t.Errorf("labels %v of %q, files %q", set.Labels, set.ClassNames, set.Files)
	}
	for file, test := range map[string]struct {
		want error
		says string
	}{
		"no-bytes":    {errNoBytes, "row 1: it has no picture's bytes"},
		"no-label":    {ErrNoLabels, "row 1: the labels file is missing: it has no label"},
		"list":        {ErrUnknown, "no column of pictures; the columns are image, label"},
		"no-pictures": {ErrUnknown, "the columns are x, label"},
	} {
		path := filepath.Join(parquetFolder, file+".parquet")
		if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, test.want) ||
			!strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", file, err)
		}
	}
	if set, err := Open(t.Context(), filepath.Join(parquetFolder, "no-bytes.parquet"),
		Options{SkipDamaged: true}); err != nil || set.Len() != 1 || set.LeftOut != 1 {
		t.Errorf("without what has no bytes: %v: %v", err, set)
	}
}

// pagedFiles are the files of many pages, packed in every way.
func pagedFiles() []string {
	return []string{"dictionary-snappy", "dictionary-limit", "pages-none", "pages-gzip-v2",
		"pages-brotli", "pages-lz4"}
}

// pixelOf is that of picture i in these files: pictures 3 and 11 are picture 7.
func pixelOf(i int) uint8 {
	if i == 3 || i == 11 {
		i = 7
	}
	return uint8(10 * i)
}

// Pages are read one by one, in any order, by many at once, and as few are kept as are
// allowed.
func TestParquetPages(t *testing.T) {
	for _, name := range pagedFiles() {
		path := filepath.Join(parquetFolder, name+".parquet")
		set, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if set.Len() != 20 || !slices.Equal(set.ClassNames, []string{"ant", "wasp"}) ||
			set.Labels[0] != 0 || set.Labels[1] != 1 || set.Labels[3] != 0 {
			t.Errorf("%s: labels %v of %q", name, set.Labels, set.ClassNames)
		}
		for i := range set.Len() {
			if got := set.Image(i)[0]; got != pixelOf(i) {
				t.Errorf("%s: picture %d is of %d, want %d", name, i, got, pixelOf(i))
			}
		}
		table, err := openParquet(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(table.pages) < 2 {
			t.Fatalf("%s has %d pages; the test is of many", name, len(table.pages))
		}
		cache := newPageCache(300)
		var workers sync.WaitGroup
		for worker := range 4 {
			workers.Go(func() {
				for i := range 60 {
					page := &table.pages[(i*7+worker)%len(table.pages)]
					if data, err := cache.value(page, i%page.rows); err != nil ||
						!bytes.HasPrefix(data, []byte("\x89PNG")) {
						t.Errorf("%s: %v", name, err)
					}
				}
			})
		}
		workers.Wait()
		if cache.held > 300 && cache.recent.Len() > 1 || cache.recent.Len() != len(cache.pages) {
			t.Errorf("%s: %d bytes of %d pages are kept", name, cache.held, cache.recent.Len())
		}
	}
}

// Whatever byte is damaged, there is an error or another picture, and no panic.
func TestDamagedParquet(t *testing.T) {
	for _, name := range append(pagedFiles(), "cifar100") {
		good, err := os.ReadFile(filepath.Join(parquetFolder, name+".parquet"))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "s.parquet")
		for _, n := range []int{0, 3, 4, 11, 12, len(good) / 2, len(good) - 9, len(good) - 1} {
			writeText(t, path, string(good[:n]))
			if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrTruncated) ||
				!strings.Contains(err.Error(), path) {
				t.Errorf("%s, its first %d bytes: %v", name, n, err)
			}
		}
		long := slices.Clone(good)
		binary.LittleEndian.PutUint32(long[len(long)-8:], 1<<31)
		writeText(t, path, string(long))
		if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrTruncated) {
			t.Errorf("%s, a footer of 2 GiB: %v", name, err)
		}
		for i := range good {
			if i%13 != 0 { // the fuzz test goes further
				continue
			}
			bad := slices.Clone(good)
			bad[i] ^= 1 << (i % 8)
			readDamaged(t, path, bad)
		}
	}
}

// readDamaged reads all that a file has.
func readDamaged(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	place, err := findPictures(path, "", Options{})
	if err != nil || place == nil {
		return
	}
	for _, file := range place.list.files {
		_, _ = file.read() // some error or none
	}
}

func FuzzParquet(f *testing.F) {
	err := filepath.WalkDir(parquetFolder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		f.Add(data)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		readDamaged(t, filepath.Join(t.TempDir(), "s.parquet"), data)
	})
}

// A file that changes after it was listed is not read on.
func TestParquetChanged(t *testing.T) {
	good, err := os.ReadFile(filepath.Join(parquetFolder, "pages-none.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s.parquet")
	writeText(t, path, string(good))
	place, err := findPictures(path, "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	writeText(t, path, string(good)+"x")
	if _, err := place.list.files[0].read(); !errors.Is(err, ErrChanged) ||
		!strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
}

// Pages that were used last are kept up to the limit, one always, and what is not kept any more
// when it was read is not counted.
func TestPagesThatAreKept(t *testing.T) {
	pages := make([]parquetPage, 3)
	cache := newPageCache(10)
	entries := []*cachedPage{cache.entry(&pages[0]), cache.entry(&pages[1]), cache.entry(&pages[2])}
	for i, test := range []struct {
		keep int
		size int64
		held int64
		left []int
	}{
		{0, 4, 4, []int{0, 1, 2}},
		{1, 6, 10, []int{0, 1, 2}}, // as much as may be
		{2, 11, 11, []int{2}},      // more than may be
		{0, 4, 11, []int{2}},       // which is not there any more
	} {
		cache.keep(entries[test.keep], test.size)
		var left []int
		for k := range pages {
			if cache.pages[&pages[k]] != nil {
				left = append(left, k)
			}
		}
		if cache.held != test.held || !slices.Equal(left, test.left) ||
			cache.recent.Len() != len(left) {
			t.Errorf("step %d: %d bytes of the pages %v, want %d of %v", i, cache.held, left,
				test.held, test.left)
		}
	}
	again := cache.entry(&pages[0])
	cache.keep(entries[0], 4) // read by another one
	if cache.held != 11 || again.size != 0 {
		t.Errorf("%d bytes are kept, %d of them of a page that is not read yet", cache.held, again.size)
	}
}

// changedFooter is a file whose footer says something else.
func changedFooter(t *testing.T, good []byte, change func(*format.FileMetaData)) []byte {
	t.Helper()
	end := len(good) - 8
	begin := end - int(binary.LittleEndian.Uint32(good[end:]))
	var footer format.FileMetaData
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), good[begin:end], &footer); err != nil {
		t.Fatal(err)
	}
	change(&footer)
	said, err := thrift.Marshal(new(thrift.CompactProtocol), &footer)
	if err != nil {
		t.Fatal(err)
	}
	changed := append(slices.Clone(good[:begin]), said...)
	changed = binary.LittleEndian.AppendUint32(changed, uint32(len(said)))
	return append(changed, "PAR1"...)
}

// What a footer says of its columns is held against the file.
func TestFootersThatAreWrong(t *testing.T) {
	good, err := os.ReadFile(filepath.Join(parquetFolder, "pages-none.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s.parquet")
	first := func(footer *format.FileMetaData) *format.ColumnMetaData {
		return &footer.RowGroups[0].Columns[0].MetaData
	}
	for name, test := range map[string]struct {
		change func(*format.FileMetaData)
		want   error // nil if it is sound
		says   string
	}{
		"nothing else": {func(*format.FileMetaData) {}, nil, ""},
		"rows as bytes": {func(f *format.FileMetaData) { f.NumRows = 1 << 40 }, ErrTooLarge,
			"1099511627776 rows in"},
		"fewer than no rows": {func(f *format.FileMetaData) { f.NumRows = -1 }, ErrTruncated,
			"copy or download it again"},
		"before the file": {func(f *format.FileMetaData) {
			first(f).DictionaryPageOffset, first(f).DataPageOffset = 0, 3
		}, ErrTruncated, "it lies at 3 to"},
		"less than nothing": {func(f *format.FileMetaData) {
			first(f).TotalCompressedSize = -1
		}, ErrTruncated, "it lies at"},
		"behind the file": {func(f *format.FileMetaData) {
			first(f).TotalCompressedSize = 1 << 40
		}, ErrTruncated, "it lies at"},
		"a column less": {func(f *format.FileMetaData) {
			columns := &f.RowGroups[0].Columns
			*columns = (*columns)[:len(*columns)-1]
		}, ErrTruncated, "copy or download it again"},
	} {
		writeText(t, path, string(changedFooter(t, good, test.change)))
		_, err := Open(t.Context(), path, Options{})
		if test.want == nil && err != nil || test.want != nil &&
			(!errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A pictured row has a picture and its name in one column, as Hugging Face writes it.
type pictured struct {
	Bytes []byte `parquet:"bytes"`
	Path  string `parquet:"path"`
}

// Pictures are called by their rows where each row gives a name of its own within the set.
func TestNamesInParquet(t *testing.T) {
	type row struct {
		Image pictured `parquet:"image"`
		Label int64    `parquet:"label"`
	}
	for _, test := range []struct {
		names []string
		taken bool
	}{
		{[]string{"b.png", "a/c.png"}, true}, {[]string{"b.png", "b.png"}, false},
		{[]string{"b.png", ""}, false}, {[]string{"b.png", "../c.png"}, false},
		{[]string{"/b.png", "c.png"}, false}, {[]string{"b.png", "a//c.png"}, false},
	} {
		path := filepath.Join(t.TempDir(), "s.parquet")
		var rows []row
		want := test.names
		if !test.taken {
			want = []string{"s.parquet/0", "s.parquet/1"}
		}
		for i, name := range test.names {
			rows = append(rows, row{pictured{[]byte(pngBytes(t, uint8(i))), name}, int64(i)})
		}
		if err := parquet.WriteFile(path, rows); err != nil {
			t.Fatal(err)
		}
		set, err := Open(t.Context(), path, Options{})
		if err != nil || !slices.Equal(set.Files, want) {
			t.Errorf("%q: %v: %v", test.names, err, set)
		}
	}
}

// Pictures may stand in a column by themselves, or in one of several that is called image or img.
func TestColumnsOfPictures(t *testing.T) {
	picture := []byte(pngBytes(t, 7))
	path := filepath.Join(t.TempDir(), "s.parquet")
	opened := func(err error) (*Set, error) {
		if err != nil {
			t.Fatal(err)
		}
		return Open(t.Context(), path, Options{})
	}
	type plain struct {
		JPG   []byte `parquet:"jpg"`
		Label int64  `parquet:"label"`
	}
	set, err := opened(parquet.WriteFile(path, []plain{{picture, 0}, {picture, 1}}))
	if err != nil || set.Len() != 2 || !slices.Equal(set.Files, []string{"s.parquet/0",
		"s.parquet/1"}) {
		t.Errorf("without names: %v: %v", err, set)
	}
	// The names of classes beside it are its folder's, and not a file's own.
	writeText(t, filepath.Join(filepath.Dir(path), "labels.txt"), "ant\nbee\n")
	for place, want := range map[string][]string{path: nil, filepath.Dir(path): {"ant", "bee"}} {
		if set, err := Open(t.Context(), place, Options{}); err != nil ||
			!slices.Equal(set.ClassNames, want) {
			t.Errorf("%s: %v: %v, want the classes %q", place, err, set, want)
		}
	}
	if err := os.Remove(filepath.Join(filepath.Dir(path), "labels.txt")); err != nil {
		t.Fatal(err)
	}
	type several struct {
		Mask  pictured `parquet:"a_mask"`
		Image pictured `parquet:"img"`
		Label int64    `parquet:"label"`
	}
	set, err = opened(parquet.WriteFile(path, []several{{pictured{picture, "mask.png"},
		pictured{picture, "image.png"}, 0}}))
	if err != nil || !slices.Equal(set.Files, []string{"image.png"}) {
		t.Errorf("of two columns: %v: %v", err, set)
	}
	type neither struct {
		Left  pictured `parquet:"left"`
		Right pictured `parquet:"right"`
		Label int64    `parquet:"label"`
	}
	_, err = opened(parquet.WriteFile(path, []neither{{pictured{picture, "l.png"},
		pictured{picture, "r.png"}, 0}}))
	if !errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), "left and right") {
		t.Errorf("two columns that are called otherwise: %v", err)
	}
}
