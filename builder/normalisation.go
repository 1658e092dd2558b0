package builder

import (
	"fmt"
	"math"
)

// normalised is what GroupNorm and LayerNorm compute: over each of several sets of values,
//
//	y = γ·x̂ + β, x̂ = (x − μ)/√(σ² + ε)
//
// with the set's mean μ and variance σ² (divided by the number of its values, m), and γ and β of
// each value's channel. With g = γ·dy the gradients are dγ = Σ dy·x̂, dβ = Σ dy and, with sums over
// the set,
//
//	dx = (g − Σg/m − x̂·Σ(g·x̂)/m)/√(σ² + ε).
type normalised struct {
	sets, size, channels int
	epsilon              float64
	// at returns where value i of a set lies, and its channel.
	at func(set, i int) (place, channel int)
}

// moments returns the mean of a set and 1/√(σ² + ε).
func (n normalised) moments(x []float32, set int) (mean, inverse float64) {
	for i := range n.size {
		at, _ := n.at(set, i)
		mean += float64(x[at])
	}
	mean /= float64(n.size)
	variance := 0.0
	for i := range n.size {
		at, _ := n.at(set, i)
		variance += (float64(x[at]) - mean) * (float64(x[at]) - mean)
	}
	return mean, 1 / math.Sqrt(variance/float64(n.size)+n.epsilon)
}

func (n normalised) computation() Computation {
	return Computation{
		Forward: func(y []float32, in [][]float32) error {
			x, weight, bias := in[0], in[1], in[2]
			for set := range n.sets {
				mean, inverse := n.moments(x, set)
				for i := range n.size {
					at, c := n.at(set, i)
					y[at] = float32((float64(x[at])-mean)*inverse*float64(weight[c]) + float64(bias[c]))
				}
			}
			return nil
		},
		Backward: func(d [][]float32, dy, _ []float32, in [][]float32) error {
			x, weight := in[0], in[1]
			dWeight, dBias := make([]float64, n.channels), make([]float64, n.channels)
			for set := range n.sets {
				mean, inverse := n.moments(x, set)
				var sum, product float64
				for i := range n.size {
					at, c := n.at(set, i)
					standard, upstream := (float64(x[at])-mean)*inverse, float64(dy[at])
					dWeight[c] += upstream * standard
					dBias[c] += upstream
					sum += upstream * float64(weight[c])
					product += upstream * float64(weight[c]) * standard
				}
				for i := 0; d[0] != nil && i < n.size; i++ {
					at, c := n.at(set, i)
					standard, g := (float64(x[at])-mean)*inverse, float64(dy[at])*float64(weight[c])
					d[0][at] = float32((g - (sum+standard*product)/float64(n.size)) * inverse)
				}
			}
			writeSums(d[1], dWeight)
			writeSums(d[2], dBias)
			return nil
		},
	}
}

// affineTensors are γ and β, called as in PyTorch.
func affineTensors(channels int) []TensorSpec {
	return []TensorSpec{
		{Name: "weight", Shape: Shape{channels}, Initial: Ones, Plain: true},
		{Name: "bias", Shape: Shape{channels}, Initial: Zeros, Plain: true},
	}
}

// fillEpsilon sets ε to 1e-5 if it is zero, and refuses one that is no number above 0.
func fillEpsilon(epsilon *float64) error {
	if *epsilon == 0 {
		*epsilon = 1e-5
	}
	if !(float32(*epsilon) > 0) {
		return fmt.Errorf("epsilon %v; a number above 0 is needed", *epsilon)
	}
	return checkFinite("epsilon", *epsilon)
}

// affine adds the operators of γ·x + β to those of a layer, its last.
func (e *Export) affine(x string) string {
	scaled := e.Step("scaled", "Mul", []string{x, e.perChannel("weights", e.Tensor(0))})
	return e.Add("Add", []string{scaled, e.perChannel("biases", e.Tensor(1))})
}
