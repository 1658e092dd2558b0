package train

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset/augment"
	"slipway/internal/datasettest"
	"slipway/internal/device"
)

func TestAugmentationRejects(t *testing.T) {
	for _, test := range []struct {
		change augment.Record
		want   string
	}{
		{augment.Record{augment.Shift{Pixels: -1}}, "shift=-1"},
		{augment.Record{augment.Rotation{Degrees: math.NaN()}}, "rotation=NaN"},
		{augment.Record{augment.Shift{Pixels: 6}}, "6×6"},
	} {
		config := smallConfig(builder.DefaultEngine)
		config.Augmentation = test.change
		if _, err := New(smallNetwork(t), datasettest.Bars(t, 60), config, nil); err == nil ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want %q", test.change, err, test.want)
		}
	}
}

// varyingConfig has both, a schedule and augmentation.
func varyingConfig(engine string) Config {
	config := smallConfig(engine)
	config.Schedule = Schedule{Name: ScheduleOneCycle}
	config.Augmentation = augment.Record{augment.Rotation{Degrees: 10}, augment.Shift{Pixels: 1}}
	return config
}

func TestResumeWithScheduleAndAugmentationIsBitForBit(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		config := varyingConfig(engine)
		config.ValidationFraction = 0.2
		checkpoint := resumesBitForBit(t, smallNetwork(t), datasettest.Bars(t, 60), config,
			config.Threads)
		for _, change := range []func(*Config){
			func(c *Config) { c.Schedule.Warmup = 0.5 },
			func(c *Config) { c.Schedule = Schedule{} },
			func(c *Config) { c.Augmentation = augment.Record{augment.Shift{Pixels: 2}} },
		} {
			other := checkpoint.Config
			change(&other)
			if _, err := Resume(checkpoint, datasettest.Bars(t, 60), other); err == nil ||
				!strings.Contains(err.Error(), "cannot resume with other settings") {
				t.Errorf("resumed with %+v: error %v", other, err)
			}
		}
	})
}

func TestEnginesAgreeWithScheduleAndAugmentation(t *testing.T) {
	var losses [][]float64
	for _, engine := range builder.EngineNames() {
		trainer := newSmallTrainer(t, varyingConfig(engine))
		defer trainer.Close()
		if err := trainer.Fit(context.Background(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		var means []float64
		for _, epoch := range trainer.Progress().History {
			means = append(means, epoch.MeanLoss)
		}
		losses = append(losses, means)
	}
	for i := range losses[0] {
		for _, other := range losses[1:] {
			if math.Abs(losses[0][i]-other[i]) > 1e-5 {
				t.Errorf("epoch %d: mean losses %v and %v", i+1, losses[0][i], other[i])
			}
		}
	}
}

func TestThreadsDoNotChangeAugmentation(t *testing.T) {
	var files [][]byte
	for _, threads := range []int{1, 2, 3} {
		config := varyingConfig(builder.EngineNative)
		config.Threads = threads
		trainer := newSmallTrainer(t, config)
		defer trainer.Close()
		if err := trainer.Fit(context.Background(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		files = append(files, encoded(t, trainer.Checkpoint()))
	}
	if !bytes.Equal(files[0], files[1]) || !bytes.Equal(files[0], files[2]) {
		t.Error("1, 2 and 3 threads give different runs")
	}
}

// noDevice is a device that is never asked for anything.
type noDevice struct{}

func (noDevice) String() string { return "none" }
func (noDevice) NewSession(device.Job) (device.Session, error) {
	return nil, errors.New("not here")
}
func (noDevice) CheckTF32() error { return errors.New("no tensor cores") }
func (noDevice) CheckBF16() error { return errors.New("no bfloat16") }
func (noDevice) SetBytes() int64  { return math.MaxInt64 }

func TestDevicesRefuseWhatTheyDoNotDo(t *testing.T) {
	for _, test := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Optimizer = OptimizerConfig{Name: "muon"} },
			"optimizer muon is computed on the CPU alone, not on device none"},
		{func(c *Config) { c.Freeze, c.FineTune.Features = []string{TrunkWord}, FeaturesOnce },
			"a feature that is computed once (-features once) is computed on the CPU alone"},
		{func(c *Config) {
			c.Accumulate, c.Loss.ClassWeights = 2, ClassWeights{Values: []float64{1, 2, 1}}
		}, "a step of several batches with class weights is computed on the CPU alone"},
	} {
		config := smallConfig(builder.EngineNative)
		config.Device = noDevice{}
		test.change(&config)
		if _, err := config.WithDefaults(smallNetwork(t)); err == nil ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
}
