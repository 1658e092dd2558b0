package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"slipway/internal/reference"
)

var sizes = []int{1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 1000, span - 1, span + 9,
	3*span + 5}

func special(r *rand.Rand, n int) []float32 {
	v := random(r, n)
	for i, s := range []float32{float32(math.NaN()), float32(math.Inf(1)), 0,
		float32(math.Copysign(0, -1)), 1e-41, float32(math.Inf(-1))} {
		if at := i * 5; at < n {
			v[at] = s
		}
	}
	return v
}

func TestElementwise(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		e, err := NewElementwise(engine)
		must(t, err)
		for _, n := range sizes {
			r := rand.New(rand.NewPCG(uint64(n), 1))
			x, y, z, want := special(r, n), random(r, n), make([]float32, n), make([]float32, n)
			must(t, e.ReLU(z, x))
			near(t, "ReLU", z, reference.ReLUForward(x), 0)
			must(t, e.ReLUGradient(z, y, x))
			near(t, "ReLU gradient", z, reference.ReLUBackward(y, x), 0)
			must(t, e.Multiply(z, x, y))
			for i := range want {
				want[i] = x[i] * y[i]
			}
			near(t, "product", z, want, 0)
			copy(z, y)
			must(t, e.Penalty(z, x, 0.25, 0.5))
			for i, v := range x {
				want[i] = y[i] + 0.5*v
				if v < 0 {
					want[i] -= 0.25
				} else if v > 0 {
					want[i] += 0.25
				}
			}
			near(t, "penalty", z, want, 1)
			copy(z, y)
			must(t, e.AddScaled(z, x, -3))
			for i, v := range x {
				want[i] = y[i] - 3*v
			}
			near(t, "scaled sum", z, want, 1)
			copy(z, y)
			must(t, e.Lerp(z, x, 0.25))
			for i, v := range x {
				want[i] = y[i] + 0.25*(v-y[i])
			}
			near(t, "linear interpolation", z, want, 1)
			must(t, e.Lerp(z, x, 1))
			near(t, "interpolation to the end", z, x, 0)
			must(t, e.AddClamped(z, x, y, 0, 1))
			for i, v := range x {
				want[i] = v + y[i]
				if want[i] < 0 {
					want[i] = 0
				} else if want[i] > 1 {
					want[i] = 1
				}
			}
			near(t, "clamped sum", z, want, 0)
			must(t, e.AddClamped(z, x, y, nan32, nan32))
			for i, v := range x {
				want[i] = v + y[i]
			}
			near(t, "sum", z, want, 0)
			raw := make([]uint8, n)
			for i := range raw {
				raw[i] = uint8(r.IntN(256))
				want[i] = float32(raw[i])*0.5 - 1
			}
			must(t, e.Bytes(z, raw, 0.5, -1))
			near(t, "bytes", z, want, 0)

			absolute, squares := e.Sums(y)
			var a, s float64
			for _, v := range y {
				a += math.Abs(float64(v))
				s += float64(v) * float64(v)
			}
			if math.Abs(absolute-a) > 1e-6*a || math.Abs(squares-s) > 1e-6*s {
				t.Errorf("%d elements: sums %g, %g, want %g, %g", n, absolute, squares, a, s)
			}
			if n > 10 {
				if absolute, squares := e.Sums(x); !math.IsNaN(absolute) || !math.IsNaN(squares) {
					t.Errorf("sums of NaN are %g, %g", absolute, squares)
				}
			}
		}
		if err := e.ReLU(make([]float32, 2), make([]float32, 3)); err == nil {
			t.Error("tensors of two lengths are no error")
		}
	})
}

// TestOptimisers runs three steps of each optimiser beside its formula in float64.
func TestOptimisers(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		e, err := NewElementwise(engine)
		must(t, err)
		for _, n := range sizes {
			r := rand.New(rand.NewPCG(uint64(n), 4))
			start := random(r, n)
			gradients := [][]float32{random(r, n), random(r, n), random(r, n)}
			check := func(name string, step func(p, g, s1, s2, s3 []float32, t int),
				formula func(p, g, s1, s2, s3 float64, t int) (float64, float64, float64, float64)) {
				p, s := append([]float32(nil), start...), [3][]float32{make([]float32, n), make([]float32, n),
					make([]float32, n)}
				for i := 1; i <= 3; i++ {
					step(p, gradients[i-1], s[0], s[1], s[2], i)
				}
				want := make([]float32, n)
				for k := range want {
					w, s1, s2, s3 := float64(start[k]), 0.0, 0.0, 0.0
					for i := 1; i <= 3; i++ {
						w, s1, s2, s3 = formula(w, float64(gradients[i-1][k]), s1, s2, s3, i)
					}
					want[k] = float32(w)
				}
				near(t, name, p, want, 3)
			}
			for _, c := range []AdamConfig{
				{1e-2, 0.9, 0.999, 1e-8, 0, false, 0}, {1e-2, 0.8, 0.99, 1e-6, 0.1, false, 0},
				{1e-2, 0.9, 0.999, 1e-8, 0.1, true, 0},
			} {
				check("Adam", func(p, g, m, v, _ []float32, step int) {
					c.Step = step
					must(t, e.Adam(p, g, m, v, c))
				}, func(p, g, m, v, _ float64, step int) (float64, float64, float64, float64) {
					if c.Decoupled {
						p *= 1 - c.LearningRate*c.WeightDecay
					} else {
						g += c.WeightDecay * p
					}
					m, v = c.Beta1*m+(1-c.Beta1)*g, c.Beta2*v+(1-c.Beta2)*g*g
					mean, square := m/(1-math.Pow(c.Beta1, float64(step))), v/(1-math.Pow(c.Beta2, float64(step)))
					return p - c.LearningRate*mean/(math.Sqrt(square)+c.Epsilon), m, v, 0
				})
			}
			for _, c := range []LionConfig{{1e-2, 0.9, 0.99, 0}, {0.1, 0.8, 0.95, 0.3}} {
				check("Lion", func(p, g, m, _, _ []float32, _ int) {
					must(t, e.Lion(p, g, m, c))
				}, func(p, g, m, _, _ float64, _ int) (float64, float64, float64, float64) {
					p -= c.LearningRate * c.WeightDecay * p
					if u := c.Beta1*m + (1-c.Beta1)*g; u != 0 {
						p -= math.Copysign(c.LearningRate, u)
					}
					return p, c.Beta2*m + (1-c.Beta2)*g, 0, 0
				})
			}
			for _, c := range []SGDConfig{
				{0.1, 0, 0, 0, false, false}, {0.1, 0.9, 0, 0.1, false, false},
				{0.1, 0.9, 0.2, 0, false, false}, {0.1, 0.9, 0, 0.1, true, false},
			} {
				check("SGD", func(p, g, b, _, _ []float32, step int) {
					c.First = step == 1
					must(t, e.SGD(p, g, b, c))
				}, func(p, g, b, _, _ float64, step int) (float64, float64, float64, float64) {
					g += c.WeightDecay * p
					if c.Momentum != 0 {
						b = c.Momentum*b + (1-c.Dampening)*g
						if step == 1 {
							b = g
						}
						if c.Nesterov {
							g += c.Momentum * b
						} else {
							g = b
						}
					}
					return p - c.LearningRate*g, b, 0, 0
				})
			}
			for _, c := range []RMSPropConfig{
				{0.01, 0.99, 1e-8, 0, 0, false}, {0.01, 0.9, 1e-3, 0.1, 0.9, false},
				{0.01, 0.9, 1e-2, 0, 0.5, true},
			} {
				check("RMSProp", func(p, g, s, m, b []float32, _ int) {
					must(t, e.RMSProp(p, g, s, m, b, c))
				}, func(p, g, s, m, b float64, _ int) (float64, float64, float64, float64) {
					g += c.WeightDecay * p
					s = c.Alpha*s + (1-c.Alpha)*g*g
					square := s
					if c.Centered {
						m += (g - m) * (1 - c.Alpha)
						square -= m * m
					}
					g /= math.Sqrt(square) + c.Epsilon
					b = c.Momentum*b + g
					return p - c.LearningRate*b, s, m, b
				})
			}
		}
	})
}

// The sign of the smallest number is 1, that of 0 is 0: what has no gradient stays where it is.
func TestLionTakesTheSignOfEverything(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		e, err := NewElementwise(engine)
		must(t, err)
		smallest, largest := float32(math.SmallestNonzeroFloat32), float32(math.MaxFloat32)
		values := []float32{0, smallest, -smallest, largest / 4, -largest / 4, 1, -1,
			float32(math.Copysign(0, -1))}
		var g, want []float32
		for len(g) < 3*64+5 { // some vectors of any kernel set, and a rest
			for _, v := range values {
				sign := float32(0)
				if v != 0 {
					sign = float32(math.Copysign(1, float64(v)))
				}
				g, want = append(g, v), append(want, 2-sign/8)
			}
		}
		p, m := make([]float32, len(g)), make([]float32, len(g))
		for i := range p {
			p[i] = 2
		}
		must(t, e.Lion(p, g, m, LionConfig{LearningRate: 1. / 8, Beta1: 0, Beta2: 0.5}))
		near(t, "Lion", p, want, 0)
		g[3], g[len(g)-1] = float32(math.NaN()), float32(math.NaN())
		must(t, e.Lion(p, g, m, LionConfig{LearningRate: 1. / 8, Beta1: 0.9, Beta2: 0.5}))
		for i, v := range p {
			if bad := i == 3 || i == len(g)-1; bad != math.IsNaN(float64(v)) {
				t.Errorf("element %d is %g, its gradient %g", i, v, g[i])
			}
		}
	})
}

func filled(n int, value float32) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = value
	}
	return x
}

// vanished are numbers whose means shrink without an end: below 2⁻¹²⁶, rounding keeps them.
func vanished(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = math.SmallestNonzeroFloat32 * float32(1+i%4)
	}
	return x
}

// The means of what has no gradient any more become 0, and do not stay where a core takes hundreds
// of cycles to compute with them. What they move meanwhile is no number's last bit.
func TestMeansVanish(t *testing.T) {
	const n = 3*64 + 5
	update := map[string]func(e *Elementwise, p, g, mean, square []float32) error{
		"Adam": func(e *Elementwise, p, g, mean, square []float32) error {
			return e.Adam(p, g, mean, square, AdamConfig{LearningRate: 0.1, Beta1: 0.9, Beta2: 0.999,
				Epsilon: 1e-8, Step: 9})
		},
		"SGD": func(e *Elementwise, p, g, mean, _ []float32) error {
			return e.SGD(p, g, mean, SGDConfig{LearningRate: 0.1, Momentum: 0.9})
		},
		"RMSProp": func(e *Elementwise, p, g, mean, square []float32) error {
			return e.RMSProp(p, g, square, make([]float32, n), mean, RMSPropConfig{LearningRate: 0.1,
				Alpha: 0.99, Epsilon: 1e-8, Momentum: 0.9, Centered: true})
		},
	}
	eachEngine(t, func(t *testing.T, engine Engine) {
		e, err := NewElementwise(engine)
		must(t, err)
		for name, update := range update {
			p, g, mean, square := filled(n, 1), make([]float32, n), vanished(n), vanished(n)
			g[n-1] = 1
			for step := range 2 {
				must(t, update(e, p, g, mean, square))
				for i := range n - 1 {
					if p[i] != 1 || mean[i] != 0 || name != "SGD" && square[i] != 0 {
						t.Fatalf("%s, step %d, element %d: %g, of means %g and %g", name, step, i, p[i], mean[i],
							square[i])
					}
				}
			}
			if p[n-1] >= 1 || mean[n-1] == 0 {
				t.Errorf("%s: %g, of the mean %g, where there is a gradient", name, p[n-1], mean[n-1])
			}
		}
	})
}

// BenchmarkAdam is a step of as many parameters as E1 has, whose gradients are numbers, or have been
// 0 for long.
func BenchmarkAdam(b *testing.B) {
	const n = 184_586
	for _, gradient := range []float32{1, 0} {
		b.Run(fmt.Sprintf("gradient=%g", gradient), func(b *testing.B) {
			engine, err := NewEngine("", 1)
			if err != nil {
				b.Fatal(err)
			}
			defer engine.Pool.Close()
			e, err := NewElementwise(engine)
			if err != nil {
				b.Fatal(err)
			}
			p, g, mean, square := filled(n, 1), filled(n, gradient), vanished(n), vanished(n)
			for step := 1; b.Loop(); step++ {
				if err := e.Adam(p, g, mean, square, AdamConfig{LearningRate: 1e-3, Beta1: 0.9, Beta2: 0.999,
					Epsilon: 1e-8, Step: step}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestElementwiseAllocatesNothing(t *testing.T) {
	e, err := NewElementwise(newEngine(t, "", 2))
	must(t, err)
	x, y, m, v := make([]float32, 2*span), make([]float32, 2*span), make([]float32,
		2*span), make([]float32, 2*span)
	if n := testing.AllocsPerRun(5, func() {
		must(t, e.ReLU(y, x))
		must(t, e.Adam(x, y, m, v, AdamConfig{Step: 1}))
		must(t, e.SGD(x, y, m, SGDConfig{Momentum: 1}))
		must(t, e.Lion(x, y, m, LionConfig{}))
		must(t, e.RMSProp(x, y, v, m, m, RMSPropConfig{Momentum: 1, Centered: true}))
		e.Sums(x)
	}); n != 0 {
		t.Errorf("operations allocate %g times", n)
	}
}

func TestCrossEntropy(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, size := range [][2]int{{1, 1}, {32, 10}, {200, 3}, {5, 1000}} {
			batch, classes := size[0], size[1]
			r := rand.New(rand.NewPCG(1, 5))
			z, labels, dz := random(r, batch*classes), make([]int32, batch), make([]float32, batch*classes)
			for i := range labels {
				labels[i] = int32(r.IntN(classes))
			}
			z[0] += 500
			c, err := NewCrossEntropy(engine, batch, classes)
			must(t, err)
			loss, err := c.Forward(z, labels)
			must(t, err)
			near(t, "loss", []float32{loss},
				[]float32{reference.CrossEntropyForward(batch, classes, z, labels)}, 1)
			must(t, c.Backward(dz, 1.5))
			near(t, "gradient", dz, reference.CrossEntropyBackward(batch, classes, 1.5, z, labels), 1)
			must(t, c.Probabilities(dz))
			near(t, "softmax", dz, reference.SoftmaxForward(batch, classes, z), 1)
			labels[0] = int32(classes)
			if _, err := c.Forward(z, labels); err == nil {
				t.Error("a label out of range is no error")
			}
		}
	})
}

// Weights and gradients below 2⁻¹²⁶ are 0, too, wherever in a tensor they lie: a tensor's last
// elements, which are less than a vector, and those of any kernel set have the same bits.
func TestSubnormalWeightsAndGradients(t *testing.T) {
	const n = 3*64 + 5
	tiny := float32(math.SmallestNonzeroFloat32)
	eachEngine(t, func(t *testing.T, engine Engine) {
		e, err := NewElementwise(engine)
		must(t, err)
		for name, update := range map[string]func(p, g, mean, square []float32) error{
			"Adam": func(p, g, mean, square []float32) error {
				return e.Adam(p, g, mean, square, AdamConfig{LearningRate: 1e-3, Beta1: 0.9, Beta2: 0.999,
					Epsilon: 1e-37, Step: 1})
			},
			"AdamW": func(p, g, mean, square []float32) error {
				return e.Adam(p, g, mean, square, AdamConfig{LearningRate: 1e-3, Beta1: 0.9, Beta2: 0.999,
					Epsilon: 1e-37, Step: 1, WeightDecay: 0.1, Decoupled: true})
			},
			"SGD": func(p, g, _, _ []float32) error {
				return e.SGD(p, g, nil, SGDConfig{LearningRate: 1e10, WeightDecay: 0.1})
			},
			"SGD with momentum": func(p, g, mean, _ []float32) error {
				return e.SGD(p, g, mean, SGDConfig{LearningRate: 1e10, Momentum: 0.9, Nesterov: true})
			},
			"RMSProp": func(p, g, _, square []float32) error {
				return e.RMSProp(p, g, square, nil, nil, RMSPropConfig{LearningRate: 1e-3, Alpha: 0.99,
					Epsilon: 1e-37})
			},
		} {
			for _, weight := range []float32{0, 1e5 * tiny, -1e5 * tiny} {
				p, g := filled(n, weight), filled(n, 1e5*tiny)
				must(t, update(p, g, make([]float32, n), make([]float32, n)))
				for i, w := range p {
					if w != 0 {
						t.Fatalf("%s: weight %g becomes %g as element %d of %d, want 0", name, weight, w, i, n)
					}
				}
			}
		}
	})
}
