package dataset

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The lowest and the highest level are those that occur, of each channel and of all as one.
func TestRangeOfLevels(t *testing.T) {
	levels, err := NewLevels(2)
	if err != nil {
		t.Fatal(err)
	}
	if low, high := levels.Range(1); low != 0 || high != 0 {
		t.Errorf("of no image: %d to %d", low, high)
	}
	if err := levels.Add([]uint8{7, 9, 255, 3}); err != nil {
		t.Fatal(err)
	}
	if err := levels.Add([]uint8{1, 2, 3}); !errors.Is(err, ErrSize) {
		t.Errorf("an image of unequal channels: %v", err)
	}
	together := levels.Together()
	if levels.Channels() != 2 || together.Channels() != 1 {
		t.Errorf("%d and %d channels", levels.Channels(), together.Channels())
	}
	for i, test := range []struct {
		levels    *Levels
		channel   int
		low, high uint8
	}{{levels, 0, 7, 9}, {levels, 1, 3, 255}, {together, 0, 3, 255}} {
		if low, high := test.levels.Range(test.channel); low != test.low || high != test.high {
			t.Errorf("range %d: %d to %d, want %d to %d", i, low, high, test.low, test.high)
		}
	}
	means, deviations := together.MeansAndDeviations()
	wanted := math.Sqrt((61.5*61.5+59.5*59.5+186.5*186.5+65.5*65.5)/4) / 255
	if math.Abs(means[0]-68.5/255) > 1e-12 || math.Abs(deviations[0]-wanted) > 1e-12 {
		t.Errorf("mean %v, deviation %v, want %v", means, deviations, wanted)
	}
	if _, err := NewLevels(0); !errors.Is(err, ErrArgument) {
		t.Errorf("no channels: %v", err)
	}
}

func TestLabelsAtTheirLimits(t *testing.T) {
	for label, sound := range map[int32]bool{-1: false, 0: true, MaxClasses - 1: true,
		MaxClasses: false} {
		if err := checkLabel(label); sound != (err == nil) || err != nil &&
			!strings.Contains(err.Error(), "0 to 65535 ") {
			t.Errorf("label %d: %v", label, err)
		}
	}
	labels, classes := wordLabels([]string{"b", "a", "b", "c"})
	if !slices.Equal(labels, []int32{1, 0, 1, 2}) || !slices.Equal(classes, []string{"a", "b",
		"c"}) {
		t.Errorf("labels %v of %q", labels, classes)
	}
}

// As many bytes are read as the limit says, and one more is too many.
func TestCappedAtItsLimit(t *testing.T) {
	for text, sound := range map[string]bool{"": true, "abc": true, "abcd": true, "abcde": false} {
		data, err := io.ReadAll(newCapped(strings.NewReader(text), 4))
		if sound != (err == nil) || err != nil && !errors.Is(err, ErrTooLarge) || sound &&
			string(data) != text {
			t.Errorf("%q is read as %q (%v)", text, data, err)
		}
	}
	for asked, want := range map[int64]int64{0: DefaultLimit, 1: 1, 5: 5} {
		if got := (Options{Limit: asked}).dataLimit(); got != want {
			t.Errorf("a limit of %d is %d", asked, got)
		}
	}
}

// A file that is read piece by piece is told to have changed by its size and by its time.
func TestReopenedFileThatChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	writeText(t, path, "abcdef")
	then := time.Now().Add(-time.Hour).Truncate(time.Second)
	restore := func(text string, at time.Time) {
		writeText(t, path, text)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	restore("abcdef", then)
	file, err := statReopened(path, "a file")
	if err != nil {
		t.Fatal(err)
	}
	read := func(bytes int, offset int64) (string, error) {
		p := make([]byte, bytes)
		n, err := file.ReadAt(p, offset)
		return string(p[:n]), err
	}
	if got, err := read(3, 2); got != "cde" || err != nil {
		t.Errorf("%q (%v)", got, err)
	}
	if got, err := read(4, 2); got != "cdef" || err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("to the end: %q (%v)", got, err)
	}
	if _, err := read(5, 2); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("beyond the end: %v", err)
	}
	for name, change := range map[string]func(){
		"size": func() { restore("abcdefg", then) }, "time": func() {
			restore("abcdef",
				then.Add(time.Second))
		},
	} {
		change()
		if _, err := read(1, 0); !errors.Is(err, ErrChanged) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if _, err := statReopened(t.TempDir(), "a file"); err == nil || !strings.Contains(err.Error(),
		"give a file") {
		t.Errorf("a folder: %v", err)
	}
}

// Pictures are looked for among the first twenty files, and not among what systems leave.
func TestWherePicturesAreLookedFor(t *testing.T) {
	fill := func(texts int) string {
		dir := t.TempDir()
		for i := range texts {
			writeText(t, filepath.Join(dir, "a", "a"+string(rune('a'+i))), "a text")
		}
		for i := range 25 {
			if err := os.MkdirAll(filepath.Join(dir, "a", "b"+string(rune('a'+i))),
				0o777); err != nil {
				t.Fatal(err)
			}
		}
		writePNG(t, filepath.Join(dir, "a", "c.png"), 1, 1, false, 0)
		return dir
	}
	for texts, found := range map[int]bool{0: true, 19: true, 20: false} {
		dir := fill(texts)
		if name := pictureIn(filepath.Join(dir, "a")); (name == "c.png") != found {
			t.Errorf("behind %d texts: %q", texts, name)
		}
		if holdsPictures(dir, []string{"a"}) != found {
			t.Errorf("behind %d texts a class holds pictures: %t", texts, !found)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"__MACOSX", ".git", "a"} {
		writePNG(t, filepath.Join(dir, name, ".c.png"), 1, 1, false, 0)
	}
	if names, err := subfolders(dir); err != nil || !slices.Equal(names, []string{"a"}) {
		t.Errorf("folders %q (%v)", names, err)
	}
	if pictureIn(filepath.Join(dir, "a")) != "" || holdsPictures(dir, []string{"a"}) {
		t.Error("a hidden file counts as a picture")
	}
}

// As many words are classes as a set may have.
func TestTheMostWordsThatAreClasses(t *testing.T) {
	for _, test := range []struct {
		words int
		sound bool
	}{{MaxClasses, true}, {MaxClasses + 1, false}} {
		list, texts := &pictureFiles{files: make([]pictureFile, test.words)}, make([]string,
			test.words)
		for i := range texts {
			texts[i] = "class " + strconv.Itoa(i)
		}
		if err := list.setLabels(texts); test.sound != (err == nil) || err != nil &&
			!errors.Is(err, ErrArgument) {
			t.Errorf("%d words: %v", test.words, err)
		}
	}
}

// What is no regular file, or is not there, is no archive, no picture and no error.
func TestFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.tar", "a.tar", ".c.tar", "d.txt"} {
		writeText(t, filepath.Join(dir, name), "text of "+name)
	}
	missing := filepath.Join(dir, "missing")
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "e.tar"), 0o777), os.Symlink(missing,
		filepath.Join(dir, "f.tar"))); err != nil {
		t.Fatal(err)
	}
	paths, err := filesWith(dir, isArchiveName)
	if want := []string{filepath.Join(dir, "a.tar"), filepath.Join(dir, "b.tar")}; err != nil ||
		!slices.Equal(paths, want) {
		t.Errorf("files %q (%v), want %q", paths, err, want)
	}
	for _, path := range []string{missing, dir} {
		if begin := beginningOf(path, 9); len(begin) != 0 || isPicture(path) {
			t.Errorf("%s begins with %q", path, begin)
		}
	}
	if begin := beginningOf(paths[0], 6); string(begin) != "text o" {
		t.Errorf("it begins with %q", begin)
	}
	if _, err := readPicture(missing); !errors.Is(err, os.ErrNotExist) ||
		strings.Contains(err.Error(), "link") {
		t.Errorf("a picture that is missing: %v", err)
	}
	if _, err := readPicture(filepath.Join(dir, "f.tar")); err == nil ||
		!strings.Contains(err.Error(), "a link that leads nowhere") {
		t.Errorf("a link to nothing: %v", err)
	}
	if _, _, _, err := pictureFolder(missing, "", Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is missing: %v", err)
	}
}

func TestNamesThatSayMore(t *testing.T) {
	for name, want := range map[string]bool{
		"a.tar": true, "a.parquet": true, "a.zip": false, "a.txt": false,
	} {
		if isArchiveName(name) != want {
			t.Errorf("%s is an archive: %t", name, !want)
		}
	}
	for name, want := range map[string]bool{
		".hidden": true, "Thumbs.db": true, "LICENSE": true, "list.csv": true, "a.png": false,
	} {
		if PassedOver(name) != want {
			t.Errorf("%s is passed over: %t", name, !want)
		}
	}
	for path, want := range map[string]Part{
		"set-train-1.tar": Train, "train-train.tar": Train, "set-val-1.tar": Test,
		"train-test.tar": "",
		"val-test.tar":   "", "set.tar": "",
	} {
		if word, part := partWord(path); part != want || (word == "") != (want == "") {
			t.Errorf("%s is of the part %q by %q, want %q", path, part, word, want)
		}
	}
}

// A class may be called as a part, and have folders of its own.
func TestAClassThatIsCalledTest(t *testing.T) {
	dir := t.TempDir()
	writePNG(t, filepath.Join(dir, "cat", "1.png"), 1, 1, false, 0)
	writePNG(t, filepath.Join(dir, "test", "x", "1.png"), 1, 1, false, 0)
	if folder, part, ok, err := pictureFolder(dir, "", Options{}); folder != dir || part != "" ||
		!ok || err != nil {
		t.Errorf("%s, part %q, %t (%v)", folder, part, ok, err)
	}
}
