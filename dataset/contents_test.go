package dataset

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"slipway/dataset/picture"
)

// pixelSet is a set of 1×2×2 images of one level each.
func pixelSet(t *testing.T, name string, levels []uint8, labels []int32) *Set {
	t.Helper()
	var images []uint8
	for _, level := range levels {
		images = append(images, level, level, level, level)
	}
	set, err := NewSet(name, images, labels, 1, 2, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func contentsOf(t *testing.T, source Source) *Contents {
	t.Helper()
	contents, err := ContentsOf(source)
	if err != nil {
		t.Fatal(err)
	}
	return contents
}

func TestDuplicates(t *testing.T) {
	set := contentsOf(t, pixelSet(t, "own", []uint8{7, 1, 7, 2, 1, 7}, []int32{0, 1, 0, 1, 2, 0}))
	if got, want := set.Duplicates(), [][]int{{0, 2, 5}, {1, 4}}; !reflect.DeepEqual(got, want) {
		t.Errorf("duplicates %v, want %v", got, want)
	}
	if !set.SameClass(0, set, 5) || set.SameClass(1, set, 4) {
		t.Error("classes are compared wrongly")
	}
	if set.ImageName(4) != "image 4" || set.Class(4) != "2" || set.Bytes() != 24 ||
		set.Len() != 6 || set.SetName() != "own" {
		t.Errorf("%q %q %d", set.ImageName(4), set.Class(4), set.Bytes())
	}
	if got := contentsOf(t, pixelSet(t, "other", []uint8{1, 2}, []int32{0,
		0})).Duplicates(); got != nil {
		t.Errorf("duplicates of different images: %v", got)
	}
}

func TestSharedImages(t *testing.T) {
	training := contentsOf(t, pixelSet(t, "training", []uint8{1, 2, 3, 2}, []int32{0, 0, 0, 0}))
	test := contentsOf(t, pixelSet(t, "test", []uint8{9, 2, 1, 2}, []int32{0, 1, 0, 1}))
	got, err := test.Shared(training)
	if want := []SharedImage{{1, 1}, {2, 0}, {3, 1}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("shared %v, %v; want %v", got, err, want)
	}
	if got, err := test.Shared(contentsOf(t, pixelSet(t, "none", []uint8{5},
		[]int32{0}))); got != nil || err != nil {
		t.Errorf("nothing is shared: %v, %v", got, err)
	}
	other, err := NewSet("other", make([]uint8, 4), []int32{0}, 1, 1, 4, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := test.Shared(contentsOf(t, other)); !errors.Is(err, ErrIncomparable) {
		t.Errorf("images of another shape: %v", err)
	}
	if _, err := ContentsOf(newPart(other, []int{0})); !errors.Is(err, ErrIncomparable) {
		t.Errorf("another source: %v", err)
	}
}

// Classes of two sets are the same by their names, not by their places.
func TestSharedClasses(t *testing.T) {
	names := func(set *Set, names ...string) *Contents {
		t.Helper()
		named, err := set.WithClassNames(names)
		if err != nil {
			t.Fatal(err)
		}
		return contentsOf(t, named)
	}
	a := names(pixelSet(t, "a", []uint8{1}, []int32{0}), "ant", "bee", "wasp")
	b := names(pixelSet(t, "b", []uint8{1}, []int32{1}), "bee", "ant", "wasp")
	if !a.SameClass(0, b, 0) {
		t.Error("ant is ant in another place")
	}
	if bare := contentsOf(t, pixelSet(t, "c", []uint8{1}, []int32{1})); a.SameClass(0, bare, 0) {
		t.Error("0 is 1")
	}
}

// Hashes that collide are told apart by the bytes.
func TestContentIndexComparesBytes(t *testing.T) {
	c := contentsOf(t, pixelSet(t, "own", []uint8{1, 2, 3}, []int32{0, 0, 0}))
	index := newContentIndex(c)
	index.newest[42], index.before[1], index.before[0] = 1, 0, -1
	for i, want := range []int{0, 1, -1} {
		if got := index.under(42, c.of(i)); got != want {
			t.Errorf("image %d is found as %d, want %d", i, got, want)
		}
	}
}

// Files are compared without decoding them, whether a set of them lies in memory or not,
// and the test part is found as OpenTest finds it.
func TestContentsOfFiles(t *testing.T) {
	dir := pictureSet(t)
	same, err := os.ReadFile(filepath.Join(dir, "train", "bee", "a.png"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"train/ant/c.png", "test/bee/0.png"} {
		if err := os.WriteFile(filepath.Join(dir, name), same, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	sizing := &picture.Sizing{Height: 2, Width: 2}
	for name, opts := range map[string]Options{
		"as they are": {}, "resized": {Sizing: sizing}, "beyond memory": {Sizing: sizing, Memory: 1,
			PictureCache: NoPictureCache},
	} {
		source, err := OpenSource(t.Context(), dir+":train", opts)
		if err != nil {
			t.Fatal(err)
		}
		training := contentsOf(t, source)
		read, err := ReadContents(t.Context(), dir+":train", opts)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []*Contents{training, read} {
			groups := c.Duplicates()
			if len(groups) != 1 || len(groups[0]) != 2 ||
				c.ImageName(groups[0][0]) != "ant/c.png" || c.Class(groups[0][1]) != "bee" {
				t.Errorf("%s: duplicates %v", name, groups)
			}
		}
		test, err := ReadTestContents(t.Context(), source, opts)
		if err != nil {
			t.Fatal(err)
		}
		shared, err := test.Shared(training)
		if err != nil || len(shared) != 1 || test.ImageName(shared[0].Index) != "bee/0.png" ||
			training.ImageName(shared[0].First) != "ant/c.png" {
			t.Errorf("%s: shared %v, %v", name, shared, err)
		}
	}
	// Damaged files are files; a set of pixels is another thing.
	if err := os.WriteFile(filepath.Join(dir, "test", "bee", "1.png"), []byte("<html>"),
		0o666); err != nil {
		t.Fatal(err)
	}
	test, err := ReadContents(t.Context(), dir+":t10k", Options{})
	if err != nil || test.Len() != 8 {
		t.Fatalf("%v", err)
	}
	if _, err := test.Shared(contentsOf(t, pixelSet(t, "pixels", []uint8{1},
		[]int32{0}))); !errors.Is(err, ErrIncomparable) ||
		!strings.Contains(fmt.Sprint(err), "files of pictures") {
		t.Errorf("files and pixels: %v", err)
	}
	// As shells complete a folder.
	alone, err := OpenSource(t.Context(), filepath.Join(dir, "train")+"/", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if test, err := ReadTestContents(t.Context(), alone, Options{}); err != nil || test.Len() != 8 {
		t.Error(err)
	}
	if none, err := ReadTestContents(t.Context(), pixelSet(t, "pixels", []uint8{1}, []int32{0}),
		Options{}); none != nil || err != nil {
		t.Errorf("a set without a test set: %v, %v", none, err)
	}
}
