package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/dataset/t10k"
)

func TestOpenT10k(t *testing.T) {
	s, err := Open(t.Context(), "t10k", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != 10_000 || s.Channels != 1 || s.Height != 28 || s.Width != 28 || s.Classes != 10 ||
		s.Name != "t10k" {
		t.Errorf("%q: %d images of %d×%d×%d in %d classes", s.Name, s.Len(), s.Channels, s.Height,
			s.Width, s.Classes)
	}
	// The test set's published class counts and first labels.
	if got, want := s.Stats().Counts, []int{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974,
		1009}; !slices.Equal(got, want) {
		t.Errorf("class counts %v, want %v", got, want)
	}
	if got, want := s.Labels[:10], []int32{7, 2, 1, 0, 4, 1, 4, 9, 5, 9}; !slices.Equal(got, want) {
		t.Errorf("the labels begin %v, want %v", got, want)
	}
}

func TestTrainFromModuleThenCache(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "cache")
	var messages bytes.Buffer
	opts := Options{CacheDir: cache, Messages: &messages}
	dir, err := Fetch(t.Context(), opts)
	if errors.Is(err, ErrNotFound) {
		t.Skip("neither a network nor the module on this machine:", err)
	}
	if err != nil || dir != cache {
		t.Fatalf("Fetch = %q, %v, want %q", dir, err, cache)
	}
	if !strings.Contains(messages.String(), "go mod download "+Module) ||
		!strings.Contains(messages.String(), "kept in "+cache) {
		t.Errorf("the messages were %q", messages.String())
	}
	t.Setenv("PATH", "") // from here on there is no go command
	messages.Reset()
	s, err := Open(t.Context(), "train", opts)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Stats().Counts, []int{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851,
		5949}; !slices.Equal(got, want) {
		t.Errorf("class counts %v, want %v", got, want)
	}
	if messages.Len() != 0 {
		t.Errorf("a read from the cache said %q", messages.String())
	}

	labels := filepath.Join(cache, "train-labels-idx1-ubyte.gz")
	data, err := os.ReadFile(labels)
	if err != nil {
		t.Fatal(err)
	}
	data[1000] ^= 1
	if err := os.WriteFile(labels, data, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Run("one bit flipped in the cache", func(t *testing.T) {
		_, err := Open(t.Context(), "train", opts)
		if !errors.Is(err, ErrNotFound) || !strings.Contains(messages.String(), ErrChecksum.Error()) {
			t.Errorf("error %v, messages %q; want %q and %q", err, messages.String(), ErrNotFound,
				ErrChecksum)
		}
	})
	t.Run("one bit flipped in the data folder", func(t *testing.T) {
		_, err := Open(t.Context(), "train", Options{DataDir: cache})
		if !errors.Is(err, ErrChecksum) || !strings.Contains(err.Error(), labels) {
			t.Errorf("error %v, want %q of %s", err, ErrChecksum, labels)
		}
	})
	data[1000] ^= 1
	if err := os.WriteFile(labels, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := trainFromDir(cache); err != nil {
		t.Errorf("from a data folder: %v", err)
	}
}

func TestTrainNotFound(t *testing.T) {
	t.Setenv("PATH", "")
	cache := t.TempDir()
	_, err := Open(t.Context(), "train", Options{CacheDir: cache})
	if !errors.Is(err, ErrNotFound) {
		t.Fatalf("error %v, want %q", err, ErrNotFound)
	}
	for _, want := range []string{cache, "train-images-idx3-ubyte.gz", "dataset fetch", "go"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %q", err, want)
		}
	}
	if entries, err := os.ReadDir(cache); err != nil || len(entries) != 0 {
		t.Errorf("the cache holds %v (%v)", entries, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, "train", Options{CacheDir: cache}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := Fetch(ctx, Options{CacheDir: cache}); !errors.Is(err, context.Canceled) {
		t.Errorf("Fetch cancelled: %v", err)
	}
}

func TestModuleVersionIsTheRequiredOne(t *testing.T) {
	gomod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(gomod), Module+" "+ModuleVersion) {
		t.Errorf("go.mod does not require %s %s", Module, ModuleVersion)
	}
}

// writeSet writes n 2×2 images, all of them grey value first, and labels 0…n−1.
func writeSet(t *testing.T, dir, images, labels string, n int, first uint8) {
	t.Helper()
	label := make([]byte, n)
	for i := range label {
		label[i] = uint8(i)
	}
	for name, x := range map[string]*IDX{
		images: {Uint8, []int{n, 2, 2}, bytes.Repeat([]byte{first}, 4*n)},
		labels: {Uint8, []int{n}, label},
	} {
		if name == "" {
			continue
		}
		data := encodeIDX(t, x)
		if strings.HasSuffix(name, ".gz") {
			data = packIDX(t, data)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenFolderOrFile(t *testing.T) {
	both, test, dots, loose := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	writeSet(t, both, "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte", 3, 10)
	writeSet(t, both, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte.gz", 2, 20)
	writeSet(t, test, "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", 4, 30)
	writeSet(t, dots, "train-images.idx3-ubyte", "train-labels.idx1-ubyte", 5, 40)
	writeSet(t, loose, "emnist-digits-test-images-idx3-ubyte.gz",
		"emnist-digits-test-labels-idx1-ubyte.gz", 6, 50)
	writeSet(t, loose, "my-images", "my-labels.gz", 7, 60)
	for _, test := range []struct {
		spec   string
		opts   Options
		images int
		first  uint8
		name   string
	}{
		{both + ":train", Options{}, 3, 10, both + ":train"},
		{both + ":t10k", Options{Part: Train}, 2, 20, both + ":t10k"},
		{both, Options{Part: Train}, 3, 10, both + ":train"},
		{both, Options{Part: Test}, 2, 20, both + ":t10k"},
		{test, Options{Part: Train}, 4, 30, test + ":t10k"},
		{dots, Options{Classes: 5}, 5, 40, dots + ":train"},
		{filepath.Join(loose, "emnist-digits-test-images-idx3-ubyte.gz"), Options{}, 6, 50,
			filepath.Join(loose, "emnist-digits-test-images-idx3-ubyte.gz")},
		{filepath.Join(loose, "my-images"), Options{}, 7, 60, filepath.Join(loose, "my-images")},
	} {
		s, err := Open(t.Context(), test.spec, test.opts)
		if err != nil {
			t.Errorf("%s: %v", test.spec, err)
			continue
		}
		if s.Len() != test.images || s.Image(0)[0] != test.first || s.Name != test.name ||
			s.Label(1) != 1 {
			t.Errorf("%s: %q with %d images of %d, want %q, %d, %d", test.spec, s.Name, s.Len(),
				s.Image(0)[0], test.name, test.images, test.first)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	mk := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put := func(path string, x *IDX) {
		if err := os.WriteFile(path, encodeIDX(t, x), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	empty, both, imagesOnly, loose := mk("empty"), mk("both"), mk("images-only"), mk("loose")
	writeSet(t, both, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", 2, 0)
	writeSet(t, both, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", 2, 0)
	writeSet(t, imagesOnly, "t10k-images-idx3-ubyte", "", 2, 0)
	writeSet(t, loose, "train-image-idx3-ubyte", "train-label-idx1-ubyte", 2, 0)
	writeSet(t, loose, "alone-images", "", 2, 0)
	writeSet(t, loose, "pictures", "", 2, 0)
	writeSet(t, loose, "many-images", "many-labels", 12, 0)
	writeSet(t, loose, "three-images", "", 3, 0)
	put(filepath.Join(loose, "three-labels"), &IDX{Uint8, []int{2}, []byte{0, 1}})
	put(filepath.Join(loose, "float-images"), &IDX{Float32, []int{1, 1, 1}, []byte{0xbf, 0x80, 0, 0}})
	put(filepath.Join(loose, "float-labels"), &IDX{Uint8, []int{1}, []byte{1}})
	put(filepath.Join(loose, "wide-images"), &IDX{Uint8, []int{1, 1, 1}, []byte{1}})
	put(filepath.Join(loose, "wide-labels"), &IDX{Float32, []int{1}, make([]byte, 4)})
	put(filepath.Join(loose, "square-images"), &IDX{Uint8, []int{1, 1, 1}, []byte{1}})
	put(filepath.Join(loose, "square-labels"), &IDX{Uint8, []int{1, 1}, []byte{1}})
	put(filepath.Join(loose, "none-images"), &IDX{Uint8, []int{0, 28, 28}, nil})
	put(filepath.Join(loose, "none-labels"), &IDX{Uint8, []int{0}, nil})
	for _, test := range []struct {
		spec string
		opts Options
		want error
		text string
	}{
		{"", Options{}, ErrUnknown, "give t10k, train"},
		{"t1ok", Options{}, ErrUnknown, `did you mean "t10k"`},
		{"trian", Options{}, ErrUnknown, `did you mean "train"`},
		{filepath.Join(dir, "booth"), Options{}, ErrUnknown, `"both"`},
		{filepath.Join(loose, "alone-image"), Options{}, ErrUnknown, `"alone-images"`},
		{filepath.Join(dir, "nowhere", "x"), Options{}, ErrUnknown, "a folder of pictures"},
		{filepath.Join(dir, "nowhere") + ":train", Options{}, ErrUnknown, "a folder of pictures"},
		{both + ":val", Options{}, ErrUnknown, ":test, whatever"},
		{empty, Options{}, ErrUnknown, "neither train-images-idx3-ubyte"},
		{empty + ":t10k", Options{}, ErrUnknown, "no t10k-images-idx3-ubyte"},
		{loose, Options{}, ErrUnknown, `"train-image-idx3-ubyte"`},
		{both, Options{}, ErrAmbiguous, both + ":train or " + both + ":t10k"},
		{imagesOnly, Options{}, ErrNoLabels, "put t10k-labels-idx1-ubyte"},
		{filepath.Join(loose, "alone-images"), Options{}, ErrNoLabels, "put alone-labels"},
		{filepath.Join(loose, "pictures"), Options{}, ErrNoLabels, "…images…"},
		{filepath.Join(loose, "many-labels"), Options{}, ErrRank, "give the images file"},
		{filepath.Join(loose, "many-images"), Options{Classes: 11}, ErrLabel,
			"labels are 0 to 11, 11 classes end at 10"},
		{filepath.Join(loose, "many-images"), Options{Limit: 47}, ErrTooLarge, "the limit is 47"},
		{filepath.Join(loose, "three-images"), Options{}, ErrCount, "3 images, 2 labels"},
		{filepath.Join(loose, "float-images"), Options{}, ErrPixel, "-1 of float32 at [0, 0, 0]"},
		{filepath.Join(loose, "wide-images"), Options{}, ErrElementType, "float32, labels are integers"},
		{filepath.Join(loose, "square-images"), Options{}, ErrRank, "[1 1]"},
		{filepath.Join(loose, "none-images"), Options{}, ErrEmpty, "none-images"},
		{"open_test.go", Options{}, ErrMagic, "open_test.go"},
		{"t10k", Options{DataDir: both}, ErrArgument, `"train" alone`},
		{"t10k", Options{Classes: 5}, ErrArgument, "t10k has 10"},
		{both, Options{Part: "test"}, ErrArgument, `"test"`},
		{both + ":t10k", Options{Classes: MaxClasses + 1}, ErrArgument, "65537"},
		{"train", Options{DataDir: empty}, ErrUnknown, "no train-images-idx3-ubyte"},
		{"train", Options{DataDir: both}, ErrChecksum, "name its folder as the data set"},
	} {
		t.Run(fmt.Sprintf("%s %+v", test.spec, test.opts), func(t *testing.T) {
			s, err := Open(t.Context(), test.spec, test.opts)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("Open = %v, %v; want %q and %q", s, err, test.want, test.text)
			}
		})
	}
	if _, err := Fetch(t.Context(), Options{DataDir: both}); !errors.Is(err, ErrArgument) {
		t.Errorf("Fetch with a data folder: %v, want %q", err, ErrArgument)
	}
}

func TestOpenFourDimensions(t *testing.T) {
	dir := t.TempDir()
	images := filepath.Join(dir, "rgb-images-idx4-ubyte")
	for path, x := range map[string]*IDX{
		images: {Uint8, []int{2, 3, 1, 2}, make([]byte, 12)},
		filepath.Join(dir, "rgb-labels-idx1-ubyte"): {Uint8, []int{2}, []byte{0, 9}},
	} {
		if err := os.WriteFile(path, encodeIDX(t, x), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(t.Context(), images, Options{})
	if err != nil || s.Channels != 3 || s.Height != 1 || s.Width != 2 {
		t.Errorf("Open = %+v, %v, want 2×3×1×2", s, err)
	}
}

func TestEmbeddedFilesAreReadAnew(t *testing.T) {
	for range 2 { // a reader of its own each time
		if x, err := ReadIDX(t10k.Labels(), 0); err != nil || len(x.Data) != 10_000 {
			t.Fatalf("labels: %v", err)
		}
	}
}
