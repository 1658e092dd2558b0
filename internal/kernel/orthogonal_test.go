package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// orthogonalReference is Orthogonal's formula in float64.
func orthogonalReference(x []float32, rows, columns int) []float64 {
	norm := 0.0
	for _, v := range x {
		norm += float64(v) * float64(v)
	}
	norm = max(math.Sqrt(norm), 1e-7)
	z := make([]float64, len(x))
	for i, v := range x {
		z[i] = float64(v) / norm
	}
	product := func(a, b []float64, m, k, n int) []float64 {
		c := make([]float64, m*n)
		for i := range m {
			for l := range k {
				for j := range n {
					c[i*n+j] += a[i*k+l] * b[l*n+j]
				}
			}
		}
		return c
	}
	turn := func(a []float64, m, n int) []float64 {
		b := make([]float64, len(a))
		for i := range a {
			b[i%n*m+i/n] = a[i]
		}
		return b
	}
	for range 5 {
		gram := product(z, turn(z, rows, columns), rows, columns, rows)
		update := product(gram, gram, rows, rows, rows)
		for i := range update {
			update[i] = -4.775*gram[i] + 2.0315*update[i]
		}
		next := product(update, z, rows, rows, columns)
		for i := range next {
			next[i] += 3.4445 * z[i]
		}
		z = next
	}
	return z
}

func TestOrthogonal(t *testing.T) {
	sizes := [][2]int{{1, 1}, {1, 7}, {9, 1}, {3, 5}, {16, 27}, {27, 16}, {32, 9}, {64, 64}, {24, 288},
		{100, 33}}
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, size := range sizes {
			rows, columns := size[0], size[1]
			o, err := NewOrthogonal(engine, rows, columns)
			must(t, err)
			r := rand.New(rand.NewPCG(uint64(rows), uint64(columns)))
			for _, scale := range []float32{1, 1e-12, 1e12} { // the first of them twice: a plan forgets the last matrix
				x := random(r, rows*columns)
				for i := range x {
					x[i] *= scale
				}
				want := orthogonalReference(x, rows, columns)
				must(t, o.Run(x))
				for i, v := range x {
					// A step takes a small singular value, and its rounding, to 3.4 times as much: five of them to
					// 485.
					if difference := math.Abs(float64(v) - want[i]); !(difference < 485*3e-7) {
						t.Fatalf("%d×%d, scale %g: element %d is %g, want %g", rows, columns, scale, i, v, want[i])
					}
				}
			}
			x := make([]float32, rows*columns)
			must(t, o.Run(x))
			if slices.ContainsFunc(x, func(v float32) bool { return v != 0 }) {
				t.Errorf("%d×%d: zeros do not stay", rows, columns)
			}
			if o.Run(make([]float32, rows*columns+1)) == nil {
				t.Errorf("%d×%d: a matrix of another size is no error", rows, columns)
			}
		}
	})
	if _, err := NewOrthogonal(newEngine(t, "", 1), 0, 3); err == nil {
		t.Error("a matrix without rows is no error")
	}
}

// The rows of what comes out are orthogonal, about: each of length 1, none in the direction of
// another.
func TestOrthogonalRowsAreOrthogonal(t *testing.T) {
	const rows, columns = 8, 400
	o, err := NewOrthogonal(newEngine(t, "", 2), rows, columns)
	must(t, err)
	x := random(rand.New(rand.NewPCG(1, 2)), rows*columns)
	must(t, o.Run(x))
	for i := range rows {
		for j := range rows {
			product := 0.0
			for c := range columns {
				product += float64(x[i*columns+c]) * float64(x[j*columns+c])
			}
			if low, high := 0.6*0.6, 1.2*1.2; i == j && !(product > low && product < high) {
				t.Errorf("row %d has the squared length %g", i, product)
			} else if i != j && math.Abs(product) > 0.3 {
				t.Errorf("rows %d and %d have the product %g", i, j, product)
			}
		}
	}
}

func TestOrthogonalHasTheSameBitsOnAnyThreads(t *testing.T) {
	const rows, columns = 96, 600
	x := random(rand.New(rand.NewPCG(3, 4)), rows*columns)
	var want []float32
	for _, threads := range []int{1, 2, 3, 7} {
		o, err := NewOrthogonal(newEngine(t, "", threads), rows, columns)
		must(t, err)
		got := slices.Clone(x)
		must(t, o.Run(got))
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d threads give other bits", threads)
		}
	}
}
