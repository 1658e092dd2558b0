package train

import (
	"math"

	"slipway/internal/kernel"
)

// plainUpdater is the rules as they are written, for the gorgonia engine.
type plainUpdater struct{}

// kernelUpdater is the rules in one vectorised pass each.
type kernelUpdater struct {
	pass   *kernel.Elementwise
	engine kernel.Engine
	// matrices are Muon's plans, by rows and columns.
	matrices map[[2]int]*kernel.Muon
}

func (k kernelUpdater) adam(p, g, m, v []float32, c OptimizerConfig, step int) error {
	return k.pass.Adam(p, g, m, v, kernel.AdamConfig{
		LearningRate: c.LearningRate, Beta1: c.Beta1, Beta2: c.Beta2, Epsilon: c.Epsilon,
		WeightDecay: c.WeightDecay, Decoupled: c.Name == "adamw", Step: step,
	})
}

func (k kernelUpdater) sgd(p, g, momentum []float32, c OptimizerConfig, step int) error {
	return k.pass.SGD(p, g, momentum, kernel.SGDConfig{
		LearningRate: c.LearningRate, Momentum: c.Momentum, WeightDecay: c.WeightDecay,
		Nesterov: c.Nesterov, First: step == 1,
	})
}

func (k kernelUpdater) rmsprop(p, g, square, momentum []float32, c OptimizerConfig) error {
	return k.pass.RMSProp(p, g, square, nil, momentum, kernel.RMSPropConfig{
		LearningRate: c.LearningRate, Alpha: c.Alpha, Epsilon: c.Epsilon, WeightDecay: c.WeightDecay,
		Momentum: c.Momentum,
	})
}

func (k kernelUpdater) lion(p, g, m []float32, c OptimizerConfig) error {
	return k.pass.Lion(p, g, m, kernel.LionConfig{
		LearningRate: c.LearningRate, Beta1: c.Beta1, Beta2: c.Beta2, WeightDecay: c.WeightDecay,
	})
}

func (k kernelUpdater) muon(
	p, g, momentum []float32, c OptimizerConfig, rows int,
) error {
	size := [2]int{rows, len(p) / rows}
	plan := k.matrices[size]
	if plan == nil {
		var err error
		if plan, err = kernel.NewMuon(k.engine, size[0], size[1]); err != nil {
			return err
		}
		k.matrices[size] = plan
	}
	return plan.Update(p, g, momentum, kernel.MuonConfig{
		LearningRate: c.LearningRate, Momentum: c.Momentum, WeightDecay: c.WeightDecay,
	})
}

// adam is one step of Adam (Kingma and Ba, 2015) or AdamW (Loshchilov and
// Hutter, 2019), in PyTorch's form:
//
//	m ← β₁·m + (1−β₁)·g,  v ← β₂·v + (1−β₂)·g²
//	p ← p − (lr/(1−β₁ᵗ)) · m / (√v/√(1−β₂ᵗ) + ε)
//
// Adam adds decay·p to g first; AdamW multiplies p by 1 − lr·decay first.
func (plainUpdater) adam(p, g, m, v []float32, c OptimizerConfig, step int) error {
	stepSize := float32(c.LearningRate / (1 - math.Pow(c.Beta1, float64(step))))
	rootCorrection := float32(1 / math.Sqrt(1-math.Pow(c.Beta2, float64(step))))
	keepM, keepV, epsilon := float32(c.Beta1), float32(c.Beta2), float32(c.Epsilon)
	addM, addV := float32(1-c.Beta1), float32(1-c.Beta2)
	shrink, decay := float32(1), float32(c.WeightDecay)
	if c.Name == "adamw" {
		shrink, decay = float32(1-c.LearningRate*c.WeightDecay), 0
	}
	for i := range p {
		weight := p[i] * shrink
		gradient := g[i] + decay*weight
		m[i] = keepM*m[i] + addM*gradient
		v[i] = keepV*v[i] + addV*gradient*gradient
		p[i] = weight - stepSize*m[i]/(float32(math.Sqrt(float64(v[i])))*rootCorrection+epsilon)
	}
	return nil
}

// sgd is one step of stochastic gradient descent in PyTorch's form, with
// momentum μ (Sutskever et al., 2013) if there is a buffer b for it:
//
//	g ← g + decay·p,  b ← μ·b + g (b ← g at the first step)
//	p ← p − lr·b, or with Nesterov p ← p − lr·(g + μ·b)
func (plainUpdater) sgd(p, g, momentum []float32, c OptimizerConfig, step int) error {
	rate, decay, mu := float32(c.LearningRate), float32(c.WeightDecay), float32(c.Momentum)
	for i := range p {
		direction := g[i] + decay*p[i]
		if momentum != nil {
			if step == 1 {
				momentum[i] = direction
			} else {
				momentum[i] = mu*momentum[i] + direction
			}
			if c.Nesterov {
				direction += mu * momentum[i]
			} else {
				direction = momentum[i]
			}
		}
		p[i] -= rate * direction
	}
	return nil
}

// rmsprop is one step of RMSProp (Tieleman and Hinton, 2012) in PyTorch's form:
//
//	g ← g + decay·p,  s ← α·s + (1−α)·g²
//	p ← p − lr·g/(√s + ε), or with momentum b ← μ·b + g/(√s + ε), p ← p − lr·b
func (plainUpdater) rmsprop(p, g, square, momentum []float32, c OptimizerConfig) error {
	rate, decay, mu := float32(c.LearningRate), float32(c.WeightDecay), float32(c.Momentum)
	keep, add, epsilon := float32(c.Alpha), float32(1-c.Alpha), float32(c.Epsilon)
	for i := range p {
		gradient := g[i] + decay*p[i]
		square[i] = keep*square[i] + add*gradient*gradient
		direction := gradient / (float32(math.Sqrt(float64(square[i]))) + epsilon)
		if momentum != nil {
			momentum[i] = mu*momentum[i] + direction
			direction = momentum[i]
		}
		p[i] -= rate * direction
	}
	return nil
}

// lion is one step of Lion (Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023) in
// the form of its authors:
//
//	p ← p·(1 − lr·decay) − lr·sign(β₁·m + (1−β₁)·g),  m ← β₂·m + (1−β₂)·g
func (plainUpdater) lion(p, g, m []float32, c OptimizerConfig) error {
	rate, shrink := float32(c.LearningRate), float32(1-c.LearningRate*c.WeightDecay)
	share1, share2 := float32(1-c.Beta1), float32(1-c.Beta2)
	for i := range p {
		weight, difference := p[i]*shrink, g[i]-m[i]
		switch direction := m[i] + share1*difference; {
		case direction > 0:
			weight -= rate
		case direction < 0:
			weight += rate
		case direction != 0:
			weight = direction // NaN
		}
		p[i] = weight
		m[i] += share2 * difference
	}
	return nil
}
