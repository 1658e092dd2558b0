package train

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset/augment"
	"slipway/internal/datasettest"
)

func foundIn(t *testing.T, config Config, sweep RateSweep) RateCurve {
	t.Helper()
	curve, err := FindRate(t.Context(), smallNetwork(t), datasettest.Bars(t, 60), config, nil, sweep)
	if err != nil {
		t.Fatal(err)
	}
	return curve
}

// The curve is a function of the seed, on any number of threads.
func TestTheCurveIsAFunctionOfTheSeed(t *testing.T) {
	config := varyingConfig(builder.EngineNative)
	config.Threads = 1
	first := foundIn(t, config, RateSweep{})
	config.Threads = 3
	if again := foundIn(t, config, RateSweep{}); !reflect.DeepEqual(first, again) {
		t.Error("on three threads it is another one")
	}
	config.Seed++
	if other := foundIn(t, config, RateSweep{}); reflect.DeepEqual(first, other) {
		t.Error("another seed has the same one")
	}
}

// The steps are those of a training: at rates that are all but one, the losses are those of
// a run at that rate, whatever is done to images and gradients, over more than an epoch.
func TestASweepTrainsAsARunDoes(t *testing.T) {
	for name, set := range map[string]func(*Config){
		"plain": func(*Config) {},
		"augmentation": func(c *Config) {
			c.Augmentation = augment.Record{augment.Rotation{Degrees: 20}, augment.Shift{Pixels: 1}}
		},
		"accumulation": func(c *Config) { c.BatchSize, c.Accumulate = 3, 2 },
		"clipping":     func(c *Config) { c.ClipNorm = 0.1 },
	} {
		config := smallConfig(builder.EngineNative)
		set(&config)
		config.Epochs = 2
		var want []float64
		trainer := newSmallTrainer(t, config)
		t.Cleanup(trainer.Close)
		if err := trainer.Fit(t.Context(), Callbacks{Step: func(report StepReport) error {
			want = append(want, report.Loss)
			return nil
		}}); err != nil {
			t.Fatal(err)
		}
		rate := config.Optimizer.LearningRate
		curve := foundIn(t, config, RateSweep{First: rate, Last: rate * (1 + 1e-12), Steps: len(want)})
		if len(curve) != len(want) {
			t.Fatalf("%s: %d steps, want %d", name, len(curve), len(want))
		}
		for i, point := range curve {
			if math.Abs(point.Loss-want[i]) > 1e-6 {
				t.Errorf("%s: loss %v in step %d, want %v", name, point.Loss, i+1, want[i])
			}
		}
	}
}

// Rates go by a constant factor, the loss is smoothed as fast.ai does, and the sweep ends
// where it is four times the lowest, or no longer finite.
func TestPointsOfASweep(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		config := smallConfig(engine)
		config.Optimizer = OptimizerConfig{Name: "sgd"}
		curve := foundIn(t, config, RateSweep{First: 1e-3, Last: 1e6, Steps: 200})
		if len(curve) == 200 {
			t.Fatal("a rate of a million was survived")
		}
		sum, weights, lowest := 0.0, 0.0, math.Inf(1)
		for i, point := range curve {
			want := 1e-3 * math.Pow(10, 9*float64(i)/199)
			if point.Step != i+1 || math.Abs(point.Rate-want) > 1e-9*want {
				t.Errorf("point %d: step %d at %v, want %v", i, point.Step, point.Rate, want)
			}
			sum, weights = 0.98*sum+point.Loss, 0.98*weights+1
			if mean := sum / weights; math.Abs(point.Smoothed-mean) > 1e-9*mean {
				t.Errorf("point %d: smoothed %v, want %v", i, point.Smoothed, mean)
			}
			if lowest = min(lowest, point.Smoothed); point.Smoothed > 4*lowest && i != len(curve)-1 {
				t.Errorf("it goes on after point %d", i)
			}
		}
		if got := curve.Lowest(); got.Smoothed != lowest {
			t.Errorf("the lowest is %+v", got)
		}
	})
}

// A sweep leaves the weights that it begins with, and the network, as they are.
func TestASweepChangesNothing(t *testing.T) {
	network, set := smallNetwork(t), datasettest.Bars(t, 60)
	weights := network.InitialWeights(5)
	if _, err := FindRate(t.Context(), network, set, smallConfig(builder.EngineNative), weights,
		RateSweep{}); err != nil {
		t.Fatal(err)
	}
	equalWeights(t, weights, network.InitialWeights(5))
}

// The steepest fall is looked for before the lowest point, and not among the first.
func TestSteepest(t *testing.T) {
	curve := func(losses ...float64) RateCurve {
		var c RateCurve
		for i, loss := range losses {
			c = append(c, RatePoint{i + 1, math.Pow(10, float64(i)), loss, loss})
		}
		return c
	}
	for _, test := range []struct {
		curve RateCurve
		step  int // 0: it falls nowhere
	}{
		{curve(5, 4.9, 3, 2.5, 9, 8), 3},
		{curve(5, 1, 4, 3.5, 3, 2.9, 2.8, 2.7, 2.6, 2.5, 2.4, 2.3, 2.2, 2.1, 2, 1.9, 1.8, 1.7, 1.6, 0.5),
			20},
		{curve(1, 2, 3), 0},
		{curve(1), 0},
	} {
		point, falls := test.curve.Steepest()
		if falls != (test.step > 0) || point.Step != test.step {
			t.Errorf("%v: step %d, %v; want %d", test.curve, point.Step, falls, test.step)
		}
	}
}

func TestCurvesAreWritten(t *testing.T) {
	for name, curve := range map[string]RateCurve{
		"whole":    foundIn(t, smallConfig(builder.EngineNative), RateSweep{}),
		"one step": {{1, 1e-7, 2, 2}},
		"absurd":   {{1, 1e-7, 2, 2}, {2, 1e-6, 1e38, 1e37}},
	} {
		table, err := curve.CSV()
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Split(strings.TrimSpace(string(table)), "\n"); len(lines) != len(curve)+1 ||
			lines[0] != "step,rate,loss,smoothed" {
			t.Errorf("%s: the table is %q", name, table)
		}
		svg, err := curve.SVG("a <title>")
		if err != nil {
			t.Fatal(err)
		}
		drawn := map[string]bool{"smoothed": true, "each step": true, "lowest, at": true,
			"steepest, at": name == "whole"}
		for what, want := range drawn {
			if bytes.Contains(svg, []byte(what)) != want {
				t.Errorf("%s: the picture has %s: %t", name, what, !want)
			}
		}
		if err := xml.Unmarshal(svg, new(struct{})); err != nil ||
			!bytes.Contains(svg, []byte("learning rate")) {
			t.Errorf("%s: the picture is %.80q (%v)", name, svg, err)
		}
	}
}

func TestSweepsThatAreRefused(t *testing.T) {
	for want, sweep := range map[string]RateSweep{
		"the first learning rate is -1":       {First: -1},
		"learning rates from 1 to 0.1":        {First: 1, Last: 0.1},
		"learning rates from 1e-07 to +Inf":   {Last: math.Inf(1)},
		"the first learning rate is NaN":      {First: math.NaN()},
		"in 1 steps; at least 2 are needed":   {Steps: 1},
		"in -10 steps; at least 2 are needed": {Steps: -10},
	} {
		_, err := FindRate(t.Context(), smallNetwork(t), datasettest.Bars(t, 60),
			smallConfig(builder.EngineNative), nil, sweep)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", sweep, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := FindRate(ctx, smallNetwork(t), datasettest.Bars(t, 60),
		smallConfig(builder.EngineNative), nil, RateSweep{}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	config := smallConfig(builder.EngineNative)
	config.Optimizer = OptimizerConfig{Name: "sgd"}
	curve, err := FindRate(t.Context(), smallNetwork(t), datasettest.Bars(t, 60), config, nil,
		RateSweep{First: 1e30, Last: 1e31})
	if err != nil || len(curve) == 0 {
		t.Errorf("at absurd rates: %d points, %v", len(curve), err)
	}
}
