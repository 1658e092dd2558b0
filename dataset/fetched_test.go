package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestUnseenIsNotBroughtByItself(t *testing.T) {
	for _, name := range FetchedNames() {
		cache := filepath.Join(t.TempDir(), "cache")
		_, err := Open(t.Context(), name, Options{CacheDir: cache})
		if err == nil && name == Fashion {
			t.Log("Debian's package is installed here")
			continue
		}
		if !errors.Is(err, ErrNotBrought) || !strings.Contains(err.Error(), "dataset fetch "+name) ||
			!strings.Contains(err.Error(), cache) {
			t.Errorf("%s: %v, want %q, the command and the place", name, err, ErrNotBrought)
		}
		if _, err := os.Stat(cache); err == nil {
			t.Errorf("%s: the cache was made", name)
		}
		if _, err := Open(t.Context(), name, Options{Classes: 7}); !errors.Is(err, ErrArgument) {
			t.Errorf("%s of 7 classes: %v", name, err)
		}
		if _, err := Open(t.Context(), name, Options{DataDir: cache}); !errors.Is(err, ErrArgument) {
			t.Errorf("%s of a data folder: %v", name, err)
		}
		if _, err := FetchNamed(t.Context(), name, Options{DataDir: cache}); !errors.Is(err,
			ErrArgument) {
			t.Errorf("%s fetched into a data folder: %v", name, err)
		}
	}
	if _, err := FetchNamed(t.Context(), "optdigit", Options{CacheDir: t.TempDir()}); !errors.Is(err,
		ErrUnknown) || !strings.Contains(err.Error(), `"optdigits"`) {
		t.Errorf("an unknown set: %v", err)
	}
}

func TestFetchWithoutTools(t *testing.T) {
	t.Setenv("PATH", "")
	for name, says := range map[string]string{Optdigits: "pip is not installed", Fashion: "apt-get"} {
		cache := filepath.Join(t.TempDir(), "cache")
		_, err := FetchNamed(t.Context(), name, Options{CacheDir: cache})
		if err == nil && name == Fashion {
			continue // installed
		}
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), cache) {
			t.Errorf("%s: %v, want %q and the place", name, err, says)
		}
		if _, err := os.Stat(cache); err == nil {
			t.Errorf("%s: the cache was made", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := FetchNamed(ctx, Optdigits, Options{CacheDir: t.TempDir()}); !errors.Is(err,
		context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// fetched brings a set into a cache of the test's own, or skips where no registry is in reach.
func fetched(t *testing.T, name string) (cache string) {
	t.Helper()
	cache = filepath.Join(t.TempDir(), "cache")
	var messages bytes.Buffer
	dir, err := FetchNamed(t.Context(), name, Options{CacheDir: cache, Messages: &messages})
	if errors.Is(err, ErrChecksum) {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip("neither a network nor the tool that brings it:", err)
	}
	if dir != cache {
		t.Fatalf("%s is in %s, want %s", name, dir, cache)
	}
	return cache
}

func TestOptdigits(t *testing.T) {
	cache := fetched(t, Optdigits)
	s, err := Open(t.Context(), Optdigits, Options{CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != 1797 || s.Channels != 1 || s.Height != 28 || s.Width != 28 || s.Classes != 10 ||
		s.Name != Optdigits {
		t.Errorf("%q: %d images of %d×%d×%d", s.Name, s.Len(), s.Channels, s.Height, s.Width)
	}
	// The counts that UCI publishes for the test part.
	if got, want := s.Stats().Counts, []int{178, 182, 177, 183, 181, 182, 181, 179, 174,
		180}; !slices.Equal(got, want) {
		t.Errorf("class counts %v, want %v", got, want)
	}
	t.Setenv("PATH", "") // what is there needs no pip
	if _, err := FetchNamed(t.Context(), Optdigits, Options{CacheDir: cache}); err != nil {
		t.Error("fetched again:", err)
	}
	spoil(t, filepath.Join(cache, optdigitsFile))
	if _, err := Open(t.Context(), Optdigits, Options{CacheDir: cache}); !errors.Is(err,
		ErrNotBrought) || !errors.Is(err, ErrChecksum) {
		t.Errorf("one bit flipped: %v", err)
	}
}

func TestFashion(t *testing.T) {
	cache := fetched(t, Fashion)
	s, err := Open(t.Context(), Fashion, Options{CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != 10_000 || s.Height != 28 || s.Width != 28 || s.Name != Fashion {
		t.Errorf("%q: %d images of %d×%d", s.Name, s.Len(), s.Height, s.Width)
	}
	// The first labels of the test set: a boot, a pullover, two trousers, a shirt, ….
	if got, want := s.Labels[:10], []int32{9, 2, 1, 1, 6, 1, 4, 6, 5, 7}; !slices.Equal(got, want) {
		t.Errorf("the labels begin %v, want %v", got, want)
	}
	t.Setenv("PATH", "")
	if _, err := FetchNamed(t.Context(), Fashion, Options{CacheDir: cache}); err != nil {
		t.Error("fetched again:", err)
	}
	spoil(t, filepath.Join(cache, "t10k-labels-idx1-ubyte.gz"))
	if _, err := Open(t.Context(), Fashion, Options{CacheDir: cache}); !errors.Is(err, ErrNotBrought) {
		t.Errorf("one bit flipped: %v", err)
	}
}

// spoil flips a bit in the middle of a file.
func spoil(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestEnlarge(t *testing.T) {
	var white [64]int
	for i := range white {
		white[i] = optdigitsMax
	}
	image := enlarge(white)
	at := func(y, x int) uint8 { return image[y*28+x] }
	// The box of 20 ends at 4 and 24; at its edge the interpolation with the black outside
	// reaches half a pixel of the digit, 1.25 of the image, to each side: pixel centre 3.5 is
	// 0.5/2.5 into it, 4.5 another 1/2.5, 5.5 is inside.
	for _, test := range []struct {
		y, x int
		want uint8
	}{{14, 14, 255}, {14, 5, 255}, {14, 22, 255}, {14, 2, 0}, {14, 25, 0}, {14, 3, 77}, {14, 24, 77},
		{14, 4, 179}, {14, 23, 179}, {0, 0, 0}, {27, 27, 0}, {3, 3, 23}} {
		if got := at(test.y, test.x); got != test.want {
			t.Errorf("pixel (%d, %d) is %d, want %d", test.y, test.x, got, test.want)
		}
	}
	var corner [64]int
	corner[7] = optdigitsMax // upper right
	image = enlarge(corner)
	brightest := slices.Max(image)
	if i := slices.Index(image, brightest); i/28 < 4 || i/28 > 6 || i%28 < 21 || i%28 > 23 {
		t.Errorf("the upper right pixel is brightest at (%d, %d)", i/28, i%28)
	}
}

func TestParseOptdigitsRefuses(t *testing.T) {
	row := strings.TrimSuffix(strings.Repeat("3,", 64), ",")
	for name, test := range map[string]struct{ text, says string }{
		"no gzip":      {"", "gzip"},
		"short row":    {"1,2\n", "wrong number of fields"},
		"large pixel":  {strings.Replace(row, "3", "17", 1) + ",0\n", "0 to 16"},
		"label":        {row + ",10\n", "label"},
		"second line":  {row + ",1\n" + row + ",x\n", "line 2"},
		"minus a half": {strings.Replace(row, "3", "-1", 1) + ",0\n", "0 to 16"},
	} {
		t.Run(name, func(t *testing.T) {
			var packed bytes.Buffer
			if test.text != "" {
				z := gzip.NewWriter(&packed)
				fmt.Fprint(z, test.text)
				if err := z.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if _, _, err := parseOptdigits(packed.Bytes()); err == nil ||
				!strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q", err, test.says)
			}
		})
	}
}

// Each pixel of a digit spreads over the pixels of the image around it, to the rounding.
func TestEnlargeOnePixel(t *testing.T) {
	// weight is 40 times that of the digit's row or column p in the image's o: it falls from the
	// centre of p, that of o being at 40·place.
	weight := func(p, o int) int {
		place := (2*(o-4)+1)*8 - 20
		return max(0, 40-max(place-40*p, 40*p-place))
	}
	for p := range 64 {
		var digit [64]int
		digit[p] = 10
		image := enlarge(digit)
		for o, got := range image {
			share := 10 * weight(p/8, o/28) * weight(p%8, o%28)
			if want := uint8((share*255 + 12800) / 25600); got != want {
				t.Fatalf("of pixel %d of the digit, pixel %d is %d, want %d", p, o, got, want)
			}
		}
	}
}
