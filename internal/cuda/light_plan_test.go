//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// onDevice returns values on the device, so many bytes behind an address of 256's.
func onDevice(g *gpu, memory *pool, values []float32, behind int) (*buffer, error) {
	b, err := memory.allocate("a test's values", int64(behind+4*len(values)))
	if err != nil {
		return nil, err
	}
	b = b.from(behind)
	return b, upload(g, b, values)
}

// lightCase is a product y = x·wᵀ + bias, rectified if asked, and where its matrices begin.
type lightCase struct {
	batch, in, out        int
	relu                  bool
	atX, atW, atBias, atY int
	algorithm             int // 0 if there is to be none
}

// computeLight returns what the plan makes of random values, and what comes to of them in float64.
func computeLight(g *gpu, c lightCase) (got, want []float32, number int, why, err error) {
	memory := pool{gpu: g}
	defer func() { err = errors.Join(err, g.wait(), memory.free()) }()
	source := rand.New(rand.NewPCG(5, uint64(c.batch*c.in+c.out)))
	random := func(n int) []float32 {
		all := make([]float32, n)
		for i := range all {
			all[i] = float32(source.NormFloat64())
		}
		return all
	}
	x, w, bias := random(c.batch*c.in), random(c.out*c.in), random(c.out)
	var on [4]*buffer
	for i, part := range []struct {
		values []float32
		at     int
	}{{x, c.atX}, {w, c.atW}, {bias, c.atBias}, {make([]float32, c.batch*c.out), c.atY}} {
		if on[i], err = onDevice(g, &memory, part.values, part.at); err != nil {
			return nil, nil, 0, nil, err
		}
	}
	p := lightProduct{
		a: factor{transposed, on[1], c.in, c.out}, b: factor{plain, on[0], c.in, c.batch},
		d: on[3], rows: c.out, columns: c.batch, epilogue: biased, bias: on[2],
	}
	if c.relu {
		p.epilogue = rectified
	}
	plan, why, err := g.light.newPlan(p)
	if why != nil || err != nil {
		return nil, nil, 0, why, err
	}
	defer func() { err = errors.Join(err, plan.close()) }()
	if err := plan.run(&g.lane); err != nil {
		return nil, nil, 0, nil, err
	}
	got = make([]float32, c.batch*c.out)
	if err := download(g, got, on[3]); err != nil {
		return nil, nil, 0, nil, err
	}
	for i := range c.batch {
		for k := range c.out {
			sum := float64(bias[k])
			for l := range c.in {
				sum += float64(x[i*c.in+l]) * float64(w[k*c.in+l])
			}
			if c.relu {
				sum = max(sum, 0)
			}
			want = append(want, float32(sum))
		}
	}
	return got, want, plan.number, nil, nil
}

// Products of any shape come to the sums that they are, wherever their matrices begin. A bias that
// is not aligned to 16 bytes, of which cuBLASLt is told nothing, is refused.
func TestLightProducts(t *testing.T) {
	g := openDevice(t)
	if g.light == nil {
		t.Skipf("there is no cuBLASLt: %v", g.unlit)
	}
	var cases []lightCase
	for _, relu := range []bool{false, true} {
		fast := 20
		if relu {
			fast = 13 // the other hides NaN
		}
		cases = append(cases,
			lightCase{1, 1, 1, relu, 0, 0, 0, 0, fast}, lightCase{1, 7, 1, relu, 0, 0, 0, 0, fast},
			lightCase{9, 1, 5, relu, 0, 0, 0, 0, fast}, lightCase{1, 64, 33, relu, 0, 0, 0, 0, fast},
			lightCase{31, 17, 13, relu, 0, 0, 0, 0, fast}, lightCase{128, 100, 67, relu, 0, 0, 0, 0, fast},
			lightCase{3, 5, 7, relu, 4, 0, 0, 0, 13}, lightCase{3, 5, 7, relu, 0, 8, 0, 0, 13},
			lightCase{3, 5, 7, relu, 0, 0, 0, 12, 13}, lightCase{3, 5, 7, relu, 16, 48, 16, 32, fast},
			lightCase{3, 5, 7, relu, 0, 0, 4, 0, 0}, lightCase{3, 5, 7, relu, 0, 0, 8, 0, 0})
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			var got, want []float32
			var number int
			var why error
			if err := g.thread.do(func() (err error) {
				got, want, number, why, err = computeLight(g, c)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if c.algorithm == 0 {
				if why == nil || !strings.Contains(why.Error(), "is not aligned to 16 bytes") {
					t.Errorf("the bias is taken: %v", why)
				}
				return
			}
			if why != nil {
				if simulated != nil {
					t.Fatal(why)
				}
				t.Skip(why)
			}
			if simulated != nil && number != c.algorithm {
				t.Errorf("algorithm %d, want %d", number, c.algorithm)
			}
			if e := relativeError(got, want); e > 2e-6 {
				t.Errorf("%g of the largest value off", e)
			}
		})
	}
}

// NVIDIA's own cuBLASLt takes the descriptors as they are, of which none needs a GPU.
func TestRealLightDescriptors(t *testing.T) {
	needRealLibraries(t)
	of := &buffer{address: 1 << 20, bytes: 1 << 20}
	forward := lightProduct{
		a: factor{transposed, of, 5, 7}, b: factor{plain, of, 5, 3}, d: of, rows: 7, columns: 3,
		epilogue: rectified, bias: of,
	}
	back := lightProduct{
		a: factor{plain, of, 5, 3}, b: factor{transposed, of, 7, 3}, d: of, rows: 5, columns: 7,
		epilogue: summed, bias: of,
	}
	for _, product := range []lightProduct{forward, back} {
		plan := &lightPlan{product: product}
		_, err := plan.prepare() // as far as the heuristics, which have no handle
		if err == nil || !strings.HasPrefix(err.Error(), "cublasLtMatmulAlgoGetHeuristic: ") {
			t.Errorf("%v, want the heuristics to be the first to fail", err)
		}
		if err := plan.close(); err != nil {
			t.Error(err)
		}
	}
}
