package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// network is a training step assembled from plans, for benchmarks: layers in their order,
// cross-entropy, Adam over all parameters in one tensor.
type network struct {
	layers      []*layer
	loss        *CrossEntropy
	elements    *Elementwise
	p, g, m, v  []float32
	x           []float32
	labels      []int32
	step        int
	phases      []phaseTime
	phase       int
	flops       float64 // of a step, as a dense implementation counts them
	batch       int
	lastLogits  []float32
	dlastLogits []float32
}

type phaseTime struct {
	name string
	time time.Duration
}

type layer struct {
	name         string
	conv         *Conv2D
	dense        *Dense
	avg          *AvgPool2D
	w, b, dw, db []float32
	x, y, dx, dy []float32
	forwardFlops float64
}

type shape struct{ batch, height, width, channels int }

type networkBuilder struct {
	t      testing.TB
	engine Engine
	n      *network
	at     shape
	sizes  [][2]int
}

func newNetwork(t testing.TB, engine Engine, batch, height, width, channels int) *networkBuilder {
	return &networkBuilder{t: t, engine: engine, n: &network{batch: batch},
		at: shape{batch, height, width, channels}}
}

func (b *networkBuilder) conv(filters, kernel, stride, padding int, pool *Window) *networkBuilder {
	c, err := NewConv2D(b.engine, Conv2DConfig{b.at.batch, b.at.height, b.at.width, b.at.channels,
		filters, kernel, kernel, stride, stride, padding, padding, true, pool, false, false, 0, 0, false})
	must(b.t, err)
	flops := 2 * float64(b.at.batch*c.convHeight*c.convWidth*filters*c.depth)
	b.n.layers = append(b.n.layers, &layer{name: fmt.Sprintf("conv%d", len(b.n.layers)+1), conv: c,
		forwardFlops: flops})
	b.sizes = append(b.sizes, [2]int{filters * c.depth, filters})
	b.at.height, b.at.width = c.Output()
	b.at.channels = filters
	return b
}

func (b *networkBuilder) dense(out int, relu bool) *networkBuilder {
	in := b.at.height * b.at.width * b.at.channels
	d, err := NewDense(b.engine, DenseConfig{b.at.batch, in, out, relu})
	must(b.t, err)
	b.n.layers = append(b.n.layers, &layer{name: fmt.Sprintf("dense%d", len(b.n.layers)+1), dense: d,
		forwardFlops: 2 * float64(b.at.batch*in*out)})
	b.sizes = append(b.sizes, [2]int{in * out, out})
	b.at = shape{b.at.batch, 1, 1, out}
	return b
}

func (b *networkBuilder) avg(size int) *networkBuilder {
	p, err := NewAvgPool2D(b.engine, Pool2DConfig{b.at.batch, b.at.height, b.at.width, b.at.channels,
		*window(size, size, size, size, 0, 0)})
	must(b.t, err)
	b.n.layers = append(b.n.layers, &layer{name: fmt.Sprintf("avg%d", len(b.n.layers)+1), avg: p})
	b.sizes = append(b.sizes, [2]int{})
	b.at.height, b.at.width = p.Output()
	return b
}

func (b *networkBuilder) build(height, width, channels int) *network {
	n, r := b.n, rand.New(rand.NewPCG(1, 2))
	total := 0
	for _, s := range b.sizes {
		total += s[0] + s[1]
	}
	n.p, n.g, n.m, n.v = make([]float32, total), make([]float32, total), make([]float32,
		total), make([]float32, total)
	n.x = make([]float32, n.batch*height*width*channels)
	for i := range n.x {
		if v := r.Float32(); v > 0.8 { // as MNIST: four fifths of the pixels are background
			n.x[i] = v
		}
	}
	x, at := n.x, 0
	var dx []float32
	for i, l := range n.layers {
		take := func(n0 []float32, k int) []float32 { return n0[at : at+k : at+k] }
		s := b.sizes[i]
		l.w, l.dw = take(n.p, s[0]), take(n.g, s[0])
		at += s[0]
		l.b, l.db = take(n.p, s[1]), take(n.g, s[1])
		at += s[1]
		for k := range l.w {
			l.w[k] = (2*r.Float32() - 1) / root(float32(s[0]/s[1]))
		}
		l.x, l.dx = x, dx
		switch {
		case l.conv != nil:
			x = make([]float32, l.conv.sizeY())
		case l.dense != nil:
			x = make([]float32, n.batch*l.dense.config.Out)
		case l.avg != nil:
			x = make([]float32, n.batch*l.avg.imageY())
		}
		dx = make([]float32, len(x))
		l.y, l.dy = x, dx
		n.flops += 3 * l.forwardFlops
	}
	n.flops -= n.layers[0].forwardFlops // the first layer's input has no gradient
	n.lastLogits, n.dlastLogits = x, dx
	classes := len(x) / n.batch
	n.labels = make([]int32, n.batch)
	for i := range n.labels {
		n.labels[i] = int32(r.IntN(classes))
	}
	var err error
	n.loss, err = NewCrossEntropy(b.engine, n.batch, classes)
	must(b.t, err)
	n.elements, err = NewElementwise(b.engine)
	must(b.t, err)
	return n
}

func (n *network) lap(start time.Time, name string) time.Time {
	now := time.Now()
	if n.phase == len(n.phases) {
		n.phases = append(n.phases, phaseTime{name: name, time: time.Hour})
	}
	n.phases[n.phase].time = min(n.phases[n.phase].time, now.Sub(start))
	n.phase++
	return now
}

func (n *network) train(t testing.TB) float32 {
	n.step++
	n.phase = 0
	start := time.Now()
	for _, l := range n.layers {
		switch {
		case l.conv != nil:
			must(t, l.conv.Forward(l.y, l.x, l.w, l.b))
		case l.dense != nil:
			must(t, l.dense.Forward(l.y, l.x, l.w, l.b))
		case l.avg != nil:
			must(t, l.avg.Forward(l.y, l.x))
		}
		start = n.lap(start, l.name)
	}
	loss, err := n.loss.Forward(n.lastLogits, n.labels)
	must(t, err)
	must(t, n.loss.Backward(n.dlastLogits, 1))
	start = n.lap(start, "loss")
	for i := len(n.layers) - 1; i >= 0; i-- {
		l := n.layers[i]
		switch {
		case l.conv != nil:
			must(t, l.conv.BackwardParameters(l.dw, l.db, l.dy, l.y, l.x))
		case l.dense != nil:
			must(t, l.dense.BackwardParameters(l.dw, l.db, l.dy, l.y, l.x))
		}
		start = n.lap(start, l.name+".dw")
		if i == 0 {
			break
		}
		switch {
		case l.conv != nil:
			must(t, l.conv.BackwardInput(l.dx, l.dy, l.y, l.w))
		case l.dense != nil:
			must(t, l.dense.BackwardInput(l.dx, l.dy, l.y, l.w))
		case l.avg != nil:
			must(t, l.avg.Backward(l.dx, l.dy))
		}
		start = n.lap(start, l.name+".dx")
	}
	must(t, n.elements.Adam(n.p, n.g, n.m, n.v, AdamConfig{LearningRate: 1e-3, Beta1: 0.9,
		Beta2: 0.999, Epsilon: 1e-8, Step: n.step}))
	n.lap(start, "adam")
	return loss
}

// networks are the shapes that the engine is measured on: E1, and four that nothing is tuned for.
var networks = []struct {
	name                    string
	height, width, channels int
	layers                  func(b *networkBuilder)
}{
	{"E1", 28, 28, 1, func(b *networkBuilder) {
		b.conv(32, 5, 1, 0, window(2, 2, 2, 2, 0, 0)).conv(64, 5, 1, 0, window(2, 2, 2, 2, 0, 0)).
			dense(128, true).dense(10, false)
	}},
	{"LeNet5", 28, 28, 1, func(b *networkBuilder) {
		b.conv(6, 5, 1, 2, nil).avg(2).conv(16, 5, 1, 0, nil).avg(2).dense(120, true).dense(84, true).
			dense(10, false)
	}},
	{"Conv3x3", 28, 28, 1, func(b *networkBuilder) {
		b.conv(32, 3, 1, 1, nil).conv(32, 3, 1, 1, window(2, 2, 2, 2, 0, 0)).conv(64, 3, 1, 1, nil).
			conv(64, 3, 1, 1, window(2, 2, 2, 2, 0, 0)).dense(10, false)
	}},
	{"Strided", 32, 32, 3, func(b *networkBuilder) {
		b.conv(32, 3, 2, 1, nil).conv(64, 3, 2, 1, nil).conv(128, 3, 2, 1, nil).dense(10, false)
	}},
	{"MLP", 28, 28, 1, func(b *networkBuilder) {
		b.dense(512, true).dense(512, true).
			dense(10, false)
	}},
}

func makeNetwork(t testing.TB, engine Engine, name string, batch int) *network {
	for _, n := range networks {
		if n.name == name {
			b := newNetwork(t, engine, batch, n.height, n.width, n.channels)
			n.layers(b)
			return b.build(n.height, n.width, n.channels)
		}
	}
	t.Fatalf("no network %s", name)
	return nil
}

// benchmarkStep measures training steps; with -v the shortest time of each phase is printed.
func benchmarkStep(b *testing.B, name string) {
	for _, batch := range []int{32, 256} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("batch=%d/threads=%d", batch, threads), func(b *testing.B) {
				n := makeNetwork(b, newEngine(b, "", threads), name, batch)
				for range 3 {
					n.train(b)
				}
				for i := range n.phases {
					n.phases[i].time = time.Hour
				}
				best := time.Hour
				b.ResetTimer()
				for range b.N {
					start := time.Now()
					n.train(b)
					best = min(best, time.Since(start))
				}
				b.ReportMetric(float64(best.Microseconds())/1000, "best-ms")
				b.ReportMetric(n.flops*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
				b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "images/s")
				if b.N > 10 && testing.Verbose() {
					line, sum := "", time.Duration(0)
					for _, p := range n.phases {
						line += fmt.Sprintf(" %s %.3f", p.name, p.time.Seconds()*1000)
						sum += p.time
					}
					b.Logf("fastest, ms: sum %.3f%s", sum.Seconds()*1000, line)
				}
			})
		}
	}
}

func BenchmarkStepE1(b *testing.B)      { benchmarkStep(b, "E1") }
func BenchmarkStepLeNet5(b *testing.B)  { benchmarkStep(b, "LeNet5") }
func BenchmarkStepConv3x3(b *testing.B) { benchmarkStep(b, "Conv3x3") }
func BenchmarkStepStrided(b *testing.B) { benchmarkStep(b, "Strided") }
func BenchmarkStepMLP(b *testing.B)     { benchmarkStep(b, "MLP") }

// TestNetworksLearn trains each network on one batch: the loss must fall, and not depend on the
// number of threads.
func TestNetworksLearn(t *testing.T) {
	for _, shape := range networks {
		if raceDetector && shape.name != "LeNet5" {
			continue // slow; LeNet5 has every kind of layer but a fused one, which TestConv2D runs on three threads
		}
		var losses [2]float32
		for i, threads := range []int{1, 3} {
			n := makeNetwork(t, newEngine(t, "", threads), shape.name, 8)
			first := n.train(t)
			for range 40 {
				losses[i] = n.train(t)
			}
			if !(losses[i] < 0.8*first) {
				t.Errorf("%s, %d threads: loss %g after 41 steps, %g at first", shape.name, threads, losses[i],
					first)
			}
		}
		if losses[0] != losses[1] {
			t.Errorf("%s: loss %v on one thread, %v on three", shape.name, losses[0], losses[1])
		}
	}
}
