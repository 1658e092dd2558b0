package kernel

import (
	"math"
	"unsafe"
)

// apply runs the operation on n elements from the given one on.
func (j *job) apply(set *Set, first, n int) {
	z := &j.z[first]
	var x, y, m, v *float32
	if j.x != nil {
		x = &j.x[first]
	}
	if j.y != nil {
		y = &j.y[first]
	}
	if j.m != nil {
		m = &j.m[first]
	}
	if j.v != nil {
		v = &j.v[first]
	}
	switch j.kind {
	case opReLU:
		set.relu(z, x, n)
	case opReLUGradient:
		set.reluGradient(z, x, y, n)
	case opMultiply:
		set.multiply(z, x, y, n)
	case opBytes:
		set.bytes(z, &j.raw[first], n, j.scale, j.offset)
	case opPenalty:
		set.penalty(z, x, n, j.scale, j.offset)
	case opAddScaled:
		set.addScaled(z, x, n, j.scale)
	case opAddClamped:
		set.addClamped(z, x, y, n, j.scale, j.offset)
	case opAdam:
		set.adam(z, x, m, v, n, (*byte)(unsafe.Pointer(&j.adam)))
	case opSGD:
		set.sgd(z, x, m, n, (*byte)(unsafe.Pointer(&j.sgd)))
	case opRMSProp:
		set.rmsprop(z, x, v, y, m, n, (*byte)(unsafe.Pointer(&j.rmsprop)))
	case opLion:
		set.lion(z, x, m, n, (*byte)(unsafe.Pointer(&j.lion)))
	}
}

// AdamConfig is a step of Adam (Kingma & Ba, 2015) or, with Decoupled, of AdamW (Loshchilov &
// Hutter, 2019), as PyTorch computes them.
type AdamConfig struct {
	LearningRate, Beta1, Beta2, Epsilon float64
	WeightDecay                         float64
	Decoupled                           bool
	Step                                int // 1 for the first
}

// Adam updates the parameters p from their gradient g and its moments m and v, in one pass:
//
//	Decoupled: p ← p·(1 − lr·decay), otherwise g ← g + decay·p
//	m ← m + (g − m)·(1 − β₁)    v ← β₂·v + (1 − β₂)·g²
//	p ← p − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)
//
// Numbers below 2⁻¹²⁶ are 0 here, as in SGD and RMSProp: moments of a gradient that stays 0 would
// come down to these and no further.
func (e *Elementwise) Adam(p, g, m, v []float32, c AdamConfig) error {
	if err := lengths("Adam", size{"g", len(g), len(p)}, size{"m", len(m), len(p)},
		size{"v", len(v), len(p)}); err != nil {
		return err
	}
	k := adamConstants{
		keep: 1, rate1: float32(1 - c.Beta1), beta2: float32(c.Beta2), rate2: float32(1 - c.Beta2),
		epsilon:    float32(c.Epsilon),
		step:       float32(c.LearningRate / (1 - math.Pow(c.Beta1, float64(c.Step)))),
		correction: float32(1 / math.Sqrt(1-math.Pow(c.Beta2, float64(c.Step)))),
	}
	if c.Decoupled {
		k.keep = float32(1 - c.LearningRate*c.WeightDecay)
	} else if c.WeightDecay != 0 {
		k.decay, k.decayed = float32(c.WeightDecay), 1
	}
	e.run(job{kind: opAdam, n: len(p), z: p, x: g, m: m, v: v, adam: k})
	return nil
}

// LionConfig is a step of Lion (Chen et al., "Symbolic Discovery of Optimization Algorithms",
// 2023).
type LionConfig struct {
	LearningRate, Beta1, Beta2, WeightDecay float64
}

// Lion updates the parameters p from their gradient g and its mean m, in one pass:
//
//	p ← p·(1 − lr·decay) − lr·sign(m + (g − m)·(1 − β₁))    m ← m + (g − m)·(1 − β₂)
//
// The sign of 0 is 0.
func (e *Elementwise) Lion(p, g, m []float32, c LionConfig) error {
	if err := lengths("Lion", size{"g", len(g), len(p)}, size{"m", len(m), len(p)}); err != nil {
		return err
	}
	e.run(job{kind: opLion, n: len(p), z: p, x: g, m: m, lion: lionConstants{
		keep: float32(1 - c.LearningRate*c.WeightDecay), rate1: float32(1 - c.Beta1),
		rate2: float32(1 - c.Beta2),
		step:  float32(c.LearningRate), huge: 1e38, low: -1, high: 1,
	}})
	return nil
}

// SGDConfig is a step of stochastic gradient descent as PyTorch computes it.
type SGDConfig struct {
	LearningRate, Momentum, Dampening, WeightDecay float64
	Nesterov                                       bool
	First                                          bool // the first step: the buffer starts as the gradient
}

// SGD updates the parameters p from their gradient g, in one pass; buffer may be nil if Momentum is
// 0:
//
//	g ← g + decay·p    buffer ← momentum·buffer + (1 − dampening)·g
//	p ← p − lr·buffer, or, with Nesterov, p ← p − lr·(g + momentum·buffer)
func (e *Elementwise) SGD(p, g, buffer []float32, c SGDConfig) error {
	if err := lengths("SGD", size{"g", len(g), len(p)}); err != nil {
		return err
	}
	k := sgdConstants{
		decay: float32(c.WeightDecay), momentum: float32(c.Momentum), fresh: float32(1 - c.Dampening),
		rate: float32(c.LearningRate), decayed: flag(c.WeightDecay != 0), buffered: flag(c.Momentum != 0),
		first: flag(c.First), nesterov: flag(c.Nesterov),
	}
	if c.Momentum == 0 {
		buffer = nil
	} else if err := lengths("SGD with momentum", size{"buffer", len(buffer), len(p)}); err != nil {
		return err
	}
	e.run(job{kind: opSGD, n: len(p), z: p, x: g, m: buffer, sgd: k})
	return nil
}

// RMSPropConfig is a step of RMSProp (Hinton's lecture 6e) as PyTorch computes it.
type RMSPropConfig struct {
	LearningRate, Alpha, Epsilon, WeightDecay, Momentum float64
	Centered                                            bool
}

// RMSProp updates the parameters p from their gradient g and the mean of its square, in one pass;
// mean, of the gradient, may be nil unless Centered, buffer if Momentum is 0:
//
//	g ← g + decay·p    square ← α·square + (1 − α)·g²    Centered: mean ← mean + (g − mean)·(1 − α)
//	g ← g / (√(square [− mean²]) + ε)
//	p ← p − lr·g, or, with momentum, buffer ← momentum·buffer + g, p ← p − lr·buffer
func (e *Elementwise) RMSProp(p, g, square, mean, buffer []float32, c RMSPropConfig) error {
	if err := lengths("RMSProp", size{"g", len(g), len(p)},
		size{"square", len(square), len(p)}); err != nil {
		return err
	}
	k := rmspropConstants{
		decay: float32(c.WeightDecay), alpha: float32(c.Alpha), rest: float32(1 - c.Alpha),
		momentum: float32(c.Momentum),
		rate:     float32(c.LearningRate), epsilon: float32(c.Epsilon),
		decayed: flag(c.WeightDecay != 0), centred: flag(c.Centered), buffered: flag(c.Momentum != 0),
	}
	if !c.Centered {
		mean = nil
	} else if err := lengths("centered RMSProp", size{"mean", len(mean), len(p)}); err != nil {
		return err
	}
	if c.Momentum == 0 {
		buffer = nil
	} else if err := lengths("RMSProp with momentum", size{"buffer", len(buffer),
		len(p)}); err != nil {
		return err
	}
	e.run(job{kind: opRMSProp, n: len(p), z: p, x: g, y: mean, m: buffer, v: square, rmsprop: k})
	return nil
}

func flag(b bool) int32 {
	if b {
		return 1
	}
	return 0
}
