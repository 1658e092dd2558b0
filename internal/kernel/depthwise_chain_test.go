package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// chains are the shapes of bands, with pointwise convolutions of few and of many channels around
// them, of which one may be missing.
func chains() []DepthwiseChainConfig {
	relu6, gated := Finish{Low: 0, High: 6}, Finish{Low: nan32, High: nan32, Gate: &Gate{1. / 6, 0.5}}
	around := [][2]int{{16, 24}, {3, 0}, {0, 40}, {200, 1}, {17, 129}, {1, 16}}
	var all []DepthwiseChainConfig
	for i, f := range append(bandShapes(),
		DepthwiseConfig{2, 28, 28, 72, 5, 5, 1, 1, 2, 2, 0, 0, 1, 1},
		DepthwiseConfig{1, 57, 57, 144, 3, 3, 2, 2, 1, 1, 0, 0, 1, 1},
		DepthwiseConfig{3, 30, 5, 8, 5, 3, 1, 2, 4, 3, 1, 0, 1, 1},
		DepthwiseConfig{1, 14, 14, 96, 5, 5, 1, 1, 2, 2, 0, 0, 1, 1},
		DepthwiseConfig{2, 7, 7, 200, 3, 3, 1, 1, 1, 1, 0, 0, 1, 1},
		DepthwiseConfig{1, 14, 14, 328, 3, 3, 2, 2, 0, 0, 1, 1, 1, 1},
		DepthwiseConfig{1, 9, 11, 136, 3, 3, 1, 1, 2, 3, 1, 2, 2, 2}) {
		if f.Channels%8 == 0 {
			n := around[i%len(around)]
			chain := DepthwiseChainConfig{Depthwise: f, Inputs: n[0], Filters: n[1], Expand: relu6,
				Middle: []Finish{relu6, gated, NoFinish()}[i%3], Project: []Finish{NoFinish(), gated}[i%2]}
			all = append(all, chain)
			if chain.Inputs > 0 {
				chain.ByChannels = true
				all = append(all, chain)
			}
		}
	}
	return all
}

// chainTensors are the operands of a chain.
type chainTensors struct {
	x, z, y, expand, kernels, project []float32
	bias                              ChainBias
}

func newChainTensors(f DepthwiseChainConfig, height, width int) chainTensors {
	r, d := rand.New(rand.NewPCG(7, uint64(f.Inputs))), f.Depthwise
	inputs, filters := f.Inputs, f.Filters
	var t chainTensors
	if t.bias.Middle = random(r, d.Channels); inputs == 0 {
		inputs = d.Channels
	} else {
		t.expand, t.bias.Expand = random(r, inputs*d.Channels), random(r, d.Channels)
	}
	if filters == 0 {
		filters = d.Channels
	} else {
		t.project, t.bias.Project = random(r, filters*d.Channels), random(r, filters)
		t.z = random(r, d.Batch*height*width*filters)
	}
	t.x = random(r, d.Batch*d.Height*d.Width*inputs)
	t.kernels = random(r, d.KernelHeight*d.KernelWidth*d.Channels)
	t.y = make([]float32, d.Batch*height*width*filters)
	return t
}

// alone computes a chain by the plans of its convolutions.
func (t chainTensors) alone(tb testing.TB, engine Engine, f DepthwiseChainConfig,
	height, width int) []float32 {
	pointwise := func(x, w, b, z []float32, channels, filters, height, width int,
		finish Finish) []float32 {
		c, err := NewConv2D(engine, Conv2DConfig{
			Batch: f.Depthwise.Batch, Height: height, Width: width, Channels: channels, Filters: filters,
			KernelHeight: 1, KernelWidth: 1, StrideHeight: 1, StrideWidth: 1, Direct: true,
		})
		must(tb, err)
		c.Finish(finish)
		y := make([]float32, c.sizeY())
		if z != nil {
			must(tb, c.ForwardAdd(y, x, w, b, z))
		} else {
			must(tb, c.Forward(y, x, w, b))
		}
		return y
	}
	x := t.x
	if f.Inputs > 0 {
		x = pointwise(x, t.expand, t.bias.Expand, nil, f.Inputs, f.Depthwise.Channels,
			f.Depthwise.Height, f.Depthwise.Width, f.Expand)
	}
	d, err := NewDepthwiseForward(engine, f.Depthwise, f.Middle)
	must(tb, err)
	y := make([]float32, f.Depthwise.Batch*height*width*f.Depthwise.Channels)
	must(tb, d.Forward(y, x, t.kernels, t.bias.Middle))
	if f.Filters == 0 {
		return y
	}
	return pointwise(y, t.project, t.bias.Project, t.z, f.Depthwise.Channels, f.Filters, height, width,
		f.Project)
}

func newTestChain(tb testing.TB, engine Engine, f DepthwiseChainConfig) (*DepthwiseChain,
	chainTensors) {
	c, err := NewDepthwiseChain(engine, f)
	must(tb, err)
	t := newChainTensors(f, c.height, c.width)
	expand, project := c.Pointwise()
	if expand != nil {
		_, err := expand.Pack(t.expand)
		must(tb, err)
	}
	if project != nil {
		_, err := project.Pack(t.project)
		must(tb, err)
	}
	return c, t
}

func TestDepthwiseChain(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for i, f := range chains() {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				c, tensors := newTestChain(t, engine, f)
				dirty := engine.Pool.scratch.take(2 * f.ChainMemory(engine.Pool.Threads()) / 4)
				for k := range dirty {
					dirty[k] = nan32 // what a call finds there must not matter
				}
				engine.Pool.scratch.give(dirty)
				run := func() {
					must(t, c.Forward(tensors.y, tensors.x, tensors.kernels, tensors.bias, tensors.z))
				}
				run()
				if allocations := fewestAllocations(run); allocations != 0 {
					t.Errorf("%g allocations", allocations)
				}
				same(t, fmt.Sprintf("%+v", f), tensors.y, tensors.alone(t, engine, f, c.height, c.width))
			})
		}
	})
}

func TestDepthwiseChainIsTheSameOnAnyThreads(t *testing.T) {
	for _, set := range Available() {
		for _, f := range chains() {
			var first []float32
			for _, threads := range []int{1, 2, 3, 7} {
				c, tensors := newTestChain(t, newEngine(t, set, threads), f)
				must(t, c.Forward(tensors.y, tensors.x, tensors.kernels, tensors.bias, tensors.z))
				if first == nil {
					first = tensors.y
				}
				same(t, fmt.Sprintf("%+v, %d threads", f, threads), tensors.y, first)
			}
		}
	}
}

func TestDepthwiseChainRefuses(t *testing.T) {
	engine := newEngine(t, "portable", 1)
	depthwise := DepthwiseConfig{1, 4, 4, 8, 3, 3, 1, 1, 1, 1, 0, 0, 1, 1}
	for name, change := range map[string]func(f *DepthwiseChainConfig){
		"no pointwise convolution": func(f *DepthwiseChainConfig) { f.Inputs, f.Filters = 0, 0 },
		"negative filters":         func(f *DepthwiseChainConfig) { f.Filters = -1 },
		"channels of no vectors":   func(f *DepthwiseChainConfig) { f.Depthwise.Channels = 9 },
		"a huge map":               func(f *DepthwiseChainConfig) { f.Depthwise.Width = 1 << 20 },
		"huge filters":             func(f *DepthwiseChainConfig) { f.Filters = 1 << 40 },
		"channels that nothing makes": func(f *DepthwiseChainConfig) {
			f.Inputs, f.ByChannels = 0, true
		},
		"a huge map by channels": func(f *DepthwiseChainConfig) {
			f.Depthwise.Height, f.ByChannels = 1<<20, true
		},
		"no stride": func(f *DepthwiseChainConfig) { f.Depthwise.StrideWidth = 0 },
	} {
		f := DepthwiseChainConfig{Depthwise: depthwise, Inputs: 4, Filters: 4}
		change(&f)
		if _, err := NewDepthwiseChain(engine, f); err == nil {
			t.Errorf("%s is no error", name)
		}
	}
	c, err := NewDepthwiseChain(engine, DepthwiseChainConfig{Depthwise: depthwise, Inputs: 4})
	must(t, err)
	x, y, kernels := make([]float32, 4*16), make([]float32, 8*16), make([]float32, 9*8)
	bias := ChainBias{Expand: make([]float32, 8)}
	if err := c.Forward(y, x, kernels, bias, nil); err == nil {
		t.Error("weights that are not packed are no error")
	}
	expand, _ := c.Pointwise()
	_, err = expand.Pack(make([]float32, 4*8))
	must(t, err)
	must(t, c.Forward(y, x, kernels, bias, nil))
	if err := c.Forward(y, x, kernels, bias, y); err == nil {
		t.Error("an addend without a projection is no error")
	}
	if err := c.Forward(y, x, kernels, ChainBias{}, nil); err == nil {
		t.Error("a missing bias is no error")
	}
	if err := c.Forward(y, x[1:], kernels, bias, nil); err == nil {
		t.Error("a short input is no error")
	}
}
