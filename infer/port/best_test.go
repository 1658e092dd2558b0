package port

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestBest(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, test := range []struct {
		scores []float32
		n      int
		want   []int
	}{
		{[]float32{18, 20}, 1, []int{1}},
		{[]float32{18, 20}, 2, []int{1, 0}},
		{[]float32{-120, -110}, 2, []int{1, 0}}, // both sigmoids are 0
		{[]float32{1, 2, 2, 1}, 9, []int{1, 2, 0, 3}},
		{[]float32{nan, 1, nan, -inf, inf}, 5, []int{4, 1, 3, 0, 2}},
		{[]float32{nan, 1}, 1, []int{1}},
		{[]float32{1, 2}, 0, nil},
		{[]float32{1, 2}, -1, nil},
		{nil, 3, nil},
	} {
		if got := Best(nil, test.scores, test.n); !slices.Equal(got, test.want) {
			t.Errorf("the best %d of %v are %v, want %v", test.n, test.scores, got, test.want)
		}
	}
}

// Few are found otherwise than many, and are the first of them.
func TestBestOfMany(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 2))
	var order []int
	for range 200 {
		scores := make([]float32, 1+source.IntN(40))
		for i := range scores {
			if scores[i] = float32(source.IntN(12)); scores[i] == 0 {
				scores[i] = float32(math.NaN())
			}
		}
		want := make([]int, len(scores))
		for i := range want {
			want[i] = i
		}
		slices.SortStableFunc(want, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
		for n := range len(scores) + 1 {
			order = Best(order, scores, n)
			if !slices.Equal(order, want[:n]) {
				t.Fatalf("the best %d of %v are %v, want %v", n, scores, order, want[:n])
			}
		}
	}
	scores := make([]float32, 1000)
	order = Best(order, scores, 1)
	for _, n := range []int{1, 5, 500} {
		if count := testing.AllocsPerRun(10, func() { order = Best(order, scores, n) }); count > 0 {
			t.Errorf("%v allocations for the best %d", count, n)
		}
	}
}
