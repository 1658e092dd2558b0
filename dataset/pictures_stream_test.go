package dataset

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"slipway/dataset/picture"
)

// mixedSet writes twelve pictures of several sizes, two of them no pictures.
func mixedSet(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 12 {
		class := []string{"a", "b", "c"}[i%3]
		writePNG(t, filepath.Join(dir, class, string(rune('A'+i))+".png"), 15+i%7, 19-i%5, i%4 == 1,
			uint8(20*i))
	}
	for _, odd := range []string{"a/M.png", "c/N.png"} {
		if err := os.WriteFile(filepath.Join(dir, odd), []byte("<html>"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// readAll reads all images of a source, some at a time.
func readAll(t *testing.T, source Source, epoch int) (images []uint8, labels []int32) {
	t.Helper()
	info := source.Info()
	size := info.Channels * info.Height * info.Width
	images, labels = make([]uint8, source.Len()*size), make([]int32, source.Len())
	for first := 0; first < source.Len(); first += 5 {
		var indices []int
		for i := first; i < min(first+5, source.Len()); i++ {
			indices = append(indices, i)
		}
		if err := source.Read(t.Context(), images[first*size:], labels[first:], indices,
			epoch); err != nil {
			t.Fatal(err)
		}
	}
	return images, labels
}

// A set is the same whether it lies in memory, in a file of decoded pictures, or in its
// own files: what is read, and what is recorded.
func TestPicturesBeyondMemory(t *testing.T) {
	dir, cache := mixedSet(t), t.TempDir()
	sizing := &picture.Sizing{Height: 6, Width: 4, Fit: picture.Crop}
	base := Options{Sizing: sizing, SkipDamaged: true, PictureCache: cache}
	whole, err := Open(t.Context(), dir, base)
	if err != nil {
		t.Fatal(err)
	}
	images, labels := readAll(t, whole, 0)
	if !bytes.Equal(images, whole.Images) || !slices.Equal(labels, whole.Labels) {
		t.Fatal("a set's Read is not of its images")
	}
	training, validation, err := whole.SplitFraction(0.25, 3)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"x", "c", "b", "a"}
	relabelled, err := whole.Relabelled(names)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		change func(*Options)
		says   string
		packs  int
	}{
		{"in files", func(o *Options) { o.Memory, o.PictureCache = 100, NoPictureCache },
			"are decoded in each epoch: no cache of pictures is asked for", 0},
		{"into a pack", func(o *Options) { o.Memory = 100 },
			"do not fit into 100 bytes of memory, and are decoded into " + cache, 1},
		{"from the pack", func(o *Options) { o.Memory = 100 }, "", 1},
		{"from the pack into memory", func(o *Options) {}, "", 1},
		{"originals in memory", func(o *Options) { o.Originals = true }, "", 1},
		{"originals into a pack", func(o *Options) { o.Originals, o.Memory = true, 100 },
			"are decoded into ", 2},
		{"originals in files", func(o *Options) {
			o.Originals, o.Memory, o.PictureCache = true, 100,
				NoPictureCache
		}, "are decoded in each epoch", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			var messages bytes.Buffer
			opts := base
			opts.Messages = &messages
			test.change(&opts)
			source, err := OpenSource(t.Context(), dir, opts)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(messages.String(), test.says) ||
				strings.Count(messages.String(), "left out: ") != 2 {
				t.Errorf("messages: %s", &messages)
			}
			if list, err := ListPictureCache(cache); err != nil || len(list) != test.packs {
				t.Errorf("the cache has %v, %v", list, err)
			}
			if got, want := source.Info(), whole.Info(); !reflect.DeepEqual(got, want) {
				t.Errorf("it is %+v, in memory %+v", got, want)
			}
			if !slices.Equal(FileNames(source), whole.Files) {
				t.Errorf("files %v", FileNames(source))
			}
			same := func(got Source, want *Set) {
				t.Helper()
				images, labels := readAll(t, got, 7)
				if !bytes.Equal(images, want.Images) || !slices.Equal(labels, want.Labels) {
					t.Error("other images or labels than in memory")
				}
				if got.Info().SHA256 != want.Digest() {
					t.Error("another digest than in memory")
				}
			}
			same(source, whole)
			gotTraining, gotValidation, err := SplitSource(source, 0.25, 3)
			if err != nil {
				t.Fatal(err)
			}
			same(gotTraining, training)
			same(gotValidation, validation)
			gotRelabelled, err := Relabelled(source, names)
			if err != nil {
				t.Fatal(err)
			}
			same(gotRelabelled, relabelled)
			loaded, err := Load(t.Context(), source)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(loaded.Info(), whole.Info()) || !bytes.Equal(loaded.Images, whole.Images) {
				t.Error("loaded, it is another set")
			}
			originals, ok := gotTraining.(Originals)
			if !ok {
				if opts.Originals {
					t.Error("there are no originals")
				}
				return
			}
			var got picture.Image
			if err := originals.Original(t.Context(), 1, nil, &got); err != nil {
				t.Fatal(err)
			}
			if opts.Originals && (got.Height < 15 || got.Channels != 3) {
				t.Errorf("an original of %d×%d×%d", got.Channels, got.Height, got.Width)
			}
		})
	}
}

// Several readers at once read the same.
func TestPicturesAreReadConcurrently(t *testing.T) {
	dir := mixedSet(t)
	opts := Options{Sizing: &picture.Sizing{Height: 6, Width: 4}, SkipDamaged: true,
		PictureCache: t.TempDir(), Memory: 1, Originals: true}
	source, err := OpenSource(t.Context(), dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := readAll(t, source, 0)
	var readers sync.WaitGroup
	for range 4 * runtime.GOMAXPROCS(0) {
		readers.Go(func() {
			if got, _ := readAll(t, source, 0); !bytes.Equal(got, want) {
				t.Error("other images")
			}
		})
	}
	readers.Wait()
}

// A pack that is damaged is noticed: it is made again, or its pictures are decoded again.
func TestDamagedPacks(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func([]byte) []byte
		says   string // when opening
		reads  string // when reading
	}{
		{"cut off", func(b []byte) []byte { return b[:len(b)-1] },
			"are made again: the file of decoded pictures is damaged", ""},
		{"empty", func([]byte) []byte { return nil }, "it has 0 bytes", ""},
		{"another beginning", func(b []byte) []byte { b[0] ^= 1; return b },
			"it begins or ends as another file", ""},
		{"another entry", func(b []byte) []byte { b[len(b)-packFoot-1] ^= 1; return b },
			"the sum of its entries is another", ""},
		{"another pixel", func(b []byte) []byte { b[packHead] ^= 1; return b }, "",
			"is damaged at "},
		{"entries elsewhere", func(b []byte) []byte { b[len(b)-packFoot+32] ^= 1; return b },
			"not where it says", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := mixedSet(t)
			var messages bytes.Buffer
			opts := Options{Sizing: &picture.Sizing{Height: 6, Width: 4}, SkipDamaged: true,
				PictureCache: t.TempDir(), Memory: 1, Messages: &messages}
			source, err := OpenSource(t.Context(), dir, opts)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := readAll(t, source, 0)
			list, err := ListPictureCache(opts.PictureCache)
			if err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			whole, err := os.ReadFile(list[0].Path)
			if err != nil {
				t.Fatal(err)
			}
			if list[0].Bytes != int64(len(whole)) {
				t.Errorf("the list says %d bytes of %d", list[0].Bytes, len(whole))
			}
			if err := os.WriteFile(list[0].Path, test.damage(slices.Clone(whole)), 0o666); err != nil {
				t.Fatal(err)
			}
			messages.Reset()
			again, err := OpenSource(t.Context(), dir, opts)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(messages.String(), test.says) {
				t.Errorf("messages: %s", &messages)
			}
			if got, _ := readAll(t, again, 0); !bytes.Equal(got, want) ||
				again.Info().SHA256 != source.Info().SHA256 {
				t.Error("other images")
			}
			if !strings.Contains(messages.String(), test.reads) {
				t.Errorf("messages: %s", &messages)
			}
			if test.says == "" {
				return
			}
			messages.Reset()
			if _, err := OpenSource(t.Context(), dir, opts); err != nil ||
				strings.Contains(messages.String(), "made again") {
				t.Errorf("it was not made again: %v: %s", err, &messages)
			}
		})
	}
}

// A file that changes while the set is open is no longer of the set; a new opening sees
// the new one, whatever was decoded before.
func TestPicturesThatChange(t *testing.T) {
	dir := mixedSet(t)
	opts := Options{Sizing: &picture.Sizing{Height: 6, Width: 4}, SkipDamaged: true,
		PictureCache: NoPictureCache, Memory: 1}
	source, err := OpenSource(t.Context(), dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	opts.PictureCache = t.TempDir()
	packed, err := OpenSource(t.Context(), dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	writePNG(t, filepath.Join(dir, "a", "A.png"), 15, 19, false, 99)
	images := make([]uint8, 3*6*4)
	err = source.Read(t.Context(), images, nil, []int{0}, 0)
	if !errors.Is(err, ErrChanged) ||
		!strings.Contains(err.Error(), "a/A.png is another file than when the set was opened") {
		t.Errorf("a changed file: %v", err)
	}
	if err := packed.Read(t.Context(), images, nil, []int{0}, 0); err != nil {
		t.Errorf("what is decoded stays: %v", err)
	}
	again, err := OpenSource(t.Context(), dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	if again.Info().SHA256 == packed.Info().SHA256 {
		t.Error("opened again, it is taken for the set of before")
	}
}

// What cannot be kept on the disk is decoded in each epoch, and what ends early leaves
// nothing.
func TestPicturesThatCannotBeKept(t *testing.T) {
	dir := mixedSet(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	var messages bytes.Buffer
	opts := Options{Sizing: &picture.Sizing{Height: 6, Width: 4}, SkipDamaged: true,
		PictureCache: filepath.Join(file, "cache"), Memory: 1, Messages: &messages}
	source, err := OpenSource(t.Context(), dir, opts)
	if err != nil || !strings.Contains(messages.String(), "are decoded in each epoch: ") {
		t.Fatalf("%v, messages: %s", err, &messages)
	}
	readAll(t, source, 0)
	opts.PictureCache = t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenSource(ctx, dir, opts); !errors.Is(err, context.Canceled) {
		t.Errorf("when it is ended: %v", err)
	}
	if entries, err := os.ReadDir(opts.PictureCache); err != nil || len(entries) != 0 {
		t.Errorf("left over: %v, %v", entries, err)
	}
	opts.Originals, opts.Sizing = true, nil
	if _, err := OpenSource(t.Context(), dir, opts); !errors.Is(err, ErrArgument) {
		t.Errorf("originals without a size: %v", err)
	}
	if _, err := Open(t.Context(), dir, Options{Originals: true}); !errors.Is(err, ErrArgument) {
		t.Errorf("originals of a set in memory: %v", err)
	}
}

// firstByte is the first one of the first image.
func firstByte(t *testing.T, source Source) uint8 {
	t.Helper()
	images, _ := readAll(t, source, 0)
	return images[0]
}
