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
	"sync"
	"testing"

	"slipway/dataset/picture"
)

// elsewhere is a source of another type than the package's own; original is one with originals.
type elsewhere struct{ Source }

type original struct{ Originals }

func (o original) FileNames() []string { return FileNames(o.Originals) }

// countedImages is a set of n images of 2×2×2 of which each begins with its index, labels being
// that mod 3.
func countedImages(t *testing.T, n int) *Set {
	t.Helper()
	images, labels := make([]uint8, 8*n), make([]int32, n)
	for i := range n {
		images[8*i], images[8*i+1], labels[i] = uint8(i), uint8(i>>8), int32(i%3)
	}
	set, err := NewSet("counted", images, labels, 2, 2, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// withOriginals are six pictures of 2×3 in files, called ant, bee and Wasp ü.
func withOriginals(t *testing.T) Originals {
	t.Helper()
	source, err := OpenSource(t.Context(), filepath.Join(pictureSet(t), "train")+"/", Options{
		Sizing: &picture.Sizing{Height: 4, Width: 5}, Originals: true, PictureCache: NoPictureCache,
	})
	if err != nil {
		t.Fatal(err)
	}
	return source.(Originals)
}

// A source of any type is read as a set is, in pieces, in parts, and as inputs.
func TestSourcesOfOtherTypes(t *testing.T) {
	set := countedImages(t, 2*loadBatch+7)
	source := elsewhere{set}
	loaded, err := Load(t.Context(), source)
	if err != nil || !bytes.Equal(loaded.Images, set.Images) || !slices.Equal(loaded.Labels,
		set.Labels) {
		t.Fatalf("it is loaded otherwise (%v)", err)
	}
	for _, s := range []Source{set, source} {
		labels, err := AllLabels(t.Context(), s)
		if err != nil || !slices.Equal(labels, set.Labels) {
			t.Errorf("labels of a %T: %v (%v)", s, labels, err)
		}
		for n, want := range map[int]int{0: set.Len(), 1: 1, 5: 5, set.Len() - 1: set.Len() - 1,
			set.Len(): set.Len(), set.Len() + 1: set.Len()} {
			first, err := First(s, n)
			if err != nil || first.Len() != want || first.Info().Images != want {
				t.Fatalf("the first %d of a %T: %v", n, s, err)
			}
			if whole := first == s; whole != (want == set.Len()) {
				t.Errorf("the first %d of a %T are the whole: %t", n, s, whole)
			}
			images, got := make([]uint8, 8), make([]int32, 1)
			err = first.Read(t.Context(), images, got, []int{want - 1}, 0)
			if err != nil || !bytes.Equal(images, set.Image(want-1)) ||
				got[0] != set.Labels[want-1] {
				t.Errorf("the last of the first %d of a %T is %v (%v)", n, s, images, err)
			}
		}
		values, err := Inputs(t.Context(), s, []int{300, 2}, Pixels{})
		if err != nil || !slices.Equal(values, []float32{44, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0,
			0, 0, 0}) {
			t.Errorf("inputs of a %T: %v (%v)", s, values, err)
		}
		if _, err := Inputs(t.Context(), s, []int{set.Len()}, Pixels{}); !errors.Is(err, ErrIndex) {
			t.Errorf("inputs of an image that is none: %v", err)
		}
	}
	if _, err := Inputs(t.Context(), source, []int{0}, mustChannelPixels(t)); err == nil {
		t.Error("images of two channels are fed as coloured ones")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Load(ended, source); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	if _, err := AllLabels(ended, source); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}

func mustChannelPixels(t *testing.T) Pixels {
	t.Helper()
	pixels, err := ChannelPixels([]float64{0.5, 0.5, 0.5}, []float64{0.5, 0.5, 0.5})
	if err != nil {
		t.Fatal(err)
	}
	return pixels
}

// A buffer that is a byte too short, and an index next to those there are, are refused by each
// type of source in the same words.
func TestReadingBesideASource(t *testing.T) {
	set := countedImages(t, 6)
	part, err := First(elsewhere{set}, 5)
	if err != nil {
		t.Fatal(err)
	}
	pictures := withOriginals(t)
	some, err := First(original{pictures}, 5)
	if err != nil {
		t.Fatal(err)
	}
	if len(FileNames(part)) != 0 || !slices.Equal(FileNames(some), FileNames(pictures)[:5]) {
		t.Errorf("files %q and %q", FileNames(part), FileNames(some))
	}
	for _, s := range []Source{set, part, pictures, some} {
		info, labels := s.Info(), make([]int32, 2)
		size := info.Channels * info.Height * info.Width
		if err := s.Read(t.Context(), make([]uint8, 2*size), labels, []int{0, s.Len() - 1},
			0); err != nil {
			t.Errorf("%T: %v", s, err)
		}
		err := s.Read(t.Context(), make([]uint8, 2*size-1), labels, []int{0, 1}, 0)
		if !errors.Is(err, ErrSize) || !strings.Contains(err.Error(),
			fmt.Sprintf("2 images of %d bytes", size)) {
			t.Errorf("%T, a byte too few: %v", s, err)
		}
		if err := s.Read(t.Context(), make([]uint8, 2*size), labels[:1], []int{0, 1},
			0); !errors.Is(err, ErrSize) {
			t.Errorf("%T, a label too few: %v", s, err)
		}
		for _, index := range []int{-1, s.Len()} {
			told := fmt.Sprintf("%d of 0…%d", index, s.Len()-1)
			errs := []error{s.Read(t.Context(), make([]uint8, size), labels, []int{index}, 0)}
			if originals, ok := s.(Originals); ok {
				errs = append(errs, originals.Original(t.Context(), index, nil, new(picture.Image)),
					originals.ReadLabels(labels, []int{index}))
			}
			for i, err := range errs {
				if !errors.Is(err, ErrIndex) || !strings.Contains(err.Error(), told) {
					t.Errorf("%T, way %d, image %d: %v", s, i, index, err)
				}
			}
		}
	}
	var a, b picture.Image
	for i := range 5 {
		err := errors.Join(pictures.Original(t.Context(), i, nil, &a),
			some.(Originals).Original(t.Context(), i, nil, &b))
		if err != nil || a.Height != 2 || a.Width != 3 || !bytes.Equal(a.Pixels, b.Pixels) {
			t.Errorf("original %d: %v", i, err)
		}
	}
	for _, s := range []Originals{pictures, some.(Originals)} {
		labels := []int32{9, 9}
		if err := s.ReadLabels(labels, []int{4, 0}); err != nil || !slices.Equal(labels,
			[]int32{2, 0}) {
			t.Errorf("%T: labels %v (%v)", s, labels, err)
		}
		if err := s.ReadLabels(nil, []int{0}); err != nil {
			t.Errorf("%T, without labels: %v", s, err)
		}
	}
}

// A stored picture of another height or width than the set's is refused.
func TestPicturesOfAnotherSizeInTheStore(t *testing.T) {
	for _, size := range [][2]int{{2, 3}, {3, 2}} {
		p := &Pictures{info: Info{Name: "p", Images: 1, Channels: 1, Height: 2, Width: 2},
			labels: []int32{0},
			files:  []string{"a"}, at: []int32{0}, store: decoded{picture.New(1, size[0], size[1])},
			scratch: &sync.Pool{New: func() any { return new(readScratch) }}}
		err := p.Read(t.Context(), make([]uint8, 4), nil, []int{0}, 0)
		if !errors.Is(err, ErrSize) || !strings.Contains(err.Error(), fmt.Sprintf("%d×%d",
			size[0], size[1])) {
			t.Errorf("%v: %v", size, err)
		}
	}
}

// Classes are named for each label from 0 at least, and a name and a licence are given alone.
func TestNamesOfPictures(t *testing.T) {
	pictures := withOriginals(t)
	for _, names := range [][]string{{"a", "b", "c"}, {"a", "b", "c", "d"}} {
		named, err := WithClassNames(pictures, names)
		if err != nil || !slices.Equal(named.Info().ClassNames, names) ||
			named.Info().Classes != len(names) {
			t.Errorf("%q: %v", names, err)
		}
	}
	if _, err := WithClassNames(pictures, []string{"a", "b"}); !errors.Is(err, ErrArgument) {
		t.Errorf("two names for three classes: %v", err)
	}
	set := countedImages(t, 3)
	set.Licence = "free"
	for _, s := range []Source{set, As(pictures, "p", "free")} {
		for licence, want := range map[string]string{"": "free", "own": "own"} {
			if info := As(s, "other", licence).Info(); info.Name != "other" ||
				info.Licence != want {
				t.Errorf("%T as %q: %q, %q", s, licence, info.Name, info.Licence)
			}
		}
	}
}

// Labels take the order of others' classes where both have names and the images have files.
func TestMatchClasses(t *testing.T) {
	set := func(files bool, names ...string) *Set {
		s := countedImages(t, 3)
		if s.ClassNames = names; files {
			s.Files = []string{"a", "b", "c"}
		}
		return s
	}
	own := []string{"bee", "ant", "cow"}
	matched, err := MatchClasses(set(true, own...), []string{"ant", "bee", "cow", "dog"})
	if err != nil {
		t.Fatal(err)
	}
	if labels, err := AllLabels(t.Context(), matched); err != nil || !slices.Equal(labels,
		[]int32{1, 0, 2}) {
		t.Errorf("labels %v (%v)", labels, err)
	}
	for name, test := range map[string]struct {
		set   *Set
		names []string
	}{
		"no files": {set(false, own...), []string{"ant", "bee", "cow"}}, "no names": {set(true,
			own...), nil},
		"none of its own": {set(true), own}, "the same": {set(true, own...), own},
	} {
		if got, err := MatchClasses(test.set, test.names); err != nil || got != Source(test.set) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := MatchClasses(set(true, own...), []string{"ant", "bee"}); !errors.Is(err,
		ErrLabel) {
		t.Errorf("a class that is not known: %v", err)
	}
}

// What was read in the order of a larger set's classes is so again, and what was not is not.
func TestReopenedInTheOrderOfOthers(t *testing.T) {
	opts := Options{PictureCache: NoPictureCache}
	source, err := OpenSource(t.Context(), filepath.Join(pictureSet(t), "train")+"/", opts)
	if err != nil {
		t.Fatal(err)
	}
	place := source.Info().Place
	relabelled, err := Relabelled(source, []string{"bee", "x", "ant", "Wasp ü"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeSet(t, dir, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", 3, 7)
	numbers, err := OpenSource(t.Context(), dir, Options{Part: Train})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Source{source, relabelled, numbers} {
		recorded := s.Info()
		if recorded.Place == "" {
			recorded.Place = place
		}
		if s == numbers {
			recorded.ClassNames = []string{"a", "b", "c"}
		}
		again, err := Reopen(t.Context(), recorded, opts)
		if err != nil {
			t.Errorf("%q: %v", recorded.ClassNames, err)
			continue
		}
		want, _ := AllLabels(t.Context(), s)
		if got, err := AllLabels(t.Context(), again); err != nil || !slices.Equal(got, want) {
			t.Errorf("labels %v (%v), want %v", got, err, want)
		}
	}
	// A class that has another name since is the same pictures still.
	folder := t.TempDir()
	writePictures(t, folder, "ant/1.png", "bee/1.png")
	named, err := OpenSource(t.Context(), folder, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(folder, "bee"), filepath.Join(folder, "wasp")); err != nil {
		t.Fatal(err)
	}
	if again, err := Reopen(t.Context(), named.Info(), opts); err != nil ||
		!slices.Equal(again.Info().ClassNames, []string{"ant", "wasp"}) {
		t.Errorf("a class with another name: %v: %v", err, again)
	}
	if o, err := (Options{}).AsRecorded(Info{}); err != nil || o.SkipDamaged {
		t.Errorf("of a set without damage %+v (%v)", o, err)
	}
	if o, err := (Options{}).AsRecorded(Info{LeftOut: 1}); err != nil || !o.SkipDamaged {
		t.Errorf("of a set with damage %+v (%v)", o, err)
	}
}
