package dataset

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
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
	for label, sound := range map[int32]bool{-1: false, 0: true, MaxClasses - 1: true, MaxClasses: false} {
		if err := checkLabel(label); sound != (err == nil) || err != nil && !strings.Contains(err.Error(), "0 to 65535 ") {
			t.Errorf("label %d: %v", label, err)
		}
	}
	labels, classes := wordLabels([]string{"b", "a", "b", "c"})
	if !slices.Equal(labels, []int32{1, 0, 1, 2}) || !slices.Equal(classes, []string{"a", "b", "c"}) {
		t.Errorf("labels %v of %q", labels, classes)
	}
}

// As many bytes are read as the limit says, and one more is too many.
func TestCappedAtItsLimit(t *testing.T) {
	for text, sound := range map[string]bool{"": true, "abc": true, "abcd": true, "abcde": false} {
		data, err := io.ReadAll(newCapped(strings.NewReader(text), 4))
		if sound != (err == nil) || err != nil && !errors.Is(err, ErrTooLarge) || sound && string(data) != text {
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
		"size": func() { restore("abcdefg", then) }, "time": func() { restore("abcdef", then.Add(time.Second)) },
	} {
		change()
		if _, err := read(1, 0); !errors.Is(err, ErrChanged) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if _, err := statReopened(t.TempDir(), "a file"); err == nil || !strings.Contains(err.Error(), "give a file") {
		t.Errorf("a folder: %v", err)
	}
}
