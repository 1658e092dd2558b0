package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// preActivation is a shape with the channels of the maps that are joined.
type preActivation struct {
	config PreActivatedConfig
	maps   []int
}

func preActivations() map[string]preActivation {
	relu, clip := Finish{Low: 0, High: nan32}, Finish{Low: -1, High: 0.5}
	gated := Finish{Low: nan32, High: nan32, Gate: &Gate{1. / 6, 0.5}}
	none, one := Border{}, Border{1, 1}
	return map[string]preActivation{
		"DenseNet's": {PreActivatedConfig{1, 28, 28, 160, 128, 0, nan32, relu, none, false},
			[]int{64, 32, 32, 32}},
		"a transition": {PreActivatedConfig{1, 1, 49, 256, 512, 0, nan32, NoFinish(), none, false},
			[]int{256}},
		"odd channels": {PreActivatedConfig{1, 1, 130, 45, 37, 0, 6, clip, none, false},
			[]int{3, 17, 0, 25}},
		"one of everything": {PreActivatedConfig{1, 1, 1, 1, 1, nan32, nan32, NoFinish(), none, false},
			[]int{1}},
		"few filters": {PreActivatedConfig{1, 1, 97, 24, 5, 0, nan32, gated, none, false},
			[]int{8, 16}},
		"many channels": {PreActivatedConfig{1, 1, 197, 2050, 96, 0, nan32, relu, none, false},
			[]int{1000, 1050}},
		"a panel and a half": {PreActivatedConfig{1, 1, 53, 33, 80, -1, 1, relu, none, false},
			[]int{33}},
		"a border": {PreActivatedConfig{1, 28, 28, 96, 128, 0, nan32, relu, one, false},
			[]int{64, 32}},
		"images with borders": {PreActivatedConfig{3, 5, 9, 20, 33, 0, 6, gated, Border{2, 1}, false},
			[]int{20}},
		"an image's border": {PreActivatedConfig{2, 1, 1, 7, 5, 0, 1, clip, Border{0, 3}, false}, []int{7}},
		"factors of each image": {PreActivatedConfig{3, 7, 7, 88, 96, nan32, nan32, relu, none, true},
			[]int{88}},
		"factors of an image": {PreActivatedConfig{1, 14, 14, 72, 24, nan32, nan32, NoFinish(), none,
			true}, []int{72}},
		"positions of tiles": {PreActivatedConfig{1, 1, 48, 16, 64, 0, nan32, NoFinish(), none, false},
			[]int{16}},
	}
}

type preActivationTensors struct {
	x                    []Features
	whole                []float32 // the maps, joined
	scale, shift, weight []float32
	bias, y, z           []float32
}

func newPreActivationTensors(f PreActivatedConfig, maps []int) preActivationTensors {
	r, factors := rand.New(rand.NewPCG(uint64(f.positions()), uint64(f.Filters))), f.Channels
	if f.PerImage {
		factors *= f.Batch
	}
	t := preActivationTensors{
		whole: make([]float32, f.positions()*f.Channels), scale: random(r, factors),
		weight: random(r, f.Filters*f.Channels),
		bias:   random(r, f.Filters), y: random(r, f.Border.span(f.Batch, f.Height, f.Width, f.Filters)),
	}
	if !f.PerImage {
		t.shift = random(r, f.Channels)
	}
	if f.Border == (Border{}) {
		t.z = random(r, len(t.y))
	}
	channel := 0
	for _, n := range maps {
		values := random(r, f.positions()*n)
		for i := range values {
			switch r.IntN(1000) {
			case 0:
				values[i] = nan32
			case 1:
				values[i] = float32(math.Inf(1 - 2*(i&1)))
			}
		}
		t.x = append(t.x, Features{values, n})
		for p := range f.positions() {
			copy(t.whole[p*f.Channels+channel:], values[p*n:(p+1)*n])
		}
		channel += n
	}
	return t
}

// alone normalises, and convolves then.
func (t preActivationTensors) alone(tb testing.TB, engine Engine, f PreActivatedConfig) []float32 {
	normalised, at := make([]float32, len(t.whole)), 0
	if f.PerImage {
		for i, v := range t.whole {
			normalised[i] = v * t.scale[i/(f.Height*f.Width*f.Channels)*f.Channels+i%f.Channels]
		}
	}
	for _, part := range t.x {
		if n := part.Channels; n > 0 && !f.PerImage {
			engine.ScaleRows(normalised[at:], f.Channels, part.Values, t.scale[at:at+n],
				t.shift[at:at+n], f.Low, f.High)
			at += n
		}
	}
	c, err := NewConv2D(engine, Conv2DConfig{
		Batch: 1, Height: 1, Width: f.positions(), Channels: f.Channels, Filters: f.Filters,
		KernelHeight: 1, KernelWidth: 1, StrideHeight: 1, StrideWidth: 1, Direct: true,
	})
	must(tb, err)
	c.Finish(f.Finish)
	y, want := make([]float32, f.positions()*f.Filters), slices.Clone(t.y)
	if t.z != nil {
		must(tb, c.ForwardAdd(y, normalised, t.weight, t.bias, t.z))
	} else {
		must(tb, c.Forward(y, normalised, t.weight, t.bias))
	}
	for i, at := range f.Border.offsets(f.Batch, f.Height, f.Width, f.Filters) {
		copy(want[at/4:], y[i*f.Filters:(i+1)*f.Filters])
	}
	return want
}

func newTestPreActivated(tb testing.TB, engine Engine, f PreActivatedConfig,
	maps []int) (*PreActivated, preActivationTensors) {
	p, err := NewPreActivated(engine, f)
	must(tb, err)
	t := newPreActivationTensors(f, maps)
	_, err = p.Pointwise().Pack(t.weight)
	must(tb, err)
	return p, t
}

func TestPreActivated(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for name, test := range preActivations() {
			p, tensors := newTestPreActivated(t, engine, test.config, test.maps)
			dirty := engine.Pool.scratch.take(len(p.work) * line(p.step*p.row))
			for k := range dirty {
				dirty[k] = nan32 // what a call finds there must not matter
			}
			engine.Pool.scratch.give(dirty)
			want := tensors.alone(t, engine, test.config)
			run := func() {
				must(t, p.Forward(tensors.y, tensors.x, tensors.scale, tensors.shift, tensors.bias,
					tensors.z))
			}
			run()
			if allocations := fewestAllocations(run); allocations != 0 {
				t.Errorf("%s: %g allocations", name, allocations)
			}
			same(t, name, tensors.y, want)
		}
	})
}

// TestPreActivatedBySums holds the plan against its definition in float64.
func TestPreActivatedBySums(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		f := PreActivatedConfig{1, 1, 61, 45, 37, 0, 2, Finish{Low: -3, High: 3}, Border{}, false}
		p, v := newTestPreActivated(t, engine, f, []int{45})
		x := random(rand.New(rand.NewPCG(3, 3)), len(v.whole))
		v.x[0].Values = x
		must(t, p.Forward(v.y, v.x, v.scale, v.shift, v.bias, nil))
		want := make([]float32, len(v.y))
		for at := range f.positions() {
			for o := range f.Filters {
				sum := float64(v.bias[o])
				for c := range f.Channels {
					n := float64(x[at*f.Channels+c])*float64(v.scale[c]) + float64(v.shift[c])
					sum += min(max(n, 0), 2) * float64(v.weight[o*f.Channels+c])
				}
				want[at*f.Filters+o] = float32(min(max(sum, -3), 3))
			}
		}
		near(t, "y", v.y, want, f.Channels)
	})
}

func TestPreActivatedIsTheSameOnAnyThreads(t *testing.T) {
	for _, set := range Available() {
		for name, test := range preActivations() {
			var first []float32
			for _, threads := range []int{1, 2, 3, 7} {
				p, v := newTestPreActivated(t, newEngine(t, set, threads), test.config, test.maps)
				must(t, p.Forward(v.y, v.x, v.scale, v.shift, v.bias, v.z))
				if first == nil {
					first = v.y
				}
				same(t, fmt.Sprintf("%s, %d threads", name, threads), v.y, first)
			}
		}
	}
}

func TestPreActivatedRefuses(t *testing.T) {
	engine := newEngine(t, "portable", 1)
	for name, f := range map[string]PreActivatedConfig{
		"no positions":  {1, 0, 4, 4, 4, 0, 0, Finish{}, Border{}, false},
		"no channels":   {1, 4, 4, 0, 4, 0, 0, Finish{}, Border{}, false},
		"no filters":    {1, 4, 4, 4, 0, 0, 0, Finish{}, Border{}, false},
		"huge channels": {1, 4, 4, 1 << 40, 4, 0, 0, Finish{}, Border{}, false},
		"a huge map":    {1 << 19, 1 << 19, 4, 4, 4, 0, 0, Finish{}, Border{}, false},
		"a huge side":   {1, 1 << 40, 4, 4, 4, 0, 0, Finish{}, Border{}, false},
		"a huge border": {1, 4, 4, 4, 4, 0, 0, Finish{}, Border{1 << 19, 1 << 19}, false},
		"no border":     {1, 4, 4, 4, 4, 0, 0, Finish{}, Border{-1, 0}, false},
	} {
		if _, err := NewPreActivated(engine, f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	p, err := NewPreActivated(engine, PreActivatedConfig{1, 1, 3, 4, 2, 0, 0, NoFinish(), Border{}, false})
	must(t, err)
	y, x, four, two := make([]float32, 6), make([]float32, 12), make([]float32, 4), make([]float32, 2)
	whole := []Features{{x, 4}}
	if err := p.Forward(y, whole, four, four, two, nil); err == nil {
		t.Error("weights that are not packed are no error")
	}
	_, err = p.Pointwise().Pack(make([]float32, 8))
	must(t, err)
	must(t, p.Forward(y, whole, four, four, two, nil))
	for name, parts := range map[string][]Features{
		"too few channels":  {{x[:9], 3}},
		"too many":          {{x, 4}, {x[:3], 1}},
		"negative ones":     {{x, 4}, {nil, -1}},
		"a short map":       {{x[1:], 4}},
		"channels and none": {},
	} {
		if err := p.Forward(y, parts, four, four, two, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := p.Forward(y, whole, two, four, two, nil); err == nil {
		t.Error("few factors are no error")
	}
	if err := p.Forward(y, whole, four, four, four, nil); err == nil {
		t.Error("a long bias is no error")
	}
	if err := p.Forward(y, whole, four, four, two, two); err == nil {
		t.Error("a short addend is no error")
	}
	apart := PreActivatedConfig{2, 1, 3, 4, 2, nan32, nan32, NoFinish(), Border{}, true}
	packed := func(f PreActivatedConfig) *PreActivated {
		p, err := NewPreActivated(engine, f)
		must(t, err)
		_, err = p.Pointwise().Pack(make([]float32, 8))
		must(t, err)
		return p
	}
	p = packed(apart)
	both := []Features{{make([]float32, 24), 4}}
	if err := p.Forward(make([]float32, 12), both, four, nil, two, nil); err == nil {
		t.Error("factors of one image for two are no error")
	}
	if err := p.Forward(make([]float32, 12), both, make([]float32, 8), four, two, nil); err == nil {
		t.Error("a shift beside factors of each image is no error")
	}
	bordered := PreActivatedConfig{1, 1, 3, 4, 2, nan32, nan32, NoFinish(), Border{1, 1}, false}
	p = packed(bordered)
	y = make([]float32, p.spanY())
	if err := p.Forward(y, whole, four, four, two, y); err == nil {
		t.Error("an addend between borders is no error")
	}
}
