package goldentest

import (
	"math"
	"testing"
)

// recorder takes the errors of a comparison that should fail.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }

func TestCompare(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, test := range []struct {
		name      string
		got, want []float32
		tolerance Tolerance
		failed    bool
	}{
		{"equal", []float32{1, 0, nan, inf, -inf}, []float32{1, 0, nan, inf, -inf}, Tolerance{}, false},
		{"other length", []float32{1}, []float32{1, 2}, Tolerance{1, 1}, true},
		{"within the relative tolerance", []float32{101}, []float32{100}, Tolerance{Relative: 0.02},
			false},
		{"outside the relative tolerance", []float32{103}, []float32{100}, Tolerance{Relative: 0.02},
			true},
		{"relative to the value, not to the largest", []float32{100, 1.5}, []float32{100, 1},
			Tolerance{Relative: 0.1}, true},
		{"within a share of the largest", []float32{100, 1.5}, []float32{100, 1},
			Tolerance{OfLargest: 0.01}, false},
		{"NaN for a number", []float32{nan}, []float32{1}, Tolerance{1, 1}, true},
		{"a number for NaN", []float32{1}, []float32{nan}, Tolerance{1, 1}, true},
		{"infinity for a number", []float32{inf}, []float32{1}, Tolerance{1, 1}, true},
		{"a number for infinity", []float32{math.MaxFloat32}, []float32{inf}, Tolerance{1, 1}, true},
		{"the other infinity", []float32{-inf}, []float32{inf}, Tolerance{1, 1}, true},
	} {
		r := &recorder{TB: t}
		Compare(r, test.name, test.got, test.want, test.tolerance)
		if r.failed != test.failed {
			t.Errorf("%s: failed is %v, want %v", test.name, r.failed, test.failed)
		}
	}
}
