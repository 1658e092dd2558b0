package port

import (
	"sync/atomic"
	"testing"
)

// What scores a tensor of a shape can be.
func TestFormsOfScores(t *testing.T) {
	for _, test := range []struct {
		shape []int
		want  scoreForm
	}{
		{nil, noScores},
		{[]int{Unknown}, oneScore},
		{[]int{Unknown, 1}, oneScore},
		{[]int{Unknown, 10}, manyScores},
		{[]int{Unknown, Unknown}, manyScores},
		{[]int{Unknown, 10, 1, 1}, manyScores},
		{[]int{Unknown, 10, Unknown}, manyScores},
		{[]int{Unknown, 10, 2}, noScores},
		{[]int{Unknown, 10, 1, 3}, noScores},
	} {
		if got := formOf(test.shape); got != test.want {
			t.Errorf("%v: %v, want %v", test.shape, got, test.want)
		}
	}
}

// An output's values are scores N×K, one for each image, or those of the only image.
func TestValuesAsScores(t *testing.T) {
	for _, test := range []struct {
		values int
		shape  []int
		n      int
		k      int // 0 where they are none
	}{
		{4, []int{4}, 4, 2},
		{4, []int{4, 1}, 4, 2},
		{1, nil, 1, 2},
		{1, []int{1}, 1, 2},
		{3, []int{3}, 1, 3},
		{4, []int{2, 2}, 2, 2},
		{6, []int{2, 3, 1}, 2, 3},
		{4, []int{2, 2}, 4, 0},
		{6, []int{3, 2}, 2, 0},
		{6, []int{6}, 2, 0},
		{6, []int{2, 2}, 2, 0},
		{2, []int{1, 2, 1}, 2, 0},
	} {
		p := ScorePort{Output: "y", readSingle: new(atomic.Bool)}
		got, err := p.Logits(make([]float32, test.values), test.shape, test.n)
		if (err == nil) != (test.k > 0) || err == nil &&
			(got.N != test.n || got.K != test.k || len(got.Values) != test.n*test.k) {
			t.Errorf("%d values of shape %v for %d images: %d×%d, %v; want K %d", test.values, test.shape,
				test.n, got.N, got.K, err, test.k)
		}
	}
}
