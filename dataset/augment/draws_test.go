package augment

import (
	"math"
	"slices"
	"testing"
)

// The limits of this file are passed by chance once in a thousand draws of the seed; the seeds are
// fixed.

// uniform fails unless the numbers are from a uniform distribution over from…to, by Kolmogorov's
// and Smirnov's distance.
func uniform(t *testing.T, what string, numbers []float64, from, to float64) {
	t.Helper()
	slices.Sort(numbers)
	n, distance := float64(len(numbers)), 0.
	for i, v := range numbers {
		distance = max(distance, math.Abs((v-from)/(to-from)-(float64(i)+0.5)/n))
	}
	if limit := 1.95 / math.Sqrt(n); !(distance <= limit) {
		t.Errorf("%s is %v away from uniform over %v…%v, want at most %v", what, distance, from, to,
			limit)
	}
}

// asLikely fails unless n things happened about as often as each other, by χ² with its 99.9 % point
// after Wilson and Hilferty.
func asLikely[K comparable](t *testing.T, what string, counts map[K]int, n int) {
	t.Helper()
	total, chi := 0, 0.
	for _, count := range counts {
		total += count
	}
	expected := float64(total) / float64(n)
	for _, count := range counts {
		d := float64(count) - expected
		chi += d * d / expected
	}
	freedom := float64(n - 1)
	limit := freedom * math.Pow(1-2/(9*freedom)+3.09*math.Sqrt(2/(9*freedom)), 3)
	if len(counts) != n || chi > limit {
		t.Errorf("%s: %d different ones, χ² = %.1f, want %d and at most %.1f", what, len(counts),
			chi, n, limit)
	}
}

// share fails unless so many of n draws are within 3.29 standard errors of the probability.
func share(t *testing.T, what string, count, n int, probability float64) {
	t.Helper()
	got, limit := float64(count)/float64(n), 3.29*math.Sqrt(probability*(1-probability)/float64(n))
	if math.Abs(got-probability) > limit {
		t.Errorf("%s: %.4f of %d, want %.4f ± %.4f", what, got, n, probability, limit)
	}
}

// changed counts how often an image of noise becomes another.
func changed(t *testing.T, o Operation, s Shape, n int) int {
	t.Helper()
	a, image, count := augmenter(t, List{o}, 11, s), noise(s, 1), 0
	for index := range n {
		if !slices.Equal(applied(t, a, image, index%3, index), image) {
			count++
		}
	}
	return count
}

func TestProbabilities(t *testing.T) {
	const n = 20000
	small := Shape{3, 3, 4}
	for _, p := range []float64{0.1, 0.5, 0.9} {
		share(t, "flips", changed(t, Flip{p}, small, n), n, p)
		share(t, "vertical flips", changed(t, VerticalFlip{p}, small, n), n, p)
		share(t, "grey images", changed(t, Grayscale{p}, small, n), n, p)
		share(t, "erased images", changed(t, RandomErasing{p, Range{0.1, 0.2}, Range{0.9, 1.1}},
			Shape{1, 12, 12}, n), n, p)
	}
	share(t, "images flipped always", changed(t, Flip{1}, small, n), n, 1)
}

// Flips at two places, of two epochs and of neighbouring images know nothing of each other.
func TestFlipsAreIndependent(t *testing.T) {
	s := Shape{1, 1, 2}
	a := augmenter(t, List{Flip{}}, 1, s)
	image := []uint8{0, 1}
	flipped := func(epoch, index int) int { return int(applied(t, a, image, epoch, index)[0]) }
	counts := map[[3]int]int{}
	for index := range 8000 {
		counts[[3]int{flipped(0, 2*index), flipped(1, 2*index), flipped(0, 2*index+1)}]++
	}
	asLikely(t, "flips in two epochs and of two images", counts, 8)
}

func TestShiftsAndCropsAreUniform(t *testing.T) {
	s := Shape{1, 5, 5}
	image := make([]uint8, 25)
	image[12] = 1
	for _, o := range []Operation{Shift{2}, Crop{2, Constant}, Crop{2, Edge}} {
		counts := map[int]int{}
		a := augmenter(t, List{o, Flip{1e-12}}, 3, s) // not the old record's words
		for index := range 25000 {
			counts[slices.Index(applied(t, a, image, 1, index), 1)]++
		}
		asLikely(t, o.String(), counts, 25)
	}
}

func TestAnglesAreUniform(t *testing.T) {
	var angles []float64
	for index := range 20000 {
		angles = append(angles, 2*newDraws(placeKey(1, 0, "rotation"), 1, index).block(0).unit(2)-1)
	}
	uniform(t, "the angle", angles, -1, 1)
}

// The share of a crop's area and the logarithm of its proportion are uniform, where the picture is
// so large that no try fails but for the area, and its place is uniform in what is left.
func TestResizedCropsHaveTheirDistribution(t *testing.T) {
	o := RandomResizedCrop{Range{0.1, 0.4}, Range{0.5, 2}, "bilinear"}
	const height, width = 3000, 2500
	var areas, ratios, tops, lefts []float64
	for index := range 20000 {
		p := o.part(newDraws(placeKey(1, 0, o.Name()), 1, index), height, width)
		areas = append(areas, float64(p.Height)*float64(p.Width)/height/width)
		ratios = append(ratios, math.Log(float64(p.Width)/float64(p.Height)))
		tops = append(tops, (float64(p.Top)+0.5)/float64(height-p.Height+1))
		lefts = append(lefts, (float64(p.Left)+0.5)/float64(width-p.Width+1))
	}
	uniform(t, "the area", areas, 0.1, 0.4)
	uniform(t, "the ratio's logarithm", ratios, math.Log(0.5), math.Log(2))
	uniform(t, "the place from above", tops, 0, 1)
	uniform(t, "the place from the left", lefts, 0, 1)
}

// With torchvision's defaults every crop lies within the picture, whatever its size.
func TestResizedCropsOfAllSizes(t *testing.T) {
	crop := withDefaults(&RandomResizedCrop{}).(RandomResizedCrop)
	for _, size := range [][2]int{{1, 1}, {1, 9}, {9, 1}, {2, 3}, {32, 32}, {375, 500}, {5, 4000},
		{4000, 5}, {65536, 1}} {
		height, width := size[0], size[1]
		for index := range 3000 {
			p := crop.part(newDraws(placeKey(2, 0, crop.Name()), 1, index), height, width)
			if p.Height < 1 || p.Width < 1 || p.Top < 0 || p.Left < 0 || p.Top+p.Height > height ||
				p.Left+p.Width > width {
				t.Fatalf("part %+v of %d×%d", p, height, width)
			}
		}
	}
}

// Where no try can succeed the middle is taken, as large as the proportion allows.
func TestResizedCropFallsBackToTheMiddle(t *testing.T) {
	crop := RandomResizedCrop{Range{1, 1}, Range{0.75, 4. / 3}, "bilinear"}
	for _, test := range []struct {
		height, width         int
		top, left, high, wide int
	}{
		{10, 100, 0, 43, 10, 13},
		{100, 10, 43, 0, 13, 10},
		{1, 100, 0, 49, 1, 1},
	} {
		p := crop.part(draws{}, test.height, test.width)
		if p.Top != test.top || p.Left != test.left || p.Height != test.high ||
			p.Width != test.wide {
			t.Errorf("of %d×%d: %+v, want %+v", test.height, test.width, p, test)
		}
	}
}

func TestErasedRectanglesHaveTheirDistribution(t *testing.T) {
	o := RandomErasing{1, Range{0.05, 0.2}, Range{0.5, 2}}
	const height, width = 2500, 3000
	var areas, ratios, tops, lefts []float64
	for index := range 20000 {
		top, left, h, w, ok := o.rectangle(newDraws(placeKey(1, 0, o.Name()), 1, index), height,
			width)
		if !ok {
			t.Fatal("no rectangle in ten tries")
		}
		areas = append(areas, float64(h)*float64(w)/height/width)
		ratios = append(ratios, math.Log(float64(h)/float64(w)))
		tops = append(tops, (float64(top)+0.5)/float64(height-h+1))
		lefts = append(lefts, (float64(left)+0.5)/float64(width-w+1))
	}
	uniform(t, "the area", areas, 0.05, 0.2)
	uniform(t, "the ratio's logarithm", ratios, math.Log(0.5), math.Log(2))
	uniform(t, "the place from above", tops, 0, 1)
	uniform(t, "the place from the left", lefts, 0, 1)
	if _, _, _, _, ok := (RandomErasing{1, Range{1, 1}, Range{1, 1}}).rectangle(draws{}, 9, 9); ok {
		t.Error("the whole image is erased; torchvision leaves it")
	}
}

// The square's centre is any pixel as likely: of 3×3 pixels, a square of one erases each.
func TestCutoutsAreUniform(t *testing.T) {
	s := Shape{1, 3, 3}
	a := augmenter(t, List{Cutout{1}}, 1, s)
	counts := map[int]int{}
	for index := range 9000 {
		counts[slices.Index(applied(t, a, []uint8{9, 9, 9, 9, 9, 9, 9, 9, 9}, 0, index), 0)]++
	}
	asLikely(t, "the square's centre", counts, 9)
}

// The order of jitter's changes is any of 24, as likely.
func TestJitterOrders(t *testing.T) {
	counts := map[[4]int]int{}
	for index := range 24000 {
		d := newDraws(placeKey(1, 0, "color-jitter"), 0, index)
		counts[permutation(d.block(1).below(0, orders))]++
	}
	asLikely(t, "orders", counts, orders)
}

// The factors are uniform; brightness alone, of a grey of 100 and in no other order, shows them.
func TestJitterFactorsAreUniform(t *testing.T) {
	s := Shape{1, 1, 1}
	for _, test := range []struct{ by, from, to float64 }{
		{0.5, 50, 150}, {1, 0, 200}, {1.5, 0, 250},
	} {
		a := augmenter(t, List{ColorJitter{Brightness: test.by}}, 1, s)
		var values []float64
		for index := range 20000 {
			value := float64(applied(t, a, []uint8{100}, 0, index)[0])
			cutOff := newDraws(1, 0, index).block(0).unit(0)
			values = append(values, value+cutOff)
		}
		uniform(t, "brightness", values, test.from, test.to)
	}
}

// RandAugment and TrivialAugment draw each of fourteen changes as often, magnitudes and signs, too.
func TestAutomaticDraws(t *testing.T) {
	trivial, random := map[[3]int]int{}, map[[2]int]int{}
	pairs := map[[2]int]int{}
	for index := range 60000 {
		w := newDraws(placeKey(1, 0, "trivial-augment"), 1, index).block(0)
		trivial[[3]int{w.below(0, int(changes)), w.below(1, 5), w.below(2, 2)}]++
		d := newDraws(placeKey(1, 0, "rand-augment"), 1, index)
		random[[2]int{d.block(0).below(0, int(changes)), d.block(0).below(1, 2)}]++
		pairs[[2]int{d.block(0).below(0, int(changes)), d.block(1).below(0, int(changes))}]++
	}
	asLikely(t, "TrivialAugment's changes", trivial, int(changes)*5*2)
	asLikely(t, "RandAugment's changes", random, int(changes)*2)
	asLikely(t, "RandAugment's pairs", pairs, int(changes)*int(changes))
}

// The counter's words are the index, of 64 bits, the epoch and the block.
func TestDrawsDiffer(t *testing.T) {
	seen := map[words][3]int{}
	for _, epoch := range []int{0, 1, 2} {
		for _, index := range []int{0, 1, 1 << 32, 1<<32 + 1} {
			for block := range uint32(3) {
				w := newDraws(1, epoch, index).block(block)
				if other, ok := seen[w]; ok {
					t.Errorf("epoch %d, index %d, block %d draws as %v", epoch, index, block, other)
				}
				seen[w] = [3]int{epoch, index, int(block)}
			}
		}
	}
	for _, place := range []int{0, 1} {
		for _, name := range []string{"flip", "crop"} {
			for _, seed := range []uint64{0, 1} {
				w := newDraws(placeKey(seed, place, name), 0, 0).block(0)
				if _, ok := seen[w]; ok {
					t.Errorf("seed %d, place %d, %s draw as others", seed, place, name)
				}
				seen[w] = [3]int{}
			}
		}
	}
}
