package hugepages_test

import (
	"testing"

	"slipway/internal/hugepages"
)

func TestFloatsAreZerosOfTheirOwn(t *testing.T) {
	for _, n := range []int{0, 1, 1 << 10, 2<<20 - 1, 2 << 20, 5<<20 + 3} {
		values, others := hugepages.Floats(n), hugepages.Floats(n)
		if len(values) != n || cap(values) < n {
			t.Fatalf("%d asked for, %d are there", n, len(values))
		}
		for i, value := range values {
			if value != 0 {
				t.Fatalf("of %d, element %d is %v", n, i, value)
			}
			values[i] = 1
		}
		for i, value := range others {
			if value != 0 {
				t.Fatalf("of %d, element %d was written with another's", n, i)
			}
		}
	}
}
