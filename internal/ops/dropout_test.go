package ops_test

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
	"slipway/scripts/golden/goldentest"
)

func drawn(masks *ops.Masks, step uint64, count int, p float64) []float32 {
	masks.SetStep(step, 0)
	factors := make([]float32, count)
	masks.Fill(factors, 1, p)
	return factors
}

func TestMasksDependOnSeedLayerAndStepAlone(t *testing.T) {
	first := drawn(ops.NewMasks(1, "dropout"), 5, 1000, 0.5)
	masks := ops.NewMasks(1, "dropout")
	drawn(masks, 4, 10, 0.5)
	if !slices.Equal(drawn(masks, 5, 1000, 0.5), first) {
		t.Error("the same seed, layer and step gave another mask")
	}
	if !slices.Equal(drawn(masks, 5, 7, 0.5), first[:7]) {
		t.Error("a shorter mask is not the longer one's beginning")
	}
	for name, other := range map[string][]float32{
		"seed":  drawn(ops.NewMasks(2, "dropout"), 5, 1000, 0.5),
		"layer": drawn(ops.NewMasks(1, "dropout2"), 5, 1000, 0.5),
		"step":  drawn(masks, 6, 1000, 0.5), "step over 2³²": drawn(masks, 5+1<<32, 1000, 0.5),
	} {
		if slices.Equal(other, first) {
			t.Errorf("another %s gave the same mask", name)
		}
	}
}

// The share of dropped values is binomial; five standard deviations are allowed.
func TestMasksDropWithTheirProbability(t *testing.T) {
	const count = 1 << 18
	for _, p := range []float64{0, 0.001, 0.2, 0.5, 0.9, 0.999} {
		dropped := 0
		for _, factor := range drawn(ops.NewMasks(9, "dropout"), 0, count, p) {
			switch factor {
			case 0:
				dropped++
			case float32(1 / (1 - p)):
			default:
				t.Fatalf("p = %v: a factor is %v, neither 0 nor %v", p, factor, 1/(1-p))
			}
		}
		if share, bound := float64(dropped)/count, 5*math.Sqrt(p*(1-p)/count); math.Abs(share-p) > bound {
			t.Errorf("p = %v: a share of %v was dropped, further off than %v", p, share, bound)
		}
	}
}

func TestDropoutOfBothLayoutsDropsTheSameValues(t *testing.T) {
	const batch, channels, height, width = 2, 3, 4, 5
	ones := make([]float32, batch*channels*height*width)
	fill(ones, 1, 0)
	run := func(layout ops.Layout, shape ...int) []float32 {
		tr := newTrial(t, func(in gorgonia.Nodes) (*gorgonia.Node, error) {
			return ops.Dropout(in[0], 0.5, ops.NewMasks(1, "dropout"), layout)
		}, array{shape, ones})
		y, _ := tr.run(t)
		return y
	}
	first := run(ops.ChannelsFirst, batch, channels, height, width)
	last := run(ops.ChannelsLast, batch, height, width, channels)
	for n := range batch {
		for c := range channels {
			for position := range height * width {
				a, b := first[(n*channels+c)*height*width+position], last[(n*height*width+position)*channels+c]
				if a != b {
					t.Fatalf("image %d, channel %d, position %d: factor %v channels first, %v channels last", n, c,
						position, a, b)
				}
			}
		}
	}
}

// Gorgonia merges nodes whose operators have equal hashes. Two dropouts of one
// input, alike but for their masks, must stay two.
func TestTwoDropoutsOfOneInputStayTwo(t *testing.T) {
	const p = 0.5
	x := array{[]int{1, 64}, make([]float32, 64)}
	fill(x.values, 1, 0)
	tr := newTrial(t, func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		a, err := ops.Dropout(in[0], p, ops.NewMasks(1, "a"), ops.ChannelsFirst)
		if err != nil {
			return nil, err
		}
		b, err := ops.Dropout(in[0], p, ops.NewMasks(1, "b"), ops.ChannelsFirst)
		if err != nil {
			return nil, err
		}
		return gorgonia.Add(a, b)
	}, x)
	fill(tr.dy, 1, 0)
	want := drawn(ops.NewMasks(1, "a"), 0, 64, p)
	for i, factor := range drawn(ops.NewMasks(1, "b"), 0, 64, p) {
		want[i] += factor
	}
	for range 3 {
		y, gradients := tr.run(t)
		goldentest.Compare(t, "sum of both", y, want, exact)
		goldentest.Compare(t, "gradient", gradients[0], want, exact)
	}
}

// A graph that takes a part of a batch draws that part of the batch's mask, whether or not the
// images before it fill whole words.
func TestMasksOfPartsAreThoseOfTheBatch(t *testing.T) {
	const step, p = 5, 0.5
	for _, features := range []int{1, 3, 8, 10} {
		masks := ops.NewMasks(7, "dropout1")
		whole := make([]float32, 9*features)
		masks.SetStep(step, 0)
		masks.Fill(whole, 9, p)
		var joined []float32
		for _, part := range [][2]int{{0, 4}, {4, 2}, {6, 3}} {
			factors := make([]float32, part[1]*features)
			masks.SetStep(step, part[0])
			masks.Fill(factors, part[1], p)
			joined = append(joined, factors...)
		}
		if !slices.Equal(joined, whole) {
			t.Errorf("%d features: parts %v, whole %v", features, joined, whole)
		}
	}
}
