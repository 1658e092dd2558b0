package infer

import (
	"math"
	"reflect"
	"slices"
	"testing"
)

func TestHistogram(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	a := Logits{N: 2, K: 4, Values: []float32{0, 16, 1, 2, 3, 4, nan, inf}}
	// The range is 16; the differences are 2^-9, 2^-4 and 1 of it… and two are not finite.
	b := Logits{N: 2, K: 4, Values: []float32{0, 16, 1.03125, 3, 19, 4, 5, -inf}}
	h, err := NewHistogram(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if h.Equal != 3 || h.NotFinite != 2 {
		t.Errorf("%+v", h)
	}
	var counts []int
	for i, bucket := range h.Buckets {
		counts = append(counts, bucket.Count)
		if ratio := bucket.To / bucket.From; math.Abs(ratio-math.Sqrt(10)) > 1e-9 || i > 0 &&
			bucket.From != h.Buckets[i-1].To {
			t.Errorf("bucket %d: %+v", i, bucket)
		}
	}
	// 0.00195 lies in 10^-3…, 0.0625 in 10^-1.5…, 1 in 10^0….
	if !slices.Equal(counts, []int{1, 0, 0, 1, 0, 0, 1}) || math.Abs(h.Buckets[0].From-1e-3) > 1e-12 {
		t.Errorf("%+v", h.Buckets)
	}
	h, err = NewHistogram(a, a)
	if err != nil || h.Equal != 7 || h.NotFinite != 1 || h.Buckets != nil {
		t.Errorf("with itself: %+v, %v", h, err)
	}
	// A constant reference has no range: what differs from it does so without bound.
	flat := Logits{N: 1, K: 2, Values: []float32{1, 1}}
	h, err = NewHistogram(flat, Logits{N: 1, K: 2, Values: []float32{1, 1.5}})
	if err != nil || len(h.Buckets) != 1 || h.Buckets[0].From != 1e6 {
		t.Errorf("flat: %+v, %v", h, err)
	}
}

func TestChangedLabelsAndWorstImages(t *testing.T) {
	nan := float32(math.NaN())
	a := Logits{N: 4, K: 2, Values: []float32{1, 2, 5, 1, 3, 3.25, 0, 1}}
	b := Logits{N: 4, K: 2, Values: []float32{1, 2, 1, 3, 3.25, 3, nan, 1}}
	changes, err := ChangedLabels(a, b)
	if err != nil || len(changes) != 3 {
		t.Fatalf("%+v, %v", changes, err)
	}
	if c := changes[0]; c.Image != 3 || c.A != 1 || c.B != -1 || c.MarginA != 1 ||
		!math.IsNaN(c.MarginB) {
		t.Errorf("without an answer: %+v", c)
	}
	want := []LabelChange{{1, 0, 1, 4, 2}, {2, 1, 0, 0.25, 0.25}}
	if !reflect.DeepEqual(changes[1:], want) {
		t.Errorf("%+v, want %+v", changes[1:], want)
	}
	worst, err := WorstImages(a, b, 3)
	if err != nil || !slices.Equal(worst, []int{3, 1, 2}) {
		t.Errorf("worst images %v, %v", worst, err)
	}
	for _, other := range []Logits{{N: 3, K: 2, Values: make([]float32, 6)},
		{N: 4, K: 2, Values: nil}} {
		_, first := NewHistogram(a, other)
		_, second := ChangedLabels(a, other)
		_, third := WorstImages(a, other, 1)
		if first == nil || second == nil || third == nil {
			t.Errorf("%d×%d with %d values is compared", other.N, other.K, len(other.Values))
		}
	}
}
