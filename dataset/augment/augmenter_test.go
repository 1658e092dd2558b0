package augment

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"testing"

	"slipway/dataset/picture"
)

func augmenter(t testing.TB, list List, seed uint64, s Shape) *Augmenter {
	t.Helper()
	a, err := New(list, seed, s.Channels, s.Height, s.Width)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// applied is what becomes of the image, which must not be changed itself.
func applied(t testing.TB, a *Augmenter, image []uint8, epoch, index int) []uint8 {
	t.Helper()
	before, out := slices.Clone(image), make([]uint8, len(image))
	if err := a.Apply(out, image, epoch, index); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, image) {
		t.Fatal("the image itself was changed")
	}
	return out
}

// An image becomes the same whatever was done before, beside it, or in place.
func TestAnImageIsAFunctionOfSeedEpochAndIndex(t *testing.T) {
	shape := Shape{3, 13, 17}
	a := augmenter(t, everything(), 4, shape)
	const images, epochs = 60, 3
	var want [epochs * images][]uint8
	for i := range want {
		want[i] = applied(t, augmenter(t, everything(), 4, shape), noise(shape, uint64(i%images)),
			i/images, i%images)
	}
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for n := range want {
				i := (n*7 + worker*11) % len(want) // another order for each
				image := noise(shape, uint64(i%images))
				if err := a.Apply(image, image, i/images, i%images); err != nil {
					t.Error(err)
				}
				if !bytes.Equal(image, want[i]) {
					t.Errorf("image %d of epoch %d depends on the order", i%images, i/images)
				}
			}
		})
	}
	group.Wait()

	image := noise(shape, 1)
	for _, other := range []struct {
		what         string
		seed         uint64
		epoch, index int
	}{{"seeds", 5, 0, 1}, {"epochs", 4, 1, 1}, {"indices", 4, 0, 2}} {
		got := applied(t, augmenter(t, everything(), other.seed, shape), image, other.epoch,
			other.index)
		if bytes.Equal(got, want[1]) {
			t.Errorf("two %s change an image alike", other.what)
		}
	}
}

// What an operation draws depends on its place and name, and not on what others draw.
func TestDrawsOfOneOperationDoNotDependOnOthers(t *testing.T) {
	shape := Shape{1, 9, 9}
	image := noise(shape, 1)
	// Neither of the first operations changes a thing, and each draws otherwise.
	first := augmenter(t, List{Flip{1e-12}, Cutout{4}}, 3, shape)
	second := augmenter(t, List{Affine{Translate: 1e-9}, Cutout{4}}, 3, shape)
	elsewhere := augmenter(t, List{Cutout{4}}, 3, shape)
	same := 0
	for index := range 50 {
		want := applied(t, first, image, 0, index)
		if got := applied(t, second, image, 0, index); !bytes.Equal(got, want) {
			t.Fatalf("image %d depends on what stands before the cutout", index)
		}
		if bytes.Equal(applied(t, elsewhere, image, 0, index), want) {
			same++
		}
	}
	if same > 10 {
		t.Errorf("a cutout draws the same at two places: %d of 50", same)
	}
}

func TestTheEmptyListCopies(t *testing.T) {
	shape := Shape{2, 3, 4}
	image := noise(shape, 1)
	if got := applied(t, augmenter(t, nil, 1, shape), image, 0, 0); !bytes.Equal(got, image) {
		t.Errorf("%v, want %v", got, image)
	}
}

// Every operation takes every size, if only by refusing it.
func TestSmallestSizes(t *testing.T) {
	for _, shape := range []Shape{{1, 1, 1}, {3, 1, 1}, {1, 1, 7}, {3, 1, 7}, {3, 7, 1}, {1, 2, 2},
		{3, 3, 2}, {2, 3, 3}, {5, 1, 2}} {
		for _, operation := range append(everything(),
			Crop{1, Edge}, Crop{1, Symmetric}, Crop{1, Constant}, Shift{1}, Cutout{1},
			ColorJitter{Brightness: 1, Contrast: 1}, RandAugment{}, TrivialAugment{}) {
			a, err := New(List{operation}, 1, shape.Channels, shape.Height, shape.Width)
			if err != nil {
				continue
			}
			for index := range 60 {
				applied(t, a, noise(shape, 1), 1, index)
			}
		}
	}
}

// The race detector drops what a pool holds, now and then.
func TestAugmentationAllocatesNothing(t *testing.T) {
	shape := Shape{3, 20, 16}
	image, dst := noise(shape, 1), make([]uint8, shape.size())
	original := &picture.Image{Channels: 3, Height: 40, Width: 50,
		Pixels: noise(Shape{3, 40, 50}, 1)}
	for _, operation := range everything() {
		a := augmenter(t, List{operation}, 1, shape)
		original, index := original, 0
		if !a.List().NeedsOriginal() {
			original = nil
		}
		run := func() {
			index++
			if err := a.Apply(dst, image, 1, index%40); err != nil {
				t.Fatal(err)
			}
			if original != nil {
				if err := a.ApplyOriginal(dst, original, 1, index%40); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 80 {
			run()
		}
		if got := testing.AllocsPerRun(80, run); got > 0 && !raceDetector {
			t.Errorf("%v allocates %v times", operation, got)
		}
	}
}

func TestApplyRejects(t *testing.T) {
	a := augmenter(t, List{Flip{}}, 1, Shape{1, 2, 2})
	for _, sizes := range [][2]int{{3, 4}, {4, 3}, {0, 0}, {8, 8}} {
		err := a.Apply(make([]uint8, sizes[0]), make([]uint8, sizes[1]), 0, 7)
		if err == nil || !strings.Contains(err.Error(), "images of 1×2×2 have 4") {
			t.Errorf("%v bytes: error %v", sizes, err)
		}
	}
	grey := picture.New(1, 5, 5)
	if err := a.ApplyOriginal(make([]uint8, 4), grey, 0, 7); err == nil ||
		!strings.Contains(err.Error(), "use Apply") {
		t.Errorf("error %v", err)
	}
	a = augmenter(t, List{RandomResizedCrop{}}, 1, Shape{1, 2, 2})
	for _, test := range []struct {
		dst      []uint8
		original *picture.Image
		want     string
	}{
		{make([]uint8, 3), grey, "3 bytes are there for image 7"},
		{make([]uint8, 4), nil, "picture 7 is missing"},
		{make([]uint8, 4), picture.New(3, 5, 5), "has not 1 channels"},
		{make([]uint8, 4), &picture.Image{Channels: 1}, "picture 7: it has no pixels"},
		{make([]uint8, 4), &picture.Image{Channels: 1, Height: 3, Width: 3,
			Pixels: make([]uint8, 8)}, "picture 7: "},
	} {
		if err := a.ApplyOriginal(test.dst, test.original, 0, 7); err == nil ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
}

// The original's crop is what its part comes to when it is resized alone, and what follows in the
// list is done to that.
func TestApplyOriginal(t *testing.T) {
	shape := Shape{3, 9, 12}
	list := List{RandomResizedCrop{}, Flip{1}, Cutout{4}}
	a := augmenter(t, list, 6, shape)
	for index, size := range [][2]int{{30, 40}, {40, 30}, {9, 12}, {5, 5}, {1, 1}, {1, 60}, {60, 1},
		{200, 3}} {
		source := Shape{3, size[0], size[1]}
		original := &picture.Image{Channels: 3, Height: size[0], Width: size[1],
			Pixels: noise(source, uint64(index))}
		got := make([]uint8, shape.size())
		if err := a.ApplyOriginal(got, original, 2, index); err != nil {
			t.Fatal(err)
		}
		crop := a.list[0].(RandomResizedCrop)
		part := crop.part(newDraws(a.keys[0], 2, index), size[0], size[1])
		alone := picture.New(3, part.Height, part.Width)
		for c := range 3 {
			for y := range part.Height {
				from := original.Pixels[(c*size[0]+part.Top+y)*size[1]+part.Left:]
				copy(alone.Pixels[(c*part.Height+y)*part.Width:][:part.Width], from)
			}
		}
		resized, err := picture.Resize(alone, shape.Height, shape.Width, picture.Bilinear)
		if err != nil {
			t.Fatal(err)
		}
		c := newCanvas(shape)
		c.begin(resized.Pixels, resized.Pixels)
		for place := 1; place < len(list); place++ {
			a.list[place].apply(c, newDraws(a.keys[place], 2, index))
		}
		c.end()
		if !bytes.Equal(got, resized.Pixels) {
			t.Errorf("of %v, part %+v: %s", size, part, difference(got, resized.Pixels))
		}
		first, end := a.OriginalRows(size[0], size[1], 2, index)
		for i := range original.Pixels {
			if y := i / size[1] % size[0]; y < first || y >= end {
				original.Pixels[i] ^= 255
			}
		}
		if err := a.ApplyOriginal(got, original, 2, index); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, resized.Pixels) {
			t.Errorf("of %v, with rows %d to %d alone: %s", size, first, end,
				difference(got, resized.Pixels))
		}
	}
}

// Of an image that has come to its size, the crop is that of the same picture.
func TestApplyCropsTheImageItself(t *testing.T) {
	shape := Shape{3, 9, 12}
	a := augmenter(t, List{RandomResizedCrop{}, Flip{}}, 6, shape)
	for index := range 20 {
		image, want := noise(shape, 3), make([]uint8, shape.size())
		m := &picture.Image{Channels: 3, Height: 9, Width: 12, Pixels: image}
		if err := a.ApplyOriginal(want, m, 0, index); err != nil {
			t.Fatal(err)
		}
		if got := applied(t, a, image, 0, index); !bytes.Equal(got, want) {
			t.Errorf("image %d: %s", index, difference(got, want))
		}
	}
}
