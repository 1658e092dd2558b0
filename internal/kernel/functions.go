package kernel

import "math"

// Functions of the activation layers. The pieces of straight lines are float32; what has an
// exponential is float64, rounded once, but for gradients made of the output. The sets of vectors
// have loops of their own for most, see function_loops.go.

// LeakyReLU is x where x > 0 and slope·x elsewhere.
func LeakyReLU(slope float32) Function {
	return Function{
		Forward: func(y, x []float32) {
			for i, v := range x[:len(y)] {
				y[i] = v * ifPositive(v, 1, slope)
			}
		},
		Backward: func(dx, dy, from []float32) {
			dy, from = dy[:len(dx)], from[:len(dx)]
			for i, v := range from {
				dx[i] = dy[i] * ifPositive(v, 1, slope)
			}
		},
		FromOutput: slope > 0, // the output has the input's sign
		vectors: vectorLoops{
			func(s *Set, y, x *float32, n int) { s.functions.leakyReLU(y, x, n, slope) },
			func(s *Set, dx, dy, from *float32, n int) {
				s.functions.leakyReLUGradient(dx, dy, from, n, slope)
			},
		},
	}
}

// ifPositive is a where x > 0, and b elsewhere. The words are chosen, not the way, which a CPU
// would have to guess.
func ifPositive(x, a, b float32) float32 {
	bits, positive := math.Float32bits(b), math.Float32bits(a)
	if x > 0 {
		bits = positive
	}
	return math.Float32frombits(bits)
}

// ReLU6 is min(max(x, 0), 6). NaN stays.
func ReLU6() Function {
	return Function{
		Forward: func(y, x []float32) {
			for i, v := range x[:len(y)] {
				y[i] = min(max(v, 0), 6)
			}
		},
		Backward: func(dx, dy, y []float32) {
			dy, y = dy[:len(dx)], y[:len(dx)]
			for i := range dx {
				dx[i] = between(dy[i], y[i], 0, 6)
			}
		},
		FromOutput: true,
		vectors: vectorLoops{
			func(s *Set, y, x *float32, n int) { s.clamp(y, x, n, 1, 0, 0, 6) },
			func(s *Set, dx, dy, y *float32, n int) { s.functions.relu6Gradient(dx, dy, y, n) },
		},
	}
}

// between is x, or 0 where y is low or below, or high or above.
func between(x, y, low, high float32) float32 {
	bits := math.Float32bits(x)
	if y <= low {
		bits = 0
	}
	if y >= high {
		bits = 0
	}
	return math.Float32frombits(bits)
}

// HardSigmoid is min(max(x/6 + 1/2, 0), 1).
func HardSigmoid() Function {
	return Function{
		Forward: func(y, x []float32) {
			for i, v := range x[:len(y)] {
				y[i] = hardGate(v)
			}
		},
		Backward: func(dx, dy, y []float32) {
			dy, y = dy[:len(dx)], y[:len(dx)]
			for i := range dx {
				dx[i] = between(dy[i], y[i], 0, 1) / 6
			}
		},
		FromOutput: true,
		vectors: vectorLoops{
			func(s *Set, y, x *float32, n int) { s.functions.hardSigmoid(y, x, n) },
			func(s *Set, dx, dy, from *float32, n int) { s.functions.hardSigmoidGradient(dx, dy, from, n) },
		},
	}
}

func hardGate(x float32) float32 { return min(max(x+3, 0), 6) / 6 }

// HardSwish is x·min(max(x/6 + 1/2, 0), 1).
func HardSwish() Function {
	one := math.Float32bits(1)
	return Function{
		Forward: func(y, x []float32) {
			for i, v := range x[:len(y)] {
				y[i] = v * hardGate(v)
			}
		},
		Backward: func(dx, dy, x []float32) {
			dy, x = dy[:len(dx)], x[:len(dx)]
			for i, v := range x {
				bits := math.Float32bits(v/3 + 0.5)
				if v <= -3 {
					bits = 0
				}
				if v >= 3 {
					bits = one
				}
				dx[i] = dy[i] * math.Float32frombits(bits)
			}
		},
		vectors: vectorLoops{
			func(s *Set, y, x *float32, n int) { s.functions.hardSwish(y, x, n) },
			func(s *Set, dx, dy, from *float32, n int) { s.functions.hardSwishGradient(dx, dy, from, n) },
		},
	}
}

// ELU is x where x > 0 and alpha·(eˣ − 1) elsewhere, with alpha above 0.
func ELU(alpha float64) Function {
	return Function{
		Forward: func(y, x []float32) {
			for i, v := range x[:len(y)] {
				if !(v > 0) {
					v = float32(alpha * math.Expm1(float64(v)))
				}
				y[i] = v
			}
		},
		Backward: func(dx, dy, y []float32) {
			dy, y = dy[:len(dx)], y[:len(dx)]
			for i, v := range y {
				dx[i] = dy[i] * ifPositive(v, 1, v+float32(alpha))
			}
		},
		FromOutput: true,
		vectors: vectorLoops{
			func(s *Set, y, x *float32, n int) { s.functions.elu(y, x, n, alpha) },
			func(s *Set, dx, dy, y *float32, n int) {
				s.functions.eluGradient(dx, dy, y, n, float32(alpha))
			},
		},
	}
}

// sigmoid is 1/(1 + e⁻ˣ). An exponential beyond what a float64 holds is +∞, and it 0.
//
// It takes a float32, as normal does: where the caller widened it, into the register of the last
// result, each call would wait for the one before, which takes five times as long on amd64.
func sigmoid(x float32) float64 { return 1 / (1 + math.Exp(-float64(x))) }

// Sigmoid is 1/(1 + e⁻ˣ).
func Sigmoid() Function {
	return Function{
		Forward: func(y, x []float32) {
			for i, v := range x[:len(y)] {
				y[i] = float32(sigmoid(v))
			}
		},
		Backward: func(dx, dy, y []float32) {
			dy, y = dy[:len(dx)], y[:len(dx)]
			for i, v := range y {
				dx[i] = dy[i] * v * (1 - v)
			}
		},
		FromOutput: true,
		vectors: vectorLoops{
			func(s *Set, y, x *float32, n int) { s.functions.sigmoid(y, x, n) },
			func(s *Set, dx, dy, from *float32, n int) { s.functions.sigmoidGradient(dx, dy, from, n) },
		},
	}
}

func tanh(x float32) float64 { return math.Tanh(float64(x)) }

// Tanh is the hyperbolic tangent.
func Tanh() Function {
	return Function{
		Forward: func(y, x []float32) {
			for i, v := range x[:len(y)] {
				y[i] = float32(tanh(v))
			}
		},
		Backward: func(dx, dy, y []float32) {
			dy, y = dy[:len(dx)], y[:len(dx)]
			for i, v := range y {
				dx[i] = dy[i] * (1 - v) * (1 + v)
			}
		},
		FromOutput: true,
		vectors: vectorLoops{
			func(s *Set, y, x *float32, n int) { s.functions.tanh(y, x, n) },
			func(s *Set, dx, dy, from *float32, n int) { s.functions.tanhGradient(dx, dy, from, n) },
		},
	}
}

// SiLU is x/(1 + e⁻ˣ).
func SiLU() Function {
	return Function{
		Forward: func(y, x []float32) {
			for i, v := range x[:len(y)] {
				y[i] = float32(float64(v) * sigmoid(v))
			}
		},
		Backward: func(dx, dy, x []float32) {
			dy, x = dy[:len(dx)], x[:len(dx)]
			for i, v := range x {
				s := sigmoid(v)
				dx[i] = float32(float64(dy[i]) * s * (1 + float64(v)*(1-s)))
			}
		},
		vectors: vectorLoops{
			func(s *Set, y, x *float32, n int) { s.functions.silu(y, x, n) },
			func(s *Set, dx, dy, from *float32, n int) { s.functions.siluGradient(dx, dy, from, n) },
		},
	}
}

// Softplus is ln(1 + eˣ).
func Softplus() Function {
	return Function{
		Forward: func(y, x []float32) {
			for i, v := range x[:len(y)] {
				y[i] = float32(math.Max(float64(v), 0) + math.Log1p(math.Exp(-math.Abs(float64(v)))))
			}
		},
		Backward: func(dx, dy, y []float32) {
			dy, y = dy[:len(dx)], y[:len(dx)]
			for i, v := range y {
				// σ(x) = 1 − e^−ln(1 + eˣ)
				dx[i] = float32(float64(dy[i]) * -math.Expm1(-float64(v)))
			}
		},
		FromOutput: true,
	}
}

// GELU is x·Φ(x) with the normal distribution function Φ.
func GELU() Function {
	const factor = 1 / (math.Sqrt2 * math.SqrtPi) // of the density
	return Function{
		Forward: func(y, x []float32) {
			for i, v := range x[:len(y)] {
				share, _ := normal(v)
				y[i] = float32(float64(v) * share)
			}
		},
		Backward: func(dx, dy, x []float32) {
			dy, x = dy[:len(dx)], x[:len(dx)]
			for i, v := range x {
				share, density := normal(v)
				dx[i] = float32(float64(dy[i]) * (share + float64(v)*factor*density))
			}
		},
		vectors: vectorLoops{
			func(s *Set, y, x *float32, n int) { s.functions.gelu(y, x, n) },
			func(s *Set, dx, dy, from *float32, n int) { s.functions.geluGradient(dx, dy, from, n) },
		},
	}
}

// GELUTanh is x·σ(2u), u = √(2/π)·(x + 0.044715·x³), with the logistic function σ: x·(1 +
// tanh(u))/2.
func GELUTanh() Function {
	return Function{
		Forward: func(y, x []float32) {
			for i, v := range x[:len(y)] {
				share, _ := normalTanh(v)
				y[i] = float32(share * float64(v))
			}
		},
		Backward: func(dx, dy, x []float32) {
			dy, x = dy[:len(dx)], x[:len(dx)]
			for i, v := range x {
				share, slope := normalTanh(v)
				dx[i] = float32(float64(dy[i]) * (share + float64(v)*slope))
			}
		},
		vectors: vectorLoops{
			func(s *Set, y, x *float32, n int) { s.functions.geluTanh(y, x, n) },
			func(s *Set, dx, dy, from *float32, n int) { s.functions.geluTanhGradient(dx, dy, from, n) },
		},
	}
}

// normalTanh is σ(2u) and its slope.
func normalTanh(x float32) (share, slope float64) {
	const (
		factor = 2 * math.Sqrt2 / math.SqrtPi // 2·√(2/π)
		cubic  = 0.044715
	)
	w := float64(x)
	square := w * w
	share = 1 / (1 + math.Exp(-factor*w*(1+cubic*square)))
	return share, share * (1 - share) * factor * (1 + 3*cubic*square)
}

// Exponential is eˣ.
func Exponential() Function {
	return Function{
		Forward: func(y, x []float32) {
			for i, v := range x[:len(y)] {
				y[i] = float32(math.Exp(float64(v)))
			}
		},
		Backward: func(dx, dy, y []float32) {
			dy, y = dy[:len(dx)], y[:len(dx)]
			for i := range dx {
				dx[i] = dy[i] * y[i]
			}
		},
		FromOutput: true,
		vectors: vectorLoops{
			func(s *Set, y, x *float32, n int) { s.functions.exponential(y, x, n) },
			func(s *Set, dx, dy, y *float32, n int) { s.multiply(dx, dy, y, n) },
		},
	}
}
