package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// activationCase is a function of this package, and the same in float64 by its definition.
type activationCase struct {
	name         string
	function     Function
	value, slope func(x float64) float64
}

func activationCases() []activationCase {
	logistic := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	clip := func(x, low, high float64) float64 { return math.Min(math.Max(x, low), high) }
	inside := func(x, low, high float64) float64 {
		if x > low && x < high {
			return 1
		}
		return 0
	}
	leak := func(slope float64) func(x float64) float64 {
		return func(x float64) float64 {
			if x > 0 {
				return 1
			}
			return slope
		}
	}
	leaky := func(slope float64) activationCase {
		factor := leak(float64(float32(slope)))
		return activationCase{fmt.Sprintf("LeakyReLU(%v)", slope), LeakyReLU(float32(slope)),
			func(x float64) float64 { return x * factor(x) }, factor}
	}
	normal := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	u := func(x float64) float64 { return math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x) }
	return []activationCase{
		leaky(0.01), leaky(-0.5),
		{"ReLU6", ReLU6(), func(x float64) float64 { return clip(x, 0, 6) }, func(x float64) float64 {
			return inside(x, 0, 6)
		}},
		{"HardSigmoid", HardSigmoid(), func(x float64) float64 { return clip(x/6+0.5, 0, 1) },
			func(x float64) float64 { return inside(x, -3, 3) / 6 }},
		{"HardSwish", HardSwish(), func(x float64) float64 { return x * clip(x/6+0.5, 0, 1) },
			func(x float64) float64 { return inside(x, -3, 3)*(x/3+0.5) + inside(x, 3, math.Inf(1)) }},
		{"ELU", ELU(0.7), func(x float64) float64 {
			return math.Max(x, 0) + 0.7*math.Expm1(math.Min(x, 0))
		},
			func(x float64) float64 {
				return math.Min(0.7*math.Exp(math.Min(x, 0))+inside(x, 0, math.Inf(1)), 1)
			}},
		{"Sigmoid", Sigmoid(), logistic, func(x float64) float64 { return logistic(x) * logistic(-x) }},
		{"Tanh", Tanh(), math.Tanh, func(x float64) float64 { return 1 - math.Tanh(x)*math.Tanh(x) }},
		{"SiLU", SiLU(), func(x float64) float64 { return x * logistic(x) },
			func(x float64) float64 { return logistic(x) + x*logistic(x)*logistic(-x) }},
		{"Exponential", Exponential(), math.Exp, math.Exp},
		{"Softplus", Softplus(), func(x float64) float64 {
			return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x)))
		}, logistic},
		{"GELU", GELU(), func(x float64) float64 { return x * normal(x) },
			func(x float64) float64 { return normal(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi) }},
		{"GELUTanh", GELUTanh(), func(x float64) float64 { return x * (1 + math.Tanh(u(x))) / 2 },
			func(x float64) float64 {
				t := math.Tanh(u(x))
				return (1+t)/2 + x*(1-t*t)/2*math.Sqrt(2/math.Pi)*(1+3*0.044715*x*x)
			}},
	}
}

// Each function is its definition to a float32's rounding or two, whatever the length and the
// number of threads.
func TestActivations(t *testing.T) {
	for _, c := range activationCases() {
		t.Run(c.name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, engine Engine) {
				plan, err := NewActivation(engine, c.function)
				must(t, err)
				for _, n := range sizes {
					r := rand.New(rand.NewPCG(uint64(n), 2))
					x, dy := random(r, n), random(r, n)
					for i := range x {
						x[i] *= 4
					}
					y, dx := make([]float32, n), make([]float32, n)
					must(t, plan.Forward(y, x))
					from := x
					if c.function.FromOutput {
						from = y
					}
					must(t, plan.Backward(dx, dy, from))
					for i, v := range x {
						want := c.value(float64(v))
						if difference := math.Abs(float64(y[i]) - want); difference > 2e-7*math.Abs(want)+1e-9 {
							t.Fatalf("f(%v) is %v, want %v", v, y[i], want)
						}
						// Where it is made of the output, the gradient has that one's rounding, too.
						want = float64(dy[i]) * c.slope(float64(v))
						tolerance := 3e-7*math.Abs(want) + 2e-7*math.Abs(float64(dy[i]))
						if difference := math.Abs(float64(dx[i]) - want); difference > tolerance {
							t.Fatalf("the gradient at %v is %v, want %v", v, dx[i], want)
						}
					}
				}
			})
		})
	}
}

// NaN stays NaN, and is no reason to end.
func TestActivationsOfNaN(t *testing.T) {
	nan := []float32{float32(math.NaN())}
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, c := range activationCases() {
			y := make([]float32, 1)
			if engine.Apply(c.function, y, nan); y[0] == y[0] {
				t.Errorf("%s of NaN is %v", c.name, y[0])
			}
			dx := make([]float32, 1)
			if engine.ApplyGradient(c.function, dx, nan, []float32{1}); dx[0] == dx[0] &&
				c.slopeAtOne() != 0 {
				t.Errorf("the gradient of %s of NaN is %v", c.name, dx[0])
			}
		}
	})
}

// slopeAtOne is the slope that a gradient has where what it is made of is 1.
func (c activationCase) slopeAtOne() float64 {
	dx := make([]float32, 1)
	c.function.Backward(dx, []float32{1}, []float32{1})
	return float64(dx[0])
}

// All float32, one in so many, and the largest: each set's vectors are as near to the definition as
// a float32's rounding leaves it, and nothing is infinite or NaN that is not so by its definition.
func TestActivationsOverAllNumbers(t *testing.T) {
	var x []float32
	stride := uint32(9973)
	if testing.Short() {
		stride = 199_999
	}
	for bits := uint32(0); bits < math.Float32bits(float32(math.Inf(1))); bits += stride {
		v := math.Float32frombits(bits)
		x = append(x, v, -v)
	}
	infinite := float32(math.Inf(1))
	x = append(x, math.MaxFloat32, -math.MaxFloat32, infinite, -infinite)
	y := make([]float32, len(x))
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, c := range activationCases() {
			engine.Apply(c.function, y, x)
			worst, at := 0.0, float32(0)
			for i, v := range x {
				want := c.value(float64(v))
				if math.IsNaN(want) {
					continue // -∞·0
				}
				if math.Abs(want) > math.MaxFloat32 {
					if !math.IsInf(float64(y[i]), int(math.Copysign(1, want))) {
						t.Errorf("%s(%v) is %v, want %v", c.name, v, y[i], want)
					}
					continue
				}
				difference := math.Abs(float64(y[i]) - want)
				if !(difference <= 2e-7*math.Abs(want)+1e-9) {
					t.Fatalf("%s(%v) is %v, want %v", c.name, v, y[i], want)
				}
				if relative := difference / math.Abs(want); math.Abs(want) > 1e-6 && relative > worst {
					worst, at = relative, v
				}
			}
			t.Logf("%s: at most %.2g of the value, at %v", c.name, worst, at)
		}
	})
}

// A result does not depend on its place, on how many there are, or on whether y is x.
func TestActivationsInPlaceAndInParts(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 2))
	x, dy := random(r, 67), random(r, 67)
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, c := range activationCases() {
			f := c.function
			y, dx := make([]float32, len(x)), make([]float32, len(x))
			engine.Apply(f, y, x)
			engine.ApplyGradient(f, dx, dy, x)
			for first := 0; first < len(x); first += 5 {
				last := min(first+5, len(x))
				part, slope := slices.Clone(x[first:last]), make([]float32, last-first)
				engine.ApplyGradient(f, slope, dy[first:last], part)
				engine.Apply(f, part, part)
				if !slices.Equal(part, y[first:last]) || !slices.Equal(slope, dx[first:last]) {
					t.Fatalf("%s from %d: %v and %v, want %v and %v", c.name, first, part, slope,
						y[first:last], dx[first:last])
				}
			}
		}
	})
}

func TestActivationsAllocateNothing(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector a sync.Pool drops a quarter of what is put back, at random")
	}
	x, y := make([]float32, 67), make([]float32, 67)
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, c := range activationCases() {
			f := c.function
			if n := fewestAllocations(func() {
				engine.Apply(f, y, x)
				engine.ApplyGradient(f, y, x, x)
			}); n > 0 {
				t.Errorf("%s: %v allocations", c.name, n)
			}
		}
	})
}

func TestActivationRefusesOtherLengths(t *testing.T) {
	plan, err := NewActivation(newEngine(t, "portable", 1), SiLU())
	must(t, err)
	if plan.Forward(make([]float32, 3), make([]float32, 2)) == nil {
		t.Error("x of another length is accepted")
	}
	if plan.Backward(make([]float32, 3), make([]float32, 3), make([]float32, 2)) == nil {
		t.Error("an activation of another length is accepted")
	}
}

// The distribution function is exact to a float32's rounding over all that a float32 can hold.
func TestNormal(t *testing.T) {
	for x := float32(-13.0); x < 13; x += 0.000317 {
		share, density := normal(x)
		if want := math.Erfc(-float64(x)/math.Sqrt2) / 2; math.Abs(share-want) > 2e-9*want {
			t.Fatalf("the share below %v is %v, want %v", x, share, want)
		}
		if want := math.Exp(-float64(x) * float64(x) / 2); math.Abs(density-want) > 1e-14*want {
			t.Fatalf("the density at %v is %v, want %v", x, density, want)
		}
	}
	for x, want := range map[float32]float32{-1e30: 0, 1e30: 1, -40: 0, 40: 1} {
		if share, _ := normal(x); float32(share) != want {
			t.Errorf("the share below %v is %v, want %v", x, share, want)
		}
	}
}

func BenchmarkActivation(b *testing.B) {
	const n = 64 << 10
	r := rand.New(rand.NewPCG(1, 2))
	x, dy, y, dx := random(r, n), random(r, n), make([]float32, n), make([]float32, n)
	engine := newEngine(b, "", 1)
	for _, c := range activationCases() {
		f := c.function
		b.Run(c.name+"/forward", func(b *testing.B) {
			b.SetBytes(n)
			for b.Loop() {
				engine.Apply(f, y, x)
			}
		})
		b.Run(c.name+"/backward", func(b *testing.B) {
			b.SetBytes(n)
			for b.Loop() {
				engine.ApplyGradient(f, dx, dy, x)
			}
		})
	}
}
