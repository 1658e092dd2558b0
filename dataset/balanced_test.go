package dataset

import (
	"errors"
	"math"
	"slices"
	"testing"
)

// Each class that has images comes as often as another, and each of its images as often as another,
// within five deviations.
func TestBalancedBatches(t *testing.T) {
	const n = 20_000
	labels := make([]int32, n)
	for i := range 100 {
		labels[i*7] = 3 // 100 of them, and none of classes 1 and 2
	}
	b, err := NewBalancedBatches(labels, 64, 5)
	if err != nil {
		t.Fatal(err)
	}
	order := b.Order(0)
	if len(order) != n || b.Steps() != 313 {
		t.Fatalf("%d indices in %d steps", len(order), b.Steps())
	}
	rare, times := 0, make(map[int]int)
	for _, i := range order {
		if labels[i] == 3 {
			rare++
			times[i]++
		}
	}
	if math.Abs(float64(rare)-n/2) > 5*math.Sqrt(n/4) {
		t.Errorf("%d of %d images are of the rare class, want a half", rare, n)
	}
	for i := range 100 {
		if got := float64(times[i*7]); math.Abs(got-100) > 5*math.Sqrt(100) {
			t.Errorf("image %d of the rare class came %v times, want 100", i*7, got)
		}
	}
}

func TestBalancedBatchesAreOfSeedAndEpoch(t *testing.T) {
	labels := []int32{0, 0, 0, 0, 0, 0, 0, 1, 1, 1}
	first, err := NewBalancedBatches(labels, 4, 7)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := NewBalancedBatches(labels, 4, 7)
	other, _ := NewBalancedBatches(labels, 4, 8)
	if !slices.Equal(first.Order(2), again.Order(2)) {
		t.Error("the same seed and epoch give two orders")
	}
	if slices.Equal(first.Order(2), first.Order(3)) || slices.Equal(first.Order(2), other.Order(2)) {
		t.Error("two epochs or two seeds give one order")
	}
	var rest []int
	for _, indices := range first.Epoch(2, 1) {
		rest = append(rest, indices...)
	}
	if !slices.Equal(rest, first.Order(2)[4:]) {
		t.Errorf("from step 1 on an epoch is %v of %v", rest, first.Order(2))
	}
	if _, err := NewBalancedBatches(nil, 4, 7); !errors.Is(err, ErrEmpty) {
		t.Errorf("no labels: error %v", err)
	}
	if _, err := NewBalancedBatches(labels, 0, 7); !errors.Is(err, ErrArgument) {
		t.Errorf("no size: error %v", err)
	}
}
