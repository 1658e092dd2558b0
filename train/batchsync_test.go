package train

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/internal/datasettest"
)

// A batch that is dealt is normalised as a whole: its step is the undealt one's but for rounding,
// and so are the running statistics; of even shards and uneven ones, of single images and of shards
// without any, of several batches, pairs and images with weights, on every engine. (No layer has a
// bias in front of a normalisation: its gradient is 0, and rounding alone.)
func TestBatchNormOverTheWholeBatch(t *testing.T) {
	set := datasettest.Bars(t, 60)
	network := runs(t)["residual"].network
	type step struct{ shards, batch, accumulate, images int }
	eachEngine(t, func(t *testing.T, engine string) {
		for _, step := range []step{{2, 16, 0, 16}, {4, 16, 0, 13}, {8, 16, 0, 5}, {4, 8, 3, 21}} {
			for _, mixes := range []bool{false, true} {
				t.Run(fmt.Sprint(step, mixes), func(t *testing.T) {
					trainer := func(shards int) *Trainer {
						config := smallConfig(engine)
						config.BatchSize, config.Accumulate = step.batch, step.accumulate
						config.Shards = shards
						config.Optimizer = OptimizerConfig{Name: "sgd", LearningRate: 0.5}
						config.Loss.ClassWeights = ClassWeights{Balanced: true}
						if mixes {
							config.Mix.MixUp = 1
							config.Augmentation = augment.Record{augment.Shift{Pixels: 1}}
						}
						trainer, err := New(network, set, config, nil)
						if err != nil {
							t.Fatal(err)
						}
						t.Cleanup(trainer.Close)
						return trainer
					}
					dealt, whole := trainer(step.shards), trainer(1)
					got, gotGradients := stepOf(t, dealt, step.images)
					want, wantGradients := stepOf(t, whole, step.images)
					sameStep(t, got, want, gotGradients, wantGradients)

					dealt, whole = trainer(step.shards), trainer(1)
					for _, trainer := range []*Trainer{dealt, whole} {
						if err := trainer.step(t.Context(), trainer.batches.Order(0)[:step.images]); err != nil {
							t.Fatal(err)
						}
					}
					statistics := whole.Weights()
					for i, tensor := range dealt.Weights() {
						if !strings.Contains(tensor.Name, "running_") {
							continue
						}
						for k, value := range tensor.Data {
							want := statistics[i].Data[k]
							if math.Abs(float64(value-want)) > 1e-6*max(1, math.Abs(float64(want))) {
								t.Errorf("%s: %v, want %v", tensor.Name, tensor.Data, statistics[i].Data)
								break
							}
						}
					}
				})
			}
		}
	})
}

// coloured returns n images of noise, of ten classes.
func coloured(t testing.TB, n, height, width int) *dataset.Set {
	t.Helper()
	source := rand.New(rand.NewPCG(5, 6))
	images, labels := make([]uint8, n*3*height*width), make([]int32, n)
	for i := range images {
		images[i] = uint8(source.IntN(256))
	}
	for i := range labels {
		labels[i] = int32(i % 10)
	}
	set, err := dataset.NewSet("noise", images, labels, 3, height, width, 10)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// resnet20 and a network that fuses its normalisations in all ways are one run on any ranks, of
// which the last step has fewer images than ranks.
func TestNetworksWithBatchNormOnRanks(t *testing.T) {
	resnet, err := zoo.New("resnet20", builder.Shape{3, 16, 16}, 10)
	if err != nil {
		t.Fatal(err)
	}
	for name, run := range map[string]struct {
		network *builder.Network
		set     *dataset.Set
	}{
		"resnet20":   {resnet, coloured(t, 27, 16, 16)},
		"normalised": {normalisedNetwork(t), coloured(t, 27, 9, 8)},
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{BatchSize: 8, Epochs: 1, Shards: 4, Seed: 1, Threads: 1,
				Optimizer: OptimizerConfig{Name: "sgd", LearningRate: 0.1, Momentum: 0.9}}
			start := func(config Config) (*Trainer, error) { return New(run.network, run.set, config, nil) }
			want := ""
			for _, ranks := range []int{1, 2, 4} {
				for rank, c := range fitOnRanks(t, ranks, start, config) {
					got := digestOfRun(t, c)
					if want == "" {
						want = got
					}
					if got != want {
						t.Errorf("rank %d of %d: %s, want %s", rank, ranks, got, want)
					}
				}
			}
			dealt, err := start(config)
			if err != nil {
				t.Fatal(err)
			}
			defer dealt.Close()
			config.Shards = 0
			whole, err := start(config)
			if err != nil {
				t.Fatal(err)
			}
			defer whole.Close()
			got, gotGradients := stepOf(t, dealt, 8)
			wanted, wantGradients := stepOf(t, whole, 8)
			sameStep(t, got, wanted, gotGradients, wantGradients)
			if name != "resnet20" {
				return
			}
			// What docs/scale.md says of it.
			if err := dealt.shards.sync.rehearse(func(slot int) error {
				_, err := dealt.withoutImages(slot)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			bytes := 0
			for _, length := range dealt.shards.sync.lengths {
				bytes += 8 * length
			}
			if messages := len(dealt.shards.sync.lengths); messages != 42 || bytes != 26096 {
				t.Errorf("%d messages of %d bytes", messages, bytes)
			}
		})
	}
}

// breaksDown is a layer that breaks down once, forward or back, on one rank.
type breaksDown struct {
	Name  string        `json:"name"`
	calls *atomic.Int64 // that are left before it does; shared by all ranks
	back  bool
}

func (breaksDown) Kind() string { return "BreaksDown" }

func (l breaksDown) Infer(inputs []builder.Shape) (builder.Inferred, error) {
	return builder.Inferred{Layer: l, Output: inputs[0]}, nil
}

func (l breaksDown) Compute(builder.Call) (builder.Computation, error) {
	pass := func(back bool, to, from []float32) error {
		copy(to, from)
		if back == l.back && l.calls.Add(-1) == 0 {
			return errors.New("it breaks down")
		}
		return nil
	}
	return builder.Computation{
		Forward: func(y []float32, in [][]float32) error { return pass(false, y, in[0]) },
		Backward: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
			return pass(true, d[0], dy)
		},
	}, nil
}

// A rank that fails in the middle of a step, between two normalisations, ends the run on all, at
// that step and without waiting for what does not come.
func TestARankThatFailsBetweenNormalisations(t *testing.T) {
	conv := builder.Conv2D{Filters: 3, Kernel: builder.Square(3), Padding: builder.Square(1),
		NoBias: true}
	for _, accumulate := range []int{0, 2} {
		for place := range 4 { // before all, among and behind the normalisations
			for _, back := range []bool{false, true} {
				for _, calls := range []int64{1, 9, 14} {
					left := new(atomic.Int64)
					at := []int{0, 2, 4, 6}[place]
					layers := slices.Insert([]builder.Layer{conv, builder.BatchNorm{}, conv, builder.BatchNorm{},
						builder.Flatten{}, builder.Dense{Units: 3}}, at,
						builder.Layer(breaksDown{calls: left, back: back}))
					if at == 0 { // whose gradient nobody asks for
						layers = append([]builder.Layer{builder.Scale{}}, layers...)
					}
					network, err := builder.New("failing", builder.Shape{1, 6, 6}, layers...)
					if err != nil {
						t.Fatal(err)
					}
					name := fmt.Sprint(accumulate, " ", place, back, calls)
					left.Store(math.MaxInt64 / 2)
					own, steps := 0, make([]int, 4)
					for rank, err := range onRanks(4, func(rank *LocalRank) error {
						config := smallConfig(builder.EngineNative)
						config.Communicator, config.Shards, config.Accumulate = rank, 8, accumulate
						config.ExchangeTimeout, config.Threads = 30*time.Second, 1
						trainer, err := New(network, datasettest.Bars(t, 60), config, nil)
						if err != nil {
							return err
						}
						defer trainer.Close()
						err = trainer.Fit(t.Context(), Callbacks{Step: func(report StepReport) error {
							if rank.Rank() == 0 && report.Step == 1 && report.Epoch == 1 {
								left.Store(calls)
							}
							return nil
						}})
						steps[rank.Rank()] = trainer.Progress().Step
						return err
					}) {
						var failed *OwnError
						if errors.As(err, &failed) {
							own++
						}
						if err == nil || !OnAllRanks(err) || !strings.Contains(err.Error(), "it breaks down") {
							t.Errorf("%s: rank %d: %v", name, rank, err)
						}
						if steps[rank] != steps[0] {
							t.Errorf("%s: the ranks stopped after steps %v", name, steps)
						}
					}
					if own != 1 {
						t.Errorf("%s: %d ranks failed", name, own)
					}
				}
			}
		}
	}
}

// Shards whose graphs normalise in another order, or another number of channels, are an error.
func TestShardsThatDoNotMeet(t *testing.T) {
	for want, layers := range map[error][2]string{errUnlike: {"a", "b"}, nil: {"a", "a"}} {
		b := newBatchSync(2, nil)
		err := b.run(t.Context(), []int{0, 1}, func(slot int) error {
			mean, variance := []float64{float64(slot)}, []float64{1}
			all, err := b.layersOf(slot, false)(layers[slot]).Moments(2+slot, mean, variance)
			if err == nil &&
				(all != 5 || math.Abs(mean[0]-0.6) > 1e-15 || math.Abs(variance[0]-1.24) > 1e-15) {
				t.Errorf("%d values of %v, %v", all, mean, variance)
			}
			return err
		})
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}
