//go:build gpu && linux && amd64

package cuda

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/internal/datasettest"
	"slipway/train"
)

// holdsNothing is a limit below any set's bytes: all are fed.
const holdsNothing = 1

// fedRun is a run whose batches are fed, or that chooses images or tells them otherwise.
type fedRun struct {
	change func(*train.Config)
	set    *dataset.Set
	large  bool // for the device
	fed    bool
}

// fedRuns are what batches are fed for, each with others of what a device had none of before.
func fedRuns(t *testing.T) map[string]fedRun {
	bars, stripes := datasettest.Bars(t, 60), datasettest.Stripes(t, 60)
	shifted := augment.Record{augment.Rotation{Degrees: 10}, augment.Shift{Pixels: 1}}
	weights := train.ClassWeights{Values: []float64{1, 2.5, 0.3}}
	both := train.Mix{MixUp: 0.8, CutMix: 1, Probability: 0.9}
	return map[string]fedRun{
		"augmented": {func(c *train.Config) { c.Augmentation = shifted }, bars, false, true},
		"large":     {func(*train.Config) {}, bars, true, true},
		"balanced": {func(c *train.Config) { c.Sampling = train.SamplingBalanced }, bars, false,
			false},
		"balanced, augmented": {func(c *train.Config) {
			c.Sampling, c.Augmentation = train.SamplingBalanced, shifted
		}, bars, false, true},
		"mixed": {func(c *train.Config) { c.Mix = both }, bars, false, true},
		"mixed, everything": {func(c *train.Config) {
			c.Mix, c.Augmentation = both, shifted
			c.Loss = train.Loss{Smoothing: 0.1, ClassWeights: weights}
		}, bars, true, true},
		"mixed, focal": {func(c *train.Config) {
			c.Mix, c.Loss = train.Mix{CutMix: 1}, train.Loss{Name: train.LossFocal, ClassWeights: weights}
		}, bars, false, true},
		"whatever the optimizer does": {func(c *train.Config) {
			c.Mix, c.Augmentation = both, shifted
			c.Schedule, c.Accumulate = train.Schedule{Name: train.ScheduleCosine}, 2
			c.EMA, c.ClipNorm = train.EMA{Decay: 0.9}, 1
		}, bars, true, true},
		"binary": {func(c *train.Config) { c.Loss = train.Loss{Name: train.LossBinary} }, bars, false,
			false},
		"binary, mixed": {func(c *train.Config) {
			c.Mix = both
			c.Loss = train.Loss{Name: train.LossBinary, Smoothing: 0.1, ClassWeights: weights}
		}, bars, false, true},
		"several labels": {func(*train.Config) {}, stripes, false, false},
		"several labels, large": {func(c *train.Config) {
			c.Loss = train.Loss{Name: train.LossBinary, Smoothing: 0.1, ClassWeights: weights}
			c.Mix, c.Augmentation = both, shifted
		}, stripes, true, true},
	}
}

// A run that is fed has the native engine's history, and so has one that chooses images or tells
// them otherwise than by one label.
func TestAFedRunHasTheNativeEnginesHistory(t *testing.T) {
	for name, test := range fedRuns(t) {
		t.Run(name, func(t *testing.T) {
			config := smallConfig()
			config.ValidationFraction = 0.25 // 45 images: the last batch is short, and odd
			test.change(&config)
			native := fitOn(t, config, test.set)
			defer native.Close()
			g := openDevice(t)
			if test.large {
				g.setBytes = holdsNothing
			}
			config.Device = g
			device := fitOn(t, config, test.set)
			defer device.Close()
			for i, want := range native.Progress().History {
				got := device.Progress().History[i]
				if got.Steps != want.Steps || got.TrainAccuracy != want.TrainAccuracy ||
					*got.ValidationAccuracy != *want.ValidationAccuracy {
					t.Errorf("epoch %d: %+v, the native engine has %+v", i+1, got, want)
				}
				// As TestARunHasTheNativeEnginesHistory: 18 steps of at most a hundred roundings each.
				for _, pair := range [][2]float64{
					{got.MeanLoss, want.MeanLoss}, {got.LastLoss, want.LastLoss},
					{got.MeanCrossEntropy, want.MeanCrossEntropy},
					{*got.ValidationLoss, *want.ValidationLoss},
				} {
					if math.Abs(pair[0]-pair[1]) > 1e-4*math.Abs(pair[1]) {
						t.Errorf("epoch %d: %v, the native engine has %v", i+1, pair[0], pair[1])
					}
				}
			}
			for i, weight := range native.Weights() {
				if e := relativeError(device.Weights()[i].Data, weight.Data); e > 1e-3 {
					t.Errorf("%s is %.2g of its largest off after the run", weight.Name, e)
				}
			}
			onDevice, err := device.Evaluate(t.Context(), test.set)
			if err != nil {
				t.Fatal(err)
			}
			onCPU, err := native.Evaluate(t.Context(), test.set)
			if err != nil {
				t.Fatal(err)
			}
			e := relativeError(onDevice.Logits, onCPU.Logits)
			if e > 1e-3 || onDevice.Correct != onCPU.Correct {
				t.Errorf("logits %.2g of their largest off, %d right, the native engine has %d", e,
					onDevice.Correct, onCPU.Correct)
			}
		})
	}
}

// Ten steps of E1 whose batches are fed have the losses and the gradients of the native engine, and
// the bits of steps that take the same images from the device.
func TestTenFedSteps(t *testing.T) {
	const lossTolerance, gradientTolerance = 1e-5, 1e-4
	set := datasettest.Digits(t, 9*32+20)
	network, config := experiment(t, "e1")
	want := nativeSteps(t, network, set, config)
	g := openDevice(t)
	resident := deviceSteps(t, g, network, set, config)
	g.setBytes = holdsNothing
	fed := deviceSteps(t, g, network, set, config)
	compareSteps(t, fed, want, lossTolerance, gradientTolerance)
	for i := range fed {
		if fed[i].loss != resident[i].loss {
			t.Errorf("step %d: the loss is %v fed, and %v otherwise", i+1, fed[i].loss, resident[i].loss)
		}
		compareBits(t, fmt.Sprintf("fed, after step %d", i+1), fed[i].weights, resident[i].weights)
	}
}

// compareBits reports the first value of each tensor that has other bits.
func compareBits(t *testing.T, what string, got, want builder.Weights) {
	t.Helper()
	for i := range want {
		for j, value := range want[i].Data {
			if math.Float32bits(got[i].Data[j]) != math.Float32bits(value) {
				t.Errorf("%s: %s[%d] is %v, before %v", what, want[i].Name, j, got[i].Data[j], value)
				break
			}
		}
	}
}

// The same run has the same bits, whatever fresh memory holds, on any number of the host's threads,
// with graphs and without; and so has one that was interrupted in the middle of an epoch.
func TestAFedRunHasTheSameBits(t *testing.T) {
	for _, name := range []string{"augmented", "mixed, everything", "several labels, large"} {
		t.Run(name, func(t *testing.T) {
			test := fedRuns(t)[name]
			g := openDevice(t)
			if test.large {
				g.setBytes = holdsNothing
			}
			config := smallConfig()
			config.Device = g
			test.change(&config)
			weights := func(threads int) builder.Weights {
				own := config
				own.Threads = threads
				trainer := fitOn(t, own, test.set)
				defer trainer.Close()
				return trainer.Weights()
			}
			want := weights(1)
			compareBits(t, "again, with three threads", weights(3), want)
			t.Run("without graphs", func(t *testing.T) {
				t.Setenv(GraphsVariable, "0")
				compareBits(t, "launch by launch", weights(1), want)
			})
			t.Run("in one stream", func(t *testing.T) {
				t.Setenv(StreamsVariable, "1")
				compareBits(t, "in one stream", weights(1), want)
			})
			t.Run("other memory", func(t *testing.T) {
				needSimulator(t)
				defer simulated.Fill(0xffffffff)
				simulated.Fill(0x42280000) // 42 as a float32
				compareBits(t, "with other fresh memory", weights(1), want)
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			broken, err := train.New(smallNetwork(t), test.set, config, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer broken.Close()
			steps := 0
			if err := broken.Fit(ctx, train.Callbacks{Step: func(train.StepReport) error {
				if steps++; steps == 11 {
					cancel()
				}
				return nil
			}}); !errors.Is(err, train.ErrInterrupted) {
				t.Fatalf("Fit returned %v, want ErrInterrupted", err)
			}
			if done := broken.Progress(); done.Step != 11 || done.EpochStep != 3 || done.Images != 24 {
				t.Errorf("interrupted at %+v; want step 11, 3 of the epoch with 24 images", done)
			}
			resumed, err := train.Resume(broken.Checkpoint(), test.set, config)
			if err != nil {
				t.Fatal(err)
			}
			defer resumed.Close()
			if err := resumed.Fit(t.Context(), train.Callbacks{}); err != nil {
				t.Fatal(err)
			}
			compareBits(t, "resumed", resumed.Weights(), want)
		})
	}
}

// A steady step that is fed is one graph behind one copy, from page-locked memory, and one launch,
// which brings the batch to where the step reads it. The host waits for nothing but the copy before
// the last, and looks at the loss once in 16 steps.
func TestASteadyFedStepIsAGraphAndACopy(t *testing.T) {
	needSimulator(t)
	g := openDevice(t)
	network, config := experiment(t, "e1")
	config.BatchSize = 8
	config.Augmentation = augment.Record{augment.Shift{Pixels: 1}}
	type seen struct {
		counters
		allocations, copies, pageable, waits, events, launches int
	}
	look := func() seen {
		return seen{counters: g.count,
			allocations: simulated.Calls("cuMemAlloc_v2") + simulated.Calls("cuMemHostAlloc"),
			copies:      simulated.Calls("cuMemcpyHtoDAsync_v2"),
			pageable:    simulated.Calls("pageable cuMemcpyHtoDAsync"),
			waits:       simulated.Calls("cuStreamSynchronize"),
			events:      simulated.Calls("cuEventSynchronize"),
			launches:    simulated.Calls("cuLaunchKernel"),
		}
	}
	var first string
	var steps []seen
	config.Device = recorder{g, func(s *session, images int) error {
		steps = append(steps, look())
		first = s.programs[images].launches[0].name
		return nil
	}}
	trainer, err := train.New(network, datasettest.Digits(t, 50*8), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
		t.Fatal(err)
	}
	if len(steps) != 50 || first != "begin_step" {
		t.Fatalf("%d steps, the first launch is %s", len(steps), first)
	}
	for i := 3; i < 48; i++ {
		now, want := steps[i], steps[i-1]
		want.Copies++
		want.Graphs++
		want.copies++
		want.events++
		want.Launches++
		if i%16 == 0 { // the look at the loss behind the step before
			want.Copies++
			want.waits++
		}
		if now != want {
			t.Errorf("step %d: %+v, want %+v", i+1, now, want)
		}
	}
}

// What is evaluated in batches that are fed has the bits of what is evaluated on the device, of one
// label and of several, and what was compiled for it stays.
func TestAFedEvaluationIsThatOfTheDevice(t *testing.T) {
	for _, set := range []*dataset.Set{datasettest.Bars(t, 60), datasettest.Stripes(t, 60)} {
		t.Run(set.Name, func(t *testing.T) {
			g := openDevice(t)
			config := smallConfig()
			config.Device, config.Epochs = g, 1
			trainer := fitOn(t, config, set)
			defer trainer.Close()
			evaluate := func() *train.Evaluation {
				t.Helper()
				evaluation, err := trainer.Evaluate(t.Context(), set)
				if err != nil {
					t.Fatal(err)
				}
				return evaluation
			}
			held := evaluate()
			g.setBytes = holdsNothing
			fed := evaluate()
			if !slices.Equal(fed.Logits, held.Logits) || fed.Loss != held.Loss ||
				fed.Correct != held.Correct {
				t.Errorf("%s: fed, the loss is %v and %d are right, on the device %v and %d", set.Name,
					fed.Loss, fed.Correct, held.Loss, held.Correct)
			}
			before := g.count.Allocations
			evaluate()
			if now := g.count.Allocations; now != before {
				t.Errorf("%s: evaluated again, it allocates %d times", set.Name, now-before)
			}
		})
	}
}

// The labels of a set that is evaluated are places in its own combinations, not in those of the set
// that is trained on, whether the device holds the one or the other.
func TestCombinationsAreThoseOfTheSet(t *testing.T) {
	training, other := datasettest.Stripes(t, 60), datasettest.Stripes(t, 30)
	var images []uint8
	var labels [][]int32
	for i := range other.Len() {
		place := other.Len() - 1 - i // combinations have their places in the order of the images
		images = append(images, other.Image(place)...)
		labels = append(labels, other.Combinations[other.Labels[place]])
	}
	reversed, err := dataset.NewMultiLabelSet("reversed", images, labels, 1, 6, 6, 3)
	if err != nil {
		t.Fatal(err)
	}
	native := fitOn(t, smallConfig(), training)
	defer native.Close()
	want, err := native.Evaluate(t.Context(), reversed)
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int64{math.MaxInt64, int64(len(images)), holdsNothing} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			g := openDevice(t)
			g.setBytes = limit
			config := smallConfig()
			config.Device = g
			trainer := fitOn(t, config, training)
			defer trainer.Close()
			for range 2 { // the set that is trained on between
				got, err := trainer.Evaluate(t.Context(), reversed)
				if err != nil {
					t.Fatal(err)
				}
				if got.Correct != want.Correct || math.Abs(got.Loss-want.Loss) > 1e-4*want.Loss {
					t.Errorf("%d are right and the loss is %v, the native engine has %d and %v", got.Correct,
						got.Loss, want.Correct, want.Loss)
				}
				if _, err := trainer.Evaluate(t.Context(), training); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
