package kernel

import "math"

// MuonConfig is a step of Muon (Jordan et al., "Muon: An optimizer for hidden layers in neural
// networks", 2024) with Nesterov's momentum, as PyTorch computes it.
type MuonConfig struct {
	LearningRate, Momentum, WeightDecay float64
}

// Muon updates matrices of one size. A plan owns its scratch memory: its methods must not run at
// the same time as each other.
type Muon struct {
	orthogonal *Orthogonal
	direction  []float32
	scale      float64
}

// NewMuon returns a plan for matrices of that size, or an error that says what is wrong with it.
func NewMuon(engine Engine, rows, columns int) (*Muon, error) {
	orthogonal, err := NewOrthogonal(engine, rows, columns)
	if err != nil {
		return nil, err
	}
	return &Muon{orthogonal, aligned(rows * columns), MuonScale(rows, columns)}, nil
}

// MuonScale makes the mean square of Muon's step that of AdamW's, so that both take the same
// learning rate: 0.2·√max(rows, columns) (Liu et al., "Muon is Scalable for LLM Training", 2025;
// match_rms_adamw in PyTorch).
func MuonScale(rows, columns int) float64 { return 0.2 * math.Sqrt(float64(max(rows, columns))) }

// Update updates the matrix p from its gradient g and the mean of it, buffer:
//
//	buffer ← buffer + (1 − μ)·(g − buffer)    d ← g + μ·(buffer − g)
//	p ← p·(1 − lr·decay) − lr·MuonScale·orthogonal(d)
func (m *Muon) Update(p, g, buffer []float32, c MuonConfig) error {
	n := len(m.direction)
	if err := lengths("Muon", size{"p", len(p), n}, size{"g", len(g), n},
		size{"buffer", len(buffer), n}); err != nil {
		return err
	}
	pass := m.orthogonal.pass
	if err := pass.Lerp(buffer, g, float32(1-c.Momentum)); err != nil {
		return err
	}
	copy(m.direction, g)
	if err := pass.Lerp(m.direction, buffer, float32(c.Momentum)); err != nil {
		return err
	}
	if err := m.orthogonal.Run(m.direction); err != nil {
		return err
	}
	rate := c.LearningRate * m.scale
	if rate == 0 {
		return nil
	}
	return pass.SGD(p, m.direction, nil,
		SGDConfig{LearningRate: rate, WeightDecay: c.WeightDecay / m.scale})
}
