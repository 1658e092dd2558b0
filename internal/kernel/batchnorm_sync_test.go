package kernel

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// parts are plans of the parts of one batch: given what they have summed, one after the other, they
// get the sums of all at a second run.
type parts struct {
	rows          int
	mean, squares []float64 // over all
	sums          [2][]float64
	known         bool
	err           error
}

func (p *parts) Moments(rows int, mean, variance []float64) (int, error) {
	if p.known {
		copy(mean, p.mean)
		for i := range variance {
			variance[i] = p.squares[i]/float64(p.rows) - p.mean[i]*p.mean[i]
		}
		return p.rows, p.err
	}
	n, m := float64(rows), float64(p.rows)
	for i := range mean {
		p.mean[i] = (n*mean[i] + m*p.mean[i]) / (n + m)
		p.squares[i] += n * (variance[i] + mean[i]*mean[i])
	}
	p.rows += rows
	return rows, p.err
}

func (p *parts) Sums(rows int, first, second []float64) error {
	for k, sums := range [][]float64{first, second} {
		for i := range sums {
			if p.known {
				sums[i] = p.sums[k][i] / float64(rows)
			}
		}
	}
	return p.err
}

// take sets what all plans' sums of a gradient come to.
func (p *parts) take(plans []*BatchNorm) {
	for k := range p.sums {
		clear(p.sums[k])
		for _, b := range plans {
			for i, x := range b.sums[k] {
				p.sums[k][i] += float64(b.config.Rows) * x
			}
		}
	}
}

// The parts of a batch that know each other's sums are normalised, and differentiated, as the
// batch. Each part's gradients are those of its own mean loss, so that the batch's are those of
// rowsₖ/rows.
func TestBatchNormOfParts(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, split := range [][]int{{1, 6}, {40, 24}, {1, 1, 600}} {
			for _, c := range []int{1, 16, 33} {
				total := 0
				for _, rows := range split {
					total += rows
				}
				r := rand.New(rand.NewPCG(uint64(c), 6))
				f := BatchNormConfig{Rows: total, Channels: c, Epsilon: 1e-3, Batch: true, Low: nan32,
					High: nan32}
				x, dy, weight, bias := random(r, total*c), random(r, total*c), random(r, c), random(r, c)
				none := make([]float32, c)
				y, dx, dWeight, dBias := referenceBatchNorm(f, x, weight, bias, none, none, dy)
				sync := &parts{mean: make([]float64, c), squares: make([]float64, c)}
				sync.sums = [2][]float64{make([]float64, c), make([]float64, c)}
				var plans []*BatchNorm
				got := map[string][]float32{"y": make([]float32, total*c), "dx": make([]float32, total*c),
					"dw": make([]float32, c), "db": make([]float32, c)}
				for pass := range 3 { // sums forward, sums of the gradient, all
					sync.known = pass > 0
					first := 0
					for i, rows := range split {
						if pass == 0 {
							g := f
							g.Rows, g.Sync = rows, sync
							b, err := NewBatchNorm(engine, g)
							must(t, err)
							plans = append(plans, b)
						}
						from, to := first*c, (first+rows)*c
						first += rows
						share := float32(rows) / float32(total)
						local := make([]float32, to-from)
						for k := range local {
							local[k] = dy[from+k] / share
						}
						must(t, plans[i].Forward(got["y"][from:to], x[from:to], weight, bias, none, none))
						dw, db := make([]float32, c), make([]float32, c)
						must(t, plans[i].Backward(got["dx"][from:to], dw, db, local, x[from:to], weight))
						for k := from; k < to; k++ {
							got["dx"][k] *= share
						}
						for k := range c {
							if pass == 2 {
								got["dw"][k] += share * dw[k]
								got["db"][k] += share * db[k]
							}
						}
						if pass > 0 && plans[i].StatisticsRows() != total {
							t.Errorf("the statistics are of %d rows, want %d", plans[i].StatisticsRows(), total)
						}
					}
					if pass == 1 {
						sync.take(plans)
					}
				}
				for name, want := range map[string][]float32{"y": y, "dx": dx, "dw": dWeight, "db": dBias} {
					near(t, fmt.Sprint(split, c, name), got[name], want, 4096)
				}
			}
		}
	})
}

// What the other parts cannot give is said on.
func TestBatchNormOfPartsThatFail(t *testing.T) {
	sync := &parts{mean: make([]float64, 2), squares: make([]float64, 2),
		err: errors.New("they have left")}
	b, err := NewBatchNorm(newEngine(t, "", 1),
		BatchNormConfig{Rows: 3, Channels: 2, Epsilon: 1, Batch: true, Sync: sync})
	must(t, err)
	x, c := make([]float32, 6), make([]float32, 2)
	for _, err := range []error{b.Forward(x, x, c, c, c, c), b.Backward(x, c, c, x, x, c)} {
		if err == nil || !strings.Contains(err.Error(), "over the parts of a batch: they have left") {
			t.Error(err)
		}
	}
}
