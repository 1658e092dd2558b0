package dataset

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What an IDX file may have of dimensions, sizes and bytes at its beginning.
func TestTheLimitsOfIDX(t *testing.T) {
	ones := func(rank int) []int {
		shape := make([]int, rank)
		for i := range shape {
			shape[i] = 1
		}
		return shape
	}
	for name, test := range map[string]struct {
		x    IDX
		want error
	}{
		"255 dimensions":     {IDX{Uint8, ones(255), []byte{1}}, nil},
		"256 dimensions":     {IDX{Uint8, ones(256), []byte{1}}, ErrRank},
		"no dimensions":      {IDX{Uint8, nil, []byte{1}}, ErrRank},
		"a large dimension":  {IDX{Uint8, []int{0, math.MaxUint32}, nil}, nil},
		"one too large":      {IDX{Uint8, []int{0, math.MaxUint32 + 1}, nil}, ErrSize},
		"a negative one":     {IDX{Uint8, []int{0, -1}, nil}, ErrSize},
		"data that is short": {IDX{Uint8, []int{2}, []byte{1}}, ErrSize},
	} {
		var file bytes.Buffer
		if err := WriteIDX(&file, &test.x); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	good := []byte{0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 3, 4}
	for limit, want := range map[int64]error{4: nil, 3: ErrTooLarge, 0: nil, -1: ErrArgument,
		math.MaxInt - 1: nil, math.MaxInt: ErrArgument} {
		if _, err := ReadIDX(bytes.NewReader(good), limit); !errors.Is(err, want) {
			t.Errorf("limit %d: %v, want %v", limit, err, want)
		}
	}
	for at := range 2 {
		bad := bytes.Clone(good)
		bad[at] = 1
		if _, err := ReadIDX(bytes.NewReader(bad), 0); !errors.Is(err, ErrMagic) {
			t.Errorf("byte %d is 1: %v", at, err)
		}
	}
	// A dimension is an array's index: of elements of 0 bytes, too, there are no more than bytes may
	// be.
	empty := []byte{0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 5}
	for limit, want := range map[int64]error{5: nil, 4: ErrTooLarge} {
		if _, err := ReadIDX(bytes.NewReader(empty), limit); !errors.Is(err, want) {
			t.Errorf("0×5 with the limit %d: %v, want %v", limit, err, want)
		}
	}
}

// A deviation so small that a pixel would be infinite is refused.
func TestTheLimitsOfStandardPixels(t *testing.T) {
	for _, test := range []struct {
		mean, deviation float64
		ok              bool
	}{
		{0.5, 0.25, true},
		{-0.5, 2.5e-39, false}, // 0.5 of it is finite, 1.5 is not
		{0, 2.5e-39, false},
		{1, 2.5e-39, false},
		{0.5, 2.5e-39, true},
		{0.5, 0, false},
		{0.5, -1, false},
		{math.NaN(), 1, false},
		{0.5, math.Inf(1), false},
	} {
		if _, err := StandardPixels(test.mean, test.deviation); (err == nil) != test.ok || err != nil &&
			!errors.Is(err, ErrArgument) {
			t.Errorf("mean %v, deviation %v: %v", test.mean, test.deviation, err)
		}
	}
}

// What is brought is kept in the user's cache, unless another folder is named.
func TestTheCachesFolder(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	got, err := Options{}.cacheDir()
	if relative, outside := filepath.Rel(cache, got); err != nil || outside != nil ||
		!filepath.IsLocal(relative) || filepath.Base(got) != "mnist" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := (Options{CacheDir: "mine"}).cacheDir(); err != nil || got != "mine" {
		t.Errorf("%q, %v", got, err)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if got, err := (Options{}).cacheDir(); err == nil {
		t.Errorf("without a home: %q", got)
	}
}

// What is asked for that cannot be.
func TestOpenRefusesAtItsLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), filepath.Join(file, "below"), Options{}); !errors.Is(err,
		syscall.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
	for classes, want := range map[int]error{-1: ErrArgument, 0: nil, 10: nil, MaxClasses: nil,
		MaxClasses + 1: ErrArgument} {
		if err := (Options{Classes: classes}).check("mine"); !errors.Is(err, want) {
			t.Errorf("%d classes: %v, want %v", classes, err, want)
		}
	}
	for classes, want := range map[int]error{0: nil, 9: ErrArgument, 10: nil, 11: ErrArgument} {
		if err := (Options{Classes: classes}).check(string(Test)); !errors.Is(err, want) {
			t.Errorf("%d classes of %s: %v, want %v", classes, Test, err, want)
		}
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	for _, name := range []string{Fashion, Optdigits} {
		if _, err := Open(t.Context(), name, Options{}); err == nil ||
			!strings.Contains(err.Error(), "set HOME or XDG_CACHE_HOME") {
			t.Errorf("%s without a home: %v", name, err)
		}
	}
}

// drawn is a source of given numbers.
type drawn struct{ numbers []uint64 }

func (d *drawn) Uint64() uint64 {
	number := d.numbers[0]
	d.numbers = d.numbers[1:]
	return number
}

// Of 2^64 numbers the first 2^64 mod n are drawn again, so that each of n is as likely.
func TestBelowDrawsAgain(t *testing.T) {
	const third = 0xAAAAAAAAAAAAAAAB // times 3 it is 1 beyond 2^65
	for _, test := range []struct {
		numbers []uint64
		want    uint64
		left    int
	}{
		{[]uint64{0, third, 7}, 2, 1}, // 0 is the one that is too many
		{[]uint64{third, 7}, 2, 1},
		{[]uint64{1<<63 + 5, 7}, 1, 1},
		{[]uint64{1<<64 - 1, 7}, 2, 1},
	} {
		source := &drawn{test.numbers}
		if got := below(3, source); got != test.want || len(source.numbers) != test.left {
			t.Errorf("of %v: %d, and %d are left; want %d and %d", test.numbers, got, len(source.numbers),
				test.want, test.left)
		}
	}
}

// The labels' file is called as the images', wherever the word stands.
func TestNamesOfLabels(t *testing.T) {
	for images, want := range map[string]string{
		"train-images-idx3-ubyte.gz": "train-labels-idx1-ubyte.gz train-labels-idx1-ubyte",
		"images.idx4":                "labels.idx1 labels.idx1.gz",
		"pictures.idx3":              "",
	} {
		if got := strings.Join(labelNames(images), " "); got != want {
			t.Errorf("%s: %q, want %q", images, got, want)
		}
	}
}

// The training set that is not in the cache is not there; without a cache that is said.
func TestCachedTrainThatIsNotThere(t *testing.T) {
	folder := t.TempDir()
	if set, dir, err := CachedTrain(Options{CacheDir: folder}); set != nil || dir != folder ||
		!errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, %s, %v", set, dir, err)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if set, dir, err := CachedTrain(Options{}); set != nil || dir != "" || err == nil ||
		!strings.Contains(err.Error(), "no cache folder") {
		t.Errorf("without a home: %v, %s, %v", set, dir, err)
	}
}

// A licence is a text.
func TestLicencesAreTexts(t *testing.T) {
	folder := t.TempDir()
	for _, file := range []struct{ name, text, want string }{
		{"LICENSE", "\xff\xfe", ""},
		{"LICENCE.txt", "\n# CC0 1.0\n", "CC0 1.0 (the set's file LICENCE.txt)"},
	} {
		if err := os.WriteFile(filepath.Join(folder, file.name), []byte(file.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := licenceIn(folder); got != file.want {
			t.Errorf("%s: %q, want %q", file.name, got, file.want)
		}
	}
}

// Images have at least a pixel of a channel.
func TestImagesOfNothing(t *testing.T) {
	for _, shape := range [][3]int{{0, 2, 2}, {1, 0, 2}, {1, 2, 0}, {-1, 2, 2}, {1, -2, -2},
		{-1, -2, 2}} {
		set, err := NewSet("none", make([]byte, 4), []int32{0}, shape[0], shape[1], shape[2], 1)
		if !errors.Is(err, ErrSize) {
			t.Errorf("%v: %v, %v", shape, set, err)
		}
	}
}

// A share for validation is none where it is none, all or no number.
func TestSharesForValidation(t *testing.T) {
	set, err := NewSet("two", []byte{1, 2}, []int32{0, 1}, 1, 1, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, share := range []float64{-1, 0, 1, 2, math.NaN(), math.Inf(1)} {
		_, _, err := set.SplitFraction(share, 1)
		if !errors.Is(err, ErrArgument) || !strings.Contains(err.Error(), "is not between 0 and 1") {
			t.Errorf("%v: %v", share, err)
		}
	}
	if training, validation, err := set.SplitFraction(0.5, 1); err != nil || training.Len() != 1 ||
		validation.Len() != 1 {
		t.Errorf("%v", err)
	}
}
