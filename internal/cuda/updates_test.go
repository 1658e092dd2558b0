//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"math"
	"slices"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
	"slipway/internal/device"
	"slipway/train"
)

// recipes are such runs, of an epoch whose last step is short.
func recipes() []recipe {
	bars := func(t testing.TB) *dataset.Set { return datasettest.Bars(t, 60) }
	small := func(name string, change func(c *train.Config)) recipe {
		r := recipe{name: name, network: smallNetwork, set: bars, config: smallConfig()}
		change(&r.config)
		return r
	}
	pictures := func(t testing.TB) *dataset.Set { return colours(t, 22) }
	accumulated := normalisedConfig(nil)
	accumulated.Accumulate, accumulated.BatchSize = 3, 3
	accumulated.Optimizer.LearningRate = 0.003
	adamw := train.OptimizerConfig{Name: "adamw", LearningRate: 0.01, WeightDecay: 0.1}
	sgd := train.OptimizerConfig{Name: "sgd", LearningRate: 0.05, Momentum: 0.9, WeightDecay: 0.01}
	averaged := accumulated
	averaged.EMA = train.EMA{Decay: 0.99, Warmup: true}
	patience := 0
	return []recipe{
		small("cosine", func(c *train.Config) {
			c.Optimizer = adamw
			c.Schedule = train.Schedule{Name: train.ScheduleCosine, WarmupEpochs: 0.5}
		}),
		small("one-cycle", func(c *train.Config) {
			c.Optimizer, c.Schedule = sgd, train.Schedule{Name: train.ScheduleOneCycle}
		}),
		small("plateau", func(c *train.Config) {
			c.ValidationFraction = 0.25
			c.Schedule = train.Schedule{Name: train.SchedulePlateau, PlateauPatience: &patience,
				PlateauThreshold: 0.5}
		}),
		small("frozen", func(c *train.Config) {
			c.Freeze = []string{"conv1.*", "*.bias"}
			c.ParameterPenalty = train.Penalty{L1: 0.001, L2: 0.001}
		}),
		small("phases", func(c *train.Config) {
			c.Optimizer, c.Freeze = adamw, []string{train.TrunkWord}
			c.FineTune = train.FineTune{FreezeUntil: 2}
		}),
		small("phases by momentum", func(c *train.Config) {
			c.Optimizer, c.Freeze = sgd, []string{train.TrunkWord}
			c.FineTune = train.FineTune{FreezeUntil: 3}
		}),
		small("rates", func(c *train.Config) {
			c.FineTune.Rates = []train.Rate{{Pattern: train.HeadWord, LearningRate: 0.02},
				{Pattern: "conv1.*", LearningRate: 0.002}}
			c.Schedule.Name = train.ScheduleLinear
		}),
		small("decay of weights", func(c *train.Config) {
			c.Optimizer, c.Decay = sgd, train.DecayWeights
			c.ParameterPenalty = train.Penalty{L1: 0.001, L2: 0.001}
		}),
		small("clipped", func(c *train.Config) { c.Optimizer, c.ClipNorm = sgd, 0.3 }),
		small("averaged", func(c *train.Config) {
			c.EMA, c.ValidationFraction = train.EMA{Decay: 0.9}, 0.25
		}),
		{"accumulated", uneven, bars, train.Config{Data: "bars", BatchSize: 7, Accumulate: 3, Epochs: 3,
			Seed: 7, Pixels: train.PixelsUnit, Optimizer: adamw,
			ParameterPenalty:    train.Penalty{L1: 0.001, L2: 0.001},
			ActivationPenalties: map[string]train.Penalty{"relu1": {L1: 0.01, L2: 0.01}}}, false},
		small("lion", func(c *train.Config) {
			c.Optimizer = train.OptimizerConfig{Name: "lion", LearningRate: 1e-4, WeightDecay: 5}
		}),
		{"normalised, accumulated and averaged", inverted, pictures, averaged, false},
		{"accumulated, with paths that are dropped", func(t testing.TB) *builder.Network {
			return families(t)["convnext"]
		}, pictures, accumulated, false},
		{"frozen statistics", func(t testing.TB) *builder.Network {
			network, err := train.FreezeStatistics(inverted(t), []string{"bn1", "bn4"}, "")
			if err != nil {
				t.Fatal(err)
			}
			return network
		}, pictures, accumulated, false},
		small("all of it", func(c *train.Config) {
			c.Optimizer, c.Freeze = adamw, []string{"conv1.*"}
			c.FineTune = train.FineTune{FreezeUntil: 2,
				Rates: []train.Rate{{Pattern: train.HeadWord, LearningRate: 0.02}}}
			c.Decay, c.ClipNorm, c.EMA = train.DecayWeights, 0.3, train.EMA{Decay: 0.9, Warmup: true}
			c.Schedule = train.Schedule{Name: train.ScheduleCosine, WarmupEpochs: 1}
			c.Accumulate, c.BatchSize, c.ValidationFraction = 2, 4, 0.25
		}),
	}
}

// uneven is a network with dropout, in a launch of its own and behind a rectifier, of numbers of
// values that quads do not divide: a batch of a step may begin within one.
func uneven(t testing.TB) *builder.Network {
	return mustNew(t, "uneven", builder.Shape{1, 6, 6}, builder.Flatten{}, builder.Dense{Units: 7},
		builder.Tanh{}, builder.Dropout{P: 0.25}, builder.Dense{Units: 5}, builder.ReLU{},
		builder.Dropout{P: 0.25}, builder.Dense{Units: 3})
}

// Recipes of the optimizer hold, as check says.
func TestRecipes(t *testing.T) {
	for _, r := range recipes() {
		t.Run(r.name, r.check)
	}
}

// What a run's averaged weights are worth is evaluated on the device, as what those are worth that
// are trained is; an evaluation leaves both as they are.
func TestAveragedWeightsAreEvaluated(t *testing.T) {
	r := recipes()[slices.IndexFunc(recipes(), func(r recipe) bool { return r.name == "averaged" })]
	set := r.set(t)
	var seen [2][]*train.Evaluation
	for i, at := range []device.Device{nil, openDevice(t)} {
		trainer := r.begin(t, at)
		evaluate := func() error {
			evaluation, err := trainer.Evaluate(t.Context(), set)
			seen[i] = append(seen[i], evaluation)
			return err
		}
		err := trainer.Fit(t.Context(), train.Callbacks{
			Epoch: func(*train.Epoch) error { return evaluate() }})
		if err := errors.Join(err, evaluate()); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range seen[0] {
		if e := relativeError(seen[1][i].Logits, want.Logits); e > 1e-3 {
			t.Errorf("evaluation %d: logits %.2g of their largest off", i+1, e)
		}
	}
}

// An average goes its share of the way to the weights, takes them as they are with a share of 1, and
// stays where a step has diverged.
func TestAStepOfAnAverage(t *testing.T) {
	g := openDevice(t)
	for at, want := range map[ledger][]float32{
		{Average: 0.25}:              {1.25, -0.75, 7.5e8},
		{Average: 1}:                 {2, 0, 1e-9},
		{Average: 0.25, Diverged: 1}: {1, -1, 1e9},
	} {
		memory, got := pool{gpu: g}, make([]float32, 3)
		if err := g.thread.do(func() (err error) {
			defer func() { err = errors.Join(err, memory.free()) }()
			var buffers [3]*buffer
			for i, bytes := range []int64{ledgerBytes, 12, 12} {
				if buffers[i], err = memory.allocate("a test", bytes); err != nil {
					return err
				}
			}
			ledgers, weights, average := buffers[0], buffers[1], buffers[2]
			// Two weights, and a statistic behind them.
			l, err := g.kernel("average_weights", 3, 1, ledgers, weights, average, 2,
				weights.part(8, 4), average.part(8, 4), 1)
			return errors.Join(err, upload(g, ledgers, []ledger{at}),
				upload(g, weights, []float32{2, 0, 1e-9}), upload(g, average, []float32{1, -1, 1e9}),
				runAll(g, []launch{l}), download(g, got, average))
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%+v: the average is %v, want %v", at, got, want)
		}
	}
}

// A norm that is not finite ends the run at its step, which has changed nothing, as on the CPU.
func TestGradientsThatOverflow(t *testing.T) {
	network := mustNew(t, "overflow", builder.Shape{1, 6, 6}, builder.Flatten{},
		builder.Dense{Units: 8}, builder.Dense{Units: 3})
	// Logits of 0, since the first layer's weights are, and 3e38·255 in their gradient.
	weights := network.InitialWeights(1)
	for i := range weights {
		for j := range weights[i].Data {
			weights[i].Data[j] = 0
			if weights[i].Name == "fc2.weight" {
				weights[i].Data[j] = float32(3e38 * float64(1-2*(j/8%2)))
			}
		}
	}
	config := smallConfig()
	config.ClipNorm, config.Optimizer = 1, train.OptimizerConfig{Name: "sgd", LearningRate: 0.01}
	config.Pixels = train.PixelsRaw
	diverge := func(at device.Device) *train.DivergedError {
		config.Device = at
		trainer, err := train.New(network, datasettest.Bars(t, 60), config, weights)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		var diverged *train.DivergedError
		if err := trainer.Fit(t.Context(), train.Callbacks{}); !errors.As(err, &diverged) {
			t.Fatalf("error %v, want a DivergedError", err)
		}
		return diverged
	}
	want := diverge(nil)
	g := openDevice(t)
	got := diverge(recorder{g, func(s *session, _ int) error {
		state, err := s.State()
		if err == nil {
			sameTensors(t, "after a step whose gradients overflowed", state.Weights, weights)
		}
		return err
	}})
	if got.Error() != want.Error() || !want.Gradients {
		t.Errorf("%v, the native engine says %v", got, want)
	}
}

// The norm of more gradients than a block takes is theirs, and the same bits each time. A graph has
// what it is limited to.
func TestTheNormOfManyGradients(t *testing.T) {
	const most = 2
	g := openDevice(t)
	values, squares := make([]float32, 4096*5+100), 0.0
	for i := range values {
		values[i] = float32(math.Sin(float64(i)))
		squares += float64(values[i]) * float64(values[i])
	}
	want := math.Sqrt(squares)
	s := &session{gpu: g, job: device.Job{ClipNorm: most}, layout: layout{total: len(values)}}
	p := &program{memory: pool{gpu: g}}
	var got [2][1]ledger
	if err := g.thread.do(func() (err error) {
		defer func() { err = errors.Join(err, p.memory.free()) }()
		gradients, err := p.memory.allocateFloats("gradients", len(values))
		if err != nil {
			return err
		}
		if s.ledger, err = p.memory.allocate("ledger", ledgerBytes); err != nil {
			return err
		}
		if err := errors.Join(upload(g, gradients, values), s.clip(p, gradients)); err != nil {
			return err
		}
		for i := range got {
			if err := errors.Join(upload(g, s.ledger, []ledger{{Clip: 1}}), runAll(g, p.launches),
				download(g, got[i][:], s.ledger)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	first := got[0][0]
	if p.launches[0].blocks < 2 || math.Abs(first.Norm-want) > 1e-12*want ||
		first.Clip != float32(most/(first.Norm+1e-6)) {
		t.Errorf("%d blocks find the norm %v and the factor %v, want %v", p.launches[0].blocks,
			first.Norm, first.Clip, want)
	}
	if got[1][0] != first {
		t.Errorf("a second time %+v, before %+v", got[1][0], first)
	}
}

// Steps of several batches, with all that an optimizer does, are one graph each, which allocates
// nothing: what differs from step to step lies on the device before the epoch begins.
func TestASteadyStepOfARecipeAllocatesNothing(t *testing.T) {
	t.Setenv(GraphStepsVariable, "1")
	all := recipes()
	r := all[len(all)-1]
	g := openDevice(t)
	r.config.FineTune.FreezeUntil, r.config.BatchSize, r.config.Epochs = 0, 2, 2
	var n noted
	trainer := r.begin(t, n.by(g))
	if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
		t.Fatal(err)
	}
	n.areGraphs(t, 3, 11) // the twelfth of an epoch is short
	want := []string{"accumulate", "gradient_norm", "adam", "average_weights"}
	if got := n.launched[len(n.launched)-4:]; !slices.Equal(got, want) {
		t.Errorf("a step ends with %v, want %v", got, want)
	}
	if n.count("begin_step") != 2 || n.count("accumulate") != 2 || n.count("adam") != 1 {
		t.Errorf("a step of two batches is %v", n.launched)
	}
	t.Logf("a step of two batches is 1 graph of %d launches: %v", len(n.launched), n.launched)
}
