package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/scripts/golden/goldentest"
)

// normalisedNetwork has every way in which a normalisation lies between convolutions: one that
// reads the images, chains, a residual sum with and without a normalised other side, a depthwise
// convolution, one of one tap.
func normalisedNetwork(t *testing.T) *builder.Network {
	t.Helper()
	conv := func(name string, filters, kernel, groups int) builder.Layer {
		return builder.Conv2D{
			Name: name, Filters: filters, Kernel: builder.Square(kernel),
			Padding: builder.Square(kernel / 2), Groups: groups, NoBias: true,
		}
	}
	norm := func(name string) builder.Layer { return builder.BatchNorm{Name: name, Epsilon: 0.1} }
	g := builder.NewGraph("normalised", builder.Shape{3, 9, 8})
	x := g.Then(g.Input(), norm("bn0"), conv("a", 16, 3, 0), norm("bnA"), builder.ReLU{Name: "reluA"})
	y := g.Then(x, conv("b", 16, 3, 0), norm("bnB"), builder.ReLU6{Name: "reluB"}, conv("c", 16, 3, 0),
		norm("bnC"))
	x = g.Then(g.Join(builder.Add{Name: "add"}, y, x), builder.ReLU{Name: "relu"})
	y = g.Then(x, conv("d", 48, 1, 0), norm("bnD"), builder.ReLU6{Name: "reluD"}, conv("e", 48, 3, 48),
		norm("bnE"), builder.ReLU6{Name: "reluE"}, conv("f", 16, 1, 0), norm("bnF"))
	x = g.Join(builder.Add{Name: "linear"}, x, y)
	network, err := g.Network(g.Then(x, builder.GlobalAvgPool{}, builder.Flatten{},
		builder.Dense{Name: "fc", Units: 10}))
	if err != nil {
		t.Fatal(err)
	}
	return network
}

// lossGradients returns the gradients of two steps on the same batch, by the tensors that train.
func lossGradients(t *testing.T, network *builder.Network, engine *builder.Engine,
	config Config) [][]float32 {
	t.Helper()
	config, err := config.WithDefaults(network)
	if err != nil {
		t.Error(err)
		return nil
	}
	variables, err := builder.NewVariables(network, engine, network.InitialWeights(3))
	if err != nil {
		t.Error(err)
		return nil
	}
	const batch = 3
	p, err := compile(network, engine, variables, config, programKey{batch: batch, training: true},
		nil)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer p.machine.Close()
	var all [][]float32
	for range 2 {
		r := rand.New(rand.NewPCG(4, 4))
		images := p.graph.Images()
		for i := range images {
			images[i] = float32(r.NormFloat64())
		}
		for i := range p.labels {
			p.labels[i] = int32(r.IntN(10))
		}
		if err := p.run(); err != nil {
			t.Error(err)
			return nil
		}
		for i, at := range config.trained(network) {
			values := p.graph.Gradients[i].Value().(*tensor.Dense).Float32s()
			all = append(all, slices.Clone(variables.ToPublic(variables.Learned()[at], values)))
		}
	}
	return all
}

// A penalty on any layer's output and frozen tensors, some or all of a chain's, change who computes
// a normalisation, and nothing else: the gradients are those of the engine without any of that.
func TestPenalisedAndFrozenNormalisations(t *testing.T) {
	network := normalisedNetwork(t)
	native, err := builder.NewEngine(builder.EngineNative, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer native.Close()
	plain, err := builder.NewEngine(builder.EnginePlain, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for _, freeze := range [][]string{
		nil, {"a.*"}, {"bnA.*", "b.*"}, {"bn*"}, {"a.weight", "b.weight", "c.weight"},
		{"c.weight", "bnB.weight"},
		{"a*", "b*"}, {"bn0.*", "a*", "bnA.*", "b.weight"}, {"e.weight", "bnD.bias", "bnE.*"},
	} {
		for _, kept := range [][]string{
			nil, {"a"}, {"bnA"}, {"reluA"}, {"b", "bnC", "add"}, {"bn0", "reluB"}, {"bnD", "reluE"},
			{"relu", "e", "f"},
		} {
			config := Config{Freeze: freeze}
			for _, name := range kept {
				if config.ActivationPenalties == nil {
					config.ActivationPenalties = map[string]Penalty{}
				}
				config.ActivationPenalties[name] = Penalty{L2: 0.01}
			}
			want := lossGradients(t, network, plain, config)
			got := lossGradients(t, network, native, config)
			tolerance := goldentest.Tolerance{Relative: 1e-4, OfLargest: 2e-5}
			if goldentest.Compare(t, "gradients", slices.Concat(got...), slices.Concat(want...),
				tolerance); t.Failed() {
				t.Fatalf("frozen %q, penalised %q", freeze, kept)
			}
		}
	}
}

// Trainers that share an engine do not see each other's values.
func TestNormalisedNetworksShareAnEngine(t *testing.T) {
	network := normalisedNetwork(t)
	engine, err := builder.NewEngine(builder.EngineNative, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	want := lossGradients(t, network, engine, Config{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 3 {
				for i, gradient := range lossGradients(t, network, engine, Config{}) {
					if !slices.EqualFunc(gradient, want[i], func(a, b float32) bool {
						return math.Float32bits(a) == math.Float32bits(b)
					}) {
						t.Errorf("gradient %d has other bits beside other trainers", i)
					}
				}
			}
		})
	}
	group.Wait()
}
