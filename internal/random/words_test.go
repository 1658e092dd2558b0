package random_test

import (
	"fmt"
	"math"
	"testing"

	"slipway/internal/random"
	"slipway/scripts/golden/goldentest"
)

// So many numbers lie below each of SciPy's quantiles as should, within five deviations.
func TestBetaHasItsQuantiles(t *testing.T) {
	const n = 20_000
	for _, c := range goldentest.Read(t, "testdata/beta.safetensors").Cases {
		t.Run(c.Name, func(t *testing.T) {
			words := random.NewWords(random.Key(1, "beta"), 0)
			values := make([]float32, n)
			for i := range values {
				value := words.Beta(c.Beta[0], c.Beta[1])
				if !(value >= 0 && value <= 1) {
					t.Fatalf("value %d is %v", i, value)
				}
				values[i] = float32(value)
			}
			quantiles := c.Floats(t, "x")
			for k, q := range c.Floats(t, "q") {
				below := 0
				for _, value := range values {
					if value <= quantiles[k] {
						below++
					}
				}
				share, q := float64(below)/n, float64(q)
				if math.Abs(share-q) > 5*math.Sqrt(q*(1-q)/n) {
					t.Errorf("%v of the numbers are below the quantile of %v", share, q)
				}
			}
		})
	}
}

// A parameter so small that X and Y are 0 in a float64 still gives numbers.
func TestBetaOfSmallParameters(t *testing.T) {
	words := random.NewWords(random.Key(1, "beta"), 0)
	ends := 0
	for range 1000 {
		value := words.Beta(1e-4, 1e-4)
		if math.IsNaN(value) {
			t.Fatal("not a number")
		}
		if value < 0.001 || value > 0.999 {
			ends++
		}
	}
	if ends < 990 {
		t.Errorf("%d of 1000 numbers are at an end; Beta(0.0001, 0.0001) has hardly any others", ends)
	}
}

func TestNormalHasItsMoments(t *testing.T) {
	const n = 100_000
	words := random.NewWords(random.Key(1, "normal"), 0)
	sum, squares, fourth := 0.0, 0.0, 0.0
	for range n {
		x := words.Normal()
		sum, squares, fourth = sum+x, squares+x*x, fourth+x*x*x*x
	}
	for _, moment := range []struct {
		name            string
		got, want, five float64
	}{
		{"mean", sum / n, 0, 5 / math.Sqrt(n)},
		{"variance", squares / n, 1, 5 * math.Sqrt(2/float64(n))},
		{"fourth moment", fourth / n, 3, 5 * math.Sqrt(96/float64(n))},
	} {
		if math.Abs(moment.got-moment.want) > moment.five {
			t.Errorf("the %s is %v, want %v", moment.name, moment.got, moment.want)
		}
	}
}

// Words are a function of the key and the place, block after block of Philox.
func TestWordsDependOnKeyAndPlace(t *testing.T) {
	words := random.NewWords(3, 1<<40+5)
	for block := range uint32(3) {
		for i, want := range random.Philox(3, [4]uint32{5, 1 << 8, block, 0}) {
			if got := words.Uint32(); got != want {
				t.Errorf("word %d of block %d is %#x, want %#x", i, block, got, want)
			}
		}
	}
	for n := 1; n < 5; n++ {
		seen := make(map[int]bool)
		for range 200 {
			seen[words.Below(n)] = true
		}
		if len(seen) != n || seen[n] {
			t.Errorf("below %d: %v", n, fmt.Sprint(seen))
		}
	}
}
