package train

import (
	"math"
	"slices"

	"slipway/builder"
	"slipway/internal/kernel"
)

// muon is one step of Muon (Jordan et al., 2024) with Nesterov's momentum in PyTorch's form, of a
// matrix of that many rows R and of C columns. Its step has the mean square of AdamW's (Liu et al.,
// "Muon is Scalable for LLM Training", 2025):
//
//	m ← μ·m + (1−μ)·g,  d ← (1−μ)·g + μ·m
//	p ← p·(1 − lr·decay) − lr·0.2·√max(R, C)·orthogonal(d)
func (plainUpdater) muon(p, g, momentum []float32, c OptimizerConfig, rows int) error {
	mu := float32(c.Momentum)
	direction := make([]float32, len(p))
	for i := range p {
		momentum[i] += (1 - mu) * (g[i] - momentum[i])
		direction[i] = g[i] + mu*(momentum[i]-g[i])
	}
	columns := len(p) / rows
	rate := float32(c.LearningRate * kernel.MuonScale(rows, columns))
	shrink := float32(1 - c.LearningRate*c.WeightDecay)
	for i, step := range orthogonal(direction, rows, columns) {
		p[i] = p[i]*shrink - rate*step
	}
	return nil
}

// orthogonal returns a matrix with about the singular vectors of x and singular values near 1, by
// five of Jordan's steps after Newton and Schulz. With X of the norm 1 and no more rows than
// columns:
//
//	G ← X·Xᵀ,  X ← 3.4445·X + (−4.775·G + 2.0315·G²)·X
func orthogonal(x []float32, rows, columns int) []float32 {
	if rows > columns {
		return transposed(orthogonal(transposed(x, rows, columns), columns, rows), columns, rows)
	}
	squares := 0.0
	for _, v := range x {
		squares += float64(v) * float64(v)
	}
	scale := float32(1 / max(math.Sqrt(squares), 1e-7))
	x = slices.Clone(x)
	for i := range x {
		x[i] *= scale
	}
	for range 5 {
		gram := product(x, transposed(x, rows, columns), rows, columns, rows)
		update := product(gram, gram, rows, rows, rows)
		for i := range update {
			update[i] = -4.775*gram[i] + 2.0315*update[i]
		}
		next := product(update, x, rows, rows, columns)
		for i := range next {
			next[i] += 3.4445 * x[i]
		}
		x = next
	}
	return x
}

// product is that of an m×k and a k×n matrix.
func product(a, b []float32, m, k, n int) []float32 {
	c := make([]float32, m*n)
	for i := range m {
		for l := range k {
			for j := range n {
				c[i*n+j] += a[i*k+l] * b[l*n+j]
			}
		}
	}
	return c
}

// transposed returns the transpose of a rows×columns matrix.
func transposed(x []float32, rows, columns int) []float32 {
	z := make([]float32, len(x))
	for i, v := range x {
		z[i%columns*rows+i/columns] = v
	}
	return z
}

// matrixRows returns how many rows a parameter has as a matrix with a filter, or an output, as a
// row. It is 0 where the parameter is no matrix: biases, what normalisation scales with, a single
// row or column.
func matrixRows(spec builder.TensorSpec) int {
	if spec.Plain || len(spec.Shape) < 2 {
		return 0
	}
	if rows := spec.Shape[0]; rows > 1 && spec.Shape.Elements() > rows {
		return rows
	}
	return 0
}
