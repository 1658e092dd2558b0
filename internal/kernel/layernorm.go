package kernel

import (
	"fmt"
	"math"
)

// LayerNorm is a plan for y = γ∘x̂ + β, x̂ = (x − μ)/√(σ² + ε), with the mean μ and the variance σ²
// of each row, and its gradients: x N×C, γ and β C. With g = γ∘dy these are dγ = Σ dy∘x̂, dβ = Σ dy
// and
//
//	dx = (g − Σg/C − x̂·Σ(g∘x̂)/C)/√(σ² + ε).
//
// Sums over a row are float64. Backward belongs to the last Forward, whose means it uses. The
// methods of a plan must not run at the same time as each other.
type LayerNorm struct {
	engine         Engine
	rows, channels int
	epsilon        float64
	means, scales  []float64 // by row: μ, and 1/√(σ² + ε)
	partial        []float64 // by item: sums of dγ and dβ
	y, x, w, b     []float32
	dx, dy         []float32
	parameters     bool

	forwardTask, backwardTask func(worker, item int)
}

// NewLayerNorm returns a plan for that many rows of channels.
func NewLayerNorm(engine Engine, rows, channels int, epsilon float64) (*LayerNorm, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	if err := (ChannelsConfig{rows, 1, channels}).check("layer normalisation"); err != nil {
		return nil, err
	}
	if !(epsilon > 0) {
		return nil, fmt.Errorf("kernel: layer normalisation: epsilon %v is not above 0", epsilon)
	}
	l := &LayerNorm{
		engine: engine, rows: rows, channels: channels, epsilon: epsilon,
		means: make([]float64, rows), scales: make([]float64, rows),
	}
	l.forwardTask, l.backwardTask = l.forwardItem, l.backwardItem
	return l, nil
}

// Forward computes y from x, γ (w) and β (b).
func (l *LayerNorm) Forward(y, x, w, b []float32) error {
	n := l.rows * l.channels
	if err := lengths("layer normalisation", size{"y", len(y), n}, size{"x", len(x), n},
		size{"w", len(w), l.channels}, size{"b", len(b), l.channels}); err != nil {
		return err
	}
	l.y, l.x, l.w, l.b = y, x, w, b
	l.engine.Pool.Run(ceil(l.rows, blockRows), l.forwardTask)
	l.release()
	return nil
}

func (l *LayerNorm) release() { l.y, l.x, l.w, l.b, l.dx, l.dy = nil, nil, nil, nil, nil, nil }

func (l *LayerNorm) forwardItem(_, item int) {
	c := l.channels
	w, b := l.w[:c], l.b[:c]
	for row := item * blockRows; row < min((item+1)*blockRows, l.rows); row++ {
		x, y := l.x[row*c:(row+1)*c], l.y[row*c:(row+1)*c]
		mean := sumOf(x) / float64(c)
		scale := 1 / math.Sqrt(squaresOf(x, mean)/float64(c)+l.epsilon)
		l.means[row], l.scales[row] = mean, scale
		for i, v := range x {
			y[i] = float32((float64(v)-mean)*scale*float64(w[i]) + float64(b[i]))
		}
	}
}

// sumOf is Σx, by four sums that do not wait for each other.
func sumOf(x []float32) float64 {
	var s0, s1, s2, s3 float64
	for ; len(x) >= 4; x = x[4:] {
		s0 += float64(x[0])
		s1 += float64(x[1])
		s2 += float64(x[2])
		s3 += float64(x[3])
	}
	for _, v := range x {
		s0 += float64(v)
	}
	return s0 + s1 + (s2 + s3)
}

// squaresOf is Σ(x − shift)², taken likewise.
func squaresOf(x []float32, shift float64) float64 {
	var s0, s1, s2, s3 float64
	for ; len(x) >= 4; x = x[4:] {
		d0, d1, d2, d3 := float64(x[0])-shift, float64(x[1])-shift, float64(x[2])-shift, float64(
			x[3])-shift
		s0 += d0 * d0
		s1 += d1 * d1
		s2 += d2 * d2
		s3 += d3 * d3
	}
	for _, v := range x {
		s0 += (float64(v) - shift) * (float64(v) - shift)
	}
	return s0 + s1 + (s2 + s3)
}

// Backward computes the gradients from dy, x and γ (w): each that is not nil.
func (l *LayerNorm) Backward(dx, dw, db, dy, x, w []float32) error {
	n := l.rows * l.channels
	sizes := []size{{"dy", len(dy), n}, {"x", len(x), n}, {"w", len(w), l.channels}}
	for _, wanted := range []size{{"dx", len(dx), n}, {"dw", len(dw), l.channels},
		{"db", len(db), l.channels}} {
		if wanted.got > 0 {
			sizes = append(sizes, wanted)
		}
	}
	if err := lengths("gradient of layer normalisation", sizes...); err != nil {
		return err
	}
	items := ceil(l.rows, blockRows)
	if l.parameters = dw != nil || db != nil; l.parameters && l.partial == nil {
		l.partial = make([]float64, items*2*l.channels)
	}
	l.dx, l.dy, l.x, l.w = dx, dy, x, w
	l.engine.Pool.Run(items, l.backwardTask)
	l.release()
	if !l.parameters {
		return nil
	}
	sums := l.partial[:2*l.channels]
	for item := 1; item < items; item++ {
		for i, v := range l.partial[item*len(sums) : (item+1)*len(sums)] {
			sums[i] += v
		}
	}
	for i := range dw {
		dw[i] = float32(sums[i])
	}
	for i := range db {
		db[i] = float32(sums[l.channels+i])
	}
	return nil
}

func (l *LayerNorm) backwardItem(_, item int) {
	c := l.channels
	var dw, db []float64
	if l.parameters {
		sums := l.partial[item*2*c : (item+1)*2*c]
		clear(sums)
		dw, db = sums[:c], sums[c:]
	}
	w := l.w[:c]
	for row := item * blockRows; row < min((item+1)*blockRows, l.rows); row++ {
		x, dy := l.x[row*c:(row+1)*c], l.dy[row*c:(row+1)*c]
		mean, scale := l.means[row], l.scales[row]
		for i := range dw {
			g := float64(dy[i])
			dw[i] += g * (float64(x[i]) - mean) * scale
			db[i] += g
		}
		if l.dx == nil {
			continue
		}
		var sum, product float64
		for i, v := range x {
			g := float64(dy[i]) * float64(w[i])
			sum += g
			product += g * (float64(v) - mean)
		}
		sum /= float64(c)
		product *= scale * scale / float64(c)
		dx := l.dx[row*c : (row+1)*c]
		for i, v := range x {
			dx[i] = float32((float64(dy[i])*float64(w[i]) - sum - (float64(v)-mean)*product) * scale)
		}
	}
}
