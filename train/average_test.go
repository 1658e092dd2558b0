package train

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
	"slipway/scripts/golden/goldentest"
)

func TestAveragesAgreeWithTimm(t *testing.T) {
	for _, c := range goldentest.Read(t, filepath.Join("testdata", "averages.safetensors")).Cases {
		t.Run(c.Name, func(t *testing.T) {
			var ema EMA
			if err := json.Unmarshal(c.EMA, &ema); err != nil {
				t.Fatal(err)
			}
			eachEngine(t, func(t *testing.T, name string) {
				engine, err := builder.NewEngine(name, 2)
				if err != nil {
					t.Fatal(err)
				}
				defer engine.Close()
				count := len(c.Floats(t, "weights 1"))
				network, err := builder.New("dense", builder.Shape{1},
					builder.Dense{Units: count, NoBias: true})
				if err != nil {
					t.Fatal(err)
				}
				variables, err := builder.NewVariables(network, engine, network.InitialWeights(1))
				if err != nil {
					t.Fatal(err)
				}
				average, err := newAverage(ema, engine, variables)
				if err != nil {
					t.Fatal(err)
				}
				for step := 1; step <= c.Steps; step++ {
					variables.FromPublic(0, variables.Values()[0].Float32s(),
						c.Floats(t, fmt.Sprint("weights ", step)))
					if err := average.take(variables, step); err != nil {
						t.Fatal(err)
					}
					goldentest.Compare(t, fmt.Sprint("average ", step), average.weights(variables)[0].Data,
						c.Floats(t, fmt.Sprint("average ", step)),
						goldentest.Tolerance{Relative: 1e-6, OfLargest: 3e-7})
				}
			})
		})
	}
}

// What is validated, exported and read for another run is the average, statistics included; what
// is trained on, and is told beside, are the weights of the last step.
func TestTheAverageIsTheRunsResult(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		config := smallConfig(engine)
		config.ValidationFraction = 0.2
		set := datasettest.Bars(t, 60)
		fit := func(ema EMA) *Trainer {
			config.EMA = ema
			return trained(t)(New(smallNormalised(t), set, config, nil))
		}
		plain, averaged := fit(EMA{}), fit(EMA{Decay: 0.9})
		equalWeights(t, averaged.Checkpoint().Weights, plain.Checkpoint().Weights)
		for i, was := range plain.Progress().History {
			is := averaged.Progress().History[i]
			if is.MeanLoss != was.MeanLoss || *is.RawValidationLoss != *was.ValidationLoss ||
				*is.RawValidationAccuracy != *was.ValidationAccuracy {
				t.Errorf("epoch %d was trained otherwise", was.Epoch)
			}
			if *is.ValidationLoss == *is.RawValidationLoss {
				t.Errorf("epoch %d: the average was not validated", was.Epoch)
			}
			if was.RawValidationLoss != nil {
				t.Errorf("epoch %d of a run without an average has a loss of one", was.Epoch)
			}
		}
		path := filepath.Join(t.TempDir(), "checkpoint.safetensors")
		if err := WriteCheckpoint(path, averaged.Checkpoint()); err != nil {
			t.Fatal(err)
		}
		checkpoint, err := ReadCheckpoint(path)
		if err != nil {
			t.Fatal(err)
		}
		read, _, err := ReadWeights(path, smallNormalised(t))
		if err != nil {
			t.Fatal(err)
		}
		equalWeights(t, averaged.Weights(), checkpoint.Average)
		equalWeights(t, averaged.Weights(), checkpoint.Result())
		equalWeights(t, averaged.Weights(), read)
		for i, tensor := range checkpoint.Average {
			if slices.Equal(tensor.Data, checkpoint.Weights[i].Data) {
				t.Errorf("%s is not averaged", tensor.Name)
			}
		}
		evaluation, err := averaged.Evaluate(t.Context(), averaged.validation)
		if err != nil {
			t.Fatal(err)
		}
		history := averaged.Progress().History
		if last := *history[len(history)-1].ValidationLoss; evaluation.Loss != last {
			t.Errorf("validation loss %v at the end, %v after the last epoch", evaluation.Loss, last)
		}
	})
}

func TestEMARejects(t *testing.T) {
	for want, ema := range map[string]EMA{
		"decay 1 is out of range":    {Decay: 1},
		"decay -0.1 is out of range": {Decay: -0.1},
		"decay NaN is out of range":  {Decay: math.NaN()},
		"a warm-up of no decay":      {Warmup: true},
	} {
		config := smallConfig(builder.DefaultEngine)
		config.EMA = ema
		if _, err := config.WithDefaults(smallNetwork(t)); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", ema, err, want)
		}
	}
}

// An average costs one pass over the weights a step.
func BenchmarkAverage(b *testing.B) {
	network, err := builder.New("dense", builder.Shape{1024}, builder.Dense{Units: 1024})
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range builder.EngineNames() {
		engine, err := builder.NewEngine(name, 1)
		if err != nil {
			b.Fatal(err)
		}
		defer engine.Close()
		variables, err := builder.NewVariables(network, engine, network.InitialWeights(1))
		if err != nil {
			b.Fatal(err)
		}
		average, err := newAverage(EMA{Decay: 0.99}, engine, variables)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(4 * int64(network.ParameterCount()))
			for b.Loop() {
				if err := average.take(variables, 2); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
