package dataset

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"
)

// numbered makes n images of 2×1×3 whose first byte is their index, with
// labels that cycle through 4 classes.
func numbered(t testing.TB, n int) *Set {
	t.Helper()
	images, labels := make([]uint8, 6*n), make([]int32, n)
	for i := range n {
		images[6*i] = uint8(i)
		images[6*i+5] = 255
		labels[i] = int32(i % 4)
	}
	s, err := NewSet("numbered", images, labels, 2, 1, 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The digest is of the content and the shape alone, and not of how many classes there
// could be. Runs of studies are addressed by it: it may never change.
func TestDigest(t *testing.T) {
	set := func(name string, images []byte, height, width, classes int) *Set {
		t.Helper()
		s, err := NewSet(name, images, []int32{1, 0}, 1, height, width, classes)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	images := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	digest := set("a", images, 2, 3, 3).Digest()
	if want := fmt.Sprintf("%x",
		sha256.Sum256(
			[]byte("2×1×2×3, 2 classes\n\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x01\x00"))); digest != want {
		t.Errorf("digest %s, want %s", digest, want)
	}
	if set("b", images, 2, 3, 10).Digest() != digest || set("a", images, 3, 2, 3).Digest() == digest {
		t.Error("the digest is of something else than shape and content")
	}
}

func TestNewSetRefuses(t *testing.T) {
	b := func(n int) []uint8 { return make([]uint8, n) }
	l := func(labels ...int32) []int32 { return labels }
	for _, test := range []struct {
		name       string
		images     []uint8
		labels     []int32
		c, h, w, k int
		want       error
	}{
		{"no images", nil, nil, 1, 2, 2, 10, ErrEmpty},
		{"part of an image", b(7), l(0, 0), 1, 2, 2, 10, ErrSize},
		{"a label too few", b(8), l(0), 1, 2, 2, 10, ErrCount},
		{"a label too many", b(8), l(0, 0, 0), 1, 2, 2, 10, ErrCount},
		{"label out of range", b(4), l(3), 1, 2, 2, 3, ErrLabel},
		{"no width", b(4), l(0), 1, 2, 0, 10, ErrSize},
		{"size overflows", b(4), l(0), math.MaxInt, math.MaxInt, 2, 10, ErrSize},
		{"size overflows to 0", b(4), l(0), 1 << 31, 1 << 31, 4, 10, ErrSize},
		{"size overflows to 0, wide", b(4), l(0), 1 << 32, 1, 1 << 32, 10, ErrSize},
		{"a label below 0", b(4), l(-1), 1, 2, 2, 3, ErrLabel},
		{"a label above all", b(4), l(MaxClasses), 1, 2, 2, 0, ErrLabel},
		{"fewer than no classes", b(4), l(0), 1, 2, 2, -1, ErrArgument},
		{"too many classes", b(4), l(0), 1, 2, 2, MaxClasses + 1, ErrArgument},
	} {
		if s, err := NewSet("x", test.images, test.labels, test.c, test.h, test.w,
			test.k); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, %v; want %q", test.name, s, err, test.want)
		}
	}
}

// The largest label and the most classes that are possible are taken; messages say the
// range that was left.
func TestTheLimitsOfASet(t *testing.T) {
	for _, test := range []struct{ label, classes, want int }{
		{MaxClasses - 1, 0, MaxClasses}, {MaxClasses - 1, MaxClasses, MaxClasses}, {2, 3, 3}, {0, 1, 1},
		{0, 0, 1},
	} {
		s, err := NewSet("x", make([]uint8, 1), []int32{int32(test.label)}, 1, 1, 1, test.classes)
		if err != nil {
			t.Errorf("label %d of %d classes: %v", test.label, test.classes, err)
		} else if s.Classes != test.want {
			t.Errorf("label %d of %d classes: %d, want %d", test.label, test.classes, s.Classes, test.want)
		}
	}
	for label, want := range map[int32][]byte{255: {255}, 256: {0, 1, 0, 0}} {
		s, err := NewSet("x", make([]uint8, 1), []int32{label}, 1, 1, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.LabelBytes(); !bytes.Equal(got, want) {
			t.Errorf("label %d as bytes: %v, want %v", label, got, want)
		}
	}
	s := numbered(t, 9)
	for _, n := range []int{1, 8} {
		if training, validation, err := s.Split(n, 1); err != nil || validation.Len() != n ||
			training.Len() != 9-n {
			t.Errorf("Split(%d): %v", n, err)
		}
	}
	_, _, split := s.Split(9, 1)
	_, index := s.Subset([]int{9})
	_, count := NewSet("x", make([]uint8, 8), []int32{0}, 1, 2, 2, 0)
	for want, err := range map[string]error{"9 out of 9 images; 1 to 8 are possible": split,
		"9 of 0…8": index, ": 2 images, 1 labels": count} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestSubset(t *testing.T) {
	s := numbered(t, 9)
	sub, err := s.Subset([]int{7, 2, 7})
	if err != nil {
		t.Fatal(err)
	}
	for k, i := range []int{7, 2, 7} {
		if !bytes.Equal(sub.Image(k), s.Image(i)) || sub.Label(k) != s.Label(i) {
			t.Errorf("image %d of the subset is not image %d of the set", k, i)
		}
	}
	for _, bad := range [][]int{{-1}, {0, 9}} {
		if _, err := s.Subset(bad); !errors.Is(err, ErrIndex) {
			t.Errorf("Subset(%v): %v, want %q", bad, err, ErrIndex)
		}
	}
	if _, err := s.Subset(nil); !errors.Is(err, ErrEmpty) {
		t.Errorf("Subset of nothing: %v, want %q", err, ErrEmpty)
	}
}

func TestSplitIsDisjointCompleteAndDeterministic(t *testing.T) {
	s := numbered(t, 200)
	ids := func(s *Set) []int {
		var out []int
		for i := range s.Len() {
			out = append(out, int(s.Image(i)[0]))
		}
		return out
	}
	training, validation, err := s.SplitFraction(0.1, 42)
	if err != nil {
		t.Fatal(err)
	}
	if training.Len() != 180 || validation.Len() != 20 {
		t.Errorf("split into %d and %d, want 180 and 20", training.Len(), validation.Len())
	}
	all := append(ids(training), ids(validation)...)
	slices.Sort(all)
	if !slices.Equal(all, ids(s)) {
		t.Error("the two parts are not the set")
	}
	_, again, err := s.Split(20, 42)
	if err != nil || !slices.Equal(ids(again), ids(validation)) {
		t.Errorf("the same seed drew other images (%v)", err)
	}
	_, other, err := s.Split(20, 43)
	if err != nil || slices.Equal(ids(other), ids(validation)) {
		t.Errorf("another seed drew the same images (%v)", err)
	}
	for _, n := range []int{-1, 0, 200} {
		if _, _, err := s.Split(n, 1); !errors.Is(err, ErrArgument) {
			t.Errorf("Split(%d): %v, want %q", n, err, ErrArgument)
		}
	}
	for _, f := range []float64{0, 1, -0.5, math.NaN(), math.Inf(1), 0.001} {
		if _, _, err := s.SplitFraction(f, 1); !errors.Is(err, ErrArgument) {
			t.Errorf("SplitFraction(%g): %v, want %q", f, err, ErrArgument)
		}
	}
}

func TestStats(t *testing.T) {
	// The mean, 15, is itself a value, and one value is there twice.
	s, err := NewSet("x", []uint8{0, 15, 15, 30}, []int32{2, 2}, 1, 1, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	got := s.Stats()
	if got.Min != 0 || got.Max != 30 || got.Mean != 15 ||
		!(math.Abs(got.Std-math.Sqrt(112.5)) <= 1e-12) || !slices.Equal(got.Counts, []int{0, 0, 2}) {
		t.Errorf("Stats = %+v", got)
	}
}

func TestBatchesDealEachImageOnce(t *testing.T) {
	for _, test := range []struct{ n, size, steps int }{
		{10, 3, 4}, {9, 3, 3}, {1, 5, 1}, {5, 1, 5}, {7, math.MaxInt, 1},
	} {
		s := numbered(t, test.n)
		shuffled, err := NewBatches(s.Len(), test.size, 1)
		if err != nil {
			t.Fatal(err)
		}
		sequential, err := Sequential(s.Len(), test.size)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range []*Batches{shuffled, sequential} {
			var dealt []int
			steps := 0
			for step, indices := range b.Epoch(3, 0) {
				if step != steps {
					t.Errorf("step %d came as number %d", step, steps)
				}
				steps++
				if want := min(test.size, test.n-len(dealt)); len(indices) != want {
					t.Errorf("n %d, size %d, step %d: %d images, want %d", test.n, test.size, step, len(indices),
						want)
				}
				dealt = append(dealt, indices...)
			}
			if steps != test.steps || b.Steps() != test.steps {
				t.Errorf("n %d, size %d: %d steps, Steps() %d, want %d", test.n, test.size, steps, b.Steps(),
					test.steps)
			}
			if b == sequential && !slices.IsSorted(dealt) {
				t.Errorf("Sequential dealt %v", dealt)
			}
			slices.Sort(dealt)
			if !slices.Equal(dealt, sequential.Order(0)) {
				t.Errorf("n %d, size %d: dealt %v", test.n, test.size, dealt)
			}
		}
	}
	for _, size := range []int{0, -3} {
		if _, err := NewBatches(3, size, 1); !errors.Is(err, ErrArgument) {
			t.Errorf("batch size %d: %v, want %q", size, err, ErrArgument)
		}
	}
}

func TestOrderDependsOnSeedAndEpochAlone(t *testing.T) {
	s := numbered(t, 50)
	a, err := NewBatches(s.Len(), 8, 7)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBatches(s.Len(), 8, 7)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewBatches(s.Len(), 8, 8)
	if err != nil {
		t.Fatal(err)
	}
	b.Order(2) // asking for one epoch must not move another
	if !slices.Equal(a.Order(1), b.Order(1)) {
		t.Error("the same seed and epoch gave two orders")
	}
	if slices.Equal(a.Order(1), a.Order(2)) || slices.Equal(a.Order(1), other.Order(1)) {
		t.Error("two epochs, or two seeds, have the same order")
	}
	var whole, resumed [][]int
	for _, indices := range a.Epoch(1, 0) {
		whole = append(whole, indices)
	}
	for step, indices := range b.Epoch(1, 4) {
		if step < 4 {
			t.Errorf("step %d after a resume at 4", step)
		}
		resumed = append(resumed, indices)
	}
	if !slices.EqualFunc(whole[4:], resumed, slices.Equal) {
		t.Errorf("resumed at step 4: %v, want %v", resumed, whole[4:])
	}
	for range a.Epoch(1, a.Steps()) {
		t.Error("an epoch that is over yields a batch")
	}
	// A checkpoint of one release resumes in the next only while this holds.
	if got, want := a.Order(0)[:8], []int{2, 14, 9, 34, 38, 19, 15, 10}; !slices.Equal(got, want) {
		t.Errorf("seed 7, epoch 0 begins %v, want %v", got, want)
	}
}

// TestPermutationIsUniform counts all 24 orders of 4 (chi-squared, 23 degrees
// of freedom: 49.7 is passed by chance once in 1,000 seeds; this one is fixed).
func TestPermutationIsUniform(t *testing.T) {
	const draws = 24_000
	counts := make(map[[4]int]int)
	source := newSource("test", 1, 0)
	for range draws {
		counts[[4]int(permutation(4, source))]++
	}
	var chi2 float64
	for _, n := range counts {
		d := float64(n) - draws/24
		chi2 += d * d / (draws / 24)
	}
	if len(counts) != 24 || chi2 > 49.7 {
		t.Errorf("%d orders, chi-squared %.1f", len(counts), chi2)
	}
}

func TestFill(t *testing.T) {
	s, err := NewSet("x", []uint8{0, 51, 255, 102}, []int32{1, 0}, 1, 1, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	standard, err := StandardPixels(0.2, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		pixels Pixels
		name   string
		want   []float32
	}{
		{Pixels{}, "x", []float32{255, 102, 0, 51}},
		{UnitPixels(), "x/255", []float32{1, 102. / 255, 0, 51. / 255}},
		{standard, "(x/255-0.2)/0.5", []float32{1.6, 0.4, -0.4, 0}},
	} {
		dst, labels := []float32{9, 9, 9, 9, 9}, []int32{9, 9, 9}
		if err := s.Fill(dst, labels, []int{1, 0}, test.pixels); err != nil {
			t.Fatal(err)
		}
		for i, want := range test.want {
			if math.Abs(float64(dst[i]-want)) > 1e-7 {
				t.Errorf("%s: %v, want %v", test.pixels, dst, test.want)
			}
		}
		if !slices.Equal(labels, []int32{0, 1, 9}) || dst[4] != 9 {
			t.Errorf("%s: labels %v, rest of the buffer %v", test.pixels, labels, dst[4:])
		}
		if got := test.pixels.String(); got != test.name {
			t.Errorf("String() = %q, want %q", got, test.name)
		}
	}
	if err := s.Fill(make([]float32, 2), nil, []int{0}, Pixels{}); err != nil {
		t.Errorf("without labels: %v", err)
	}
	for _, test := range []struct {
		name    string
		dst     []float32
		labels  []int32
		indices []int
		want    error
	}{
		{"short images", make([]float32, 3), make([]int32, 2), []int{0, 1}, ErrSize},
		{"short labels", make([]float32, 4), make([]int32, 1), []int{0, 1}, ErrSize},
		{"index", make([]float32, 4), make([]int32, 2), []int{0, 2}, ErrIndex},
		{"negative index", make([]float32, 4), make([]int32, 2), []int{-1}, ErrIndex},
	} {
		if err := s.Fill(test.dst, test.labels, test.indices, Pixels{}); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if slices.Max(test.dst) != 0 {
			t.Errorf("%s: the buffer was written: %v", test.name, test.dst)
		}
	}
	for _, p := range [][2]float64{{0, 0}, {0, -1}, {math.NaN(), 1}, {0, math.Inf(1)}, {0, math.NaN()},
		{1, 1e-40}} {
		if _, err := StandardPixels(p[0], p[1]); !errors.Is(err, ErrArgument) {
			t.Errorf("StandardPixels(%g, %g): %v, want %q", p[0], p[1], err, ErrArgument)
		}
	}
}

func TestFillDoesNotAllocate(t *testing.T) {
	s := numbered(t, 32)
	dst, labels := make([]float32, 32*s.ImageSize()), make([]int32, 32)
	b, err := Sequential(s.Len(), 32)
	if err != nil {
		t.Fatal(err)
	}
	indices := b.Order(0)
	for _, pixels := range []Pixels{{}, UnitPixels()} {
		if n := testing.AllocsPerRun(10, func() {
			if err := s.Fill(dst, labels, indices, pixels); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%s: %g allocations", pixels, n)
		}
	}
}

func TestContactSheet(t *testing.T) {
	for _, channels := range []int{1, 3} {
		// One black and one white image, so that each corner is known.
		images := append(make([]uint8, channels*16), bytes.Repeat([]uint8{255}, channels*16)...)
		s, err := NewSet("x", images, []int32{0, 1}, channels, 4, 4, 2)
		if err != nil {
			t.Fatal(err)
		}
		sheet, err := ContactSheet(s, []int{0, 1, 0}, 2)
		if err != nil {
			t.Fatal(err)
		}
		// 4×4 pixels are enlarged to 56×56, in cells of 60×73 and a margin of 4.
		if size := sheet.Bounds().Size(); size.X != 124 || size.Y != 150 {
			t.Errorf("the sheet is %v, want 124×150", size)
		}
		for _, pixel := range []struct {
			x, y int
			want uint8
		}{{4, 4, 0}, {59, 59, 0}, {60, 4, 255}, {64, 4, 255}, {119, 59, 255}, {4, 77, 0}, {64, 77, 255}} {
			if got := color.GrayModel.Convert(sheet.At(pixel.x, pixel.y)).(color.Gray).Y; got != pixel.want {
				t.Errorf("%d channels: pixel (%d, %d) is %d, want %d", channels, pixel.x, pixel.y, got,
					pixel.want)
			}
		}
		red := 0
		for y := 60; y < 73; y++ {
			for x := 4; x < 60; x++ {
				if r, g, _, _ := sheet.At(x, y).RGBA(); r > g {
					red++
				}
			}
		}
		if red < 10 {
			t.Errorf("%d red pixels under the first image, want a label", red)
		}
	}
	s := numbered(t, 3) // of 2 channels
	if _, err := ContactSheet(s, []int{0}, 1); !errors.Is(err, ErrArgument) {
		t.Errorf("2 channels: %v, want %q", err, ErrArgument)
	}
	grey, err := NewSet("x", make([]uint8, 8), make([]int32, 2), 1, 2, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		indices []int
		columns int
		want    error
	}{
		{nil, 1, ErrEmpty}, {[]int{2}, 1, ErrIndex}, {[]int{0}, 0, ErrArgument},
		{make([]int, 1<<20), 1000, ErrArgument},
	} {
		if _, err := ContactSheet(grey, test.indices, test.columns); !errors.Is(err, test.want) {
			t.Errorf("%d images in %d columns: %v, want %q", len(test.indices), test.columns, err, test.want)
		}
	}
}

func BenchmarkFill(b *testing.B) {
	s, err := NewSet("x", make([]uint8, 784*64), make([]int32, 64), 1, 28, 28, 10)
	if err != nil {
		b.Fatal(err)
	}
	dst, labels, indices := make([]float32, 32*784), make([]int32, 32), make([]int, 32)
	for _, pixels := range []Pixels{{}, UnitPixels()} {
		b.Run(pixels.String(), func(b *testing.B) {
			for b.Loop() {
				if err := s.Fill(dst, labels, indices, pixels); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
