package train

import (
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
	"slipway/scripts/golden/goldentest"
)

func TestSchedulesAgreeWithPyTorch(t *testing.T) {
	tried := make(map[string]bool)
	for _, c := range goldentest.Read(t, filepath.Join("testdata", "schedules.safetensors")).Cases {
		t.Run(c.Name, func(t *testing.T) {
			var schedule Schedule
			if err := json.Unmarshal(c.Schedule, &schedule); err != nil {
				t.Fatal(err)
			}
			schedule, err := schedule.withDefaults(1)
			if err != nil {
				t.Fatal(err)
			}
			tried[schedule.Name] = true
			want := c.Floats(t, "factors")
			got := make([]float32, len(want))
			if schedule.Name == SchedulePlateau {
				history := historyOf(t, c)
				for i := range got {
					got[i] = float32(schedule.plateauFactor(history[:i+1], Config{Best: c.Best}.best()))
				}
			} else {
				for step := range got {
					got[step] = float32(schedule.Factor(step, c.Steps))
				}
			}
			goldentest.Compare(t, "factors", got, want,
				goldentest.Tolerance{Relative: 1e-6, OfLargest: 1e-9})
		})
	}
	for _, name := range ScheduleNames() {
		if !tried[name] {
			t.Errorf("the golden file has no case of %s", name)
		}
	}
}

// historyOf has an epoch for each value of a case, of the measure that it watches.
func historyOf(t *testing.T, c goldentest.Case) History {
	t.Helper()
	var history History
	for i, x := range c.Floats(t, "values") {
		value, epoch := float64(x), Epoch{Epoch: i + 1}
		switch c.Best {
		case BestValidationLoss:
			epoch.ValidationLoss = &value
		case BestValidationAccuracy:
			epoch.ValidationAccuracy = &value
		case BestTrainingLoss:
			epoch.MeanLoss = value
		default:
			t.Fatalf("the measure %q", c.Best)
		}
		history = append(history, epoch)
	}
	return history
}

func TestScheduleKeepsItsFinalFactor(t *testing.T) {
	const stepsPerEpoch = 5
	for _, name := range []string{ScheduleConstant, ScheduleLinear, ScheduleCosine, ScheduleOneCycle,
		ScheduleWSD} {
		schedule, err := Schedule{Name: name}.withDefaults(2)
		if err != nil {
			t.Fatal(err)
		}
		if name == ScheduleConstant {
			if !schedule.IsZero() || schedule.Factor(0, stepsPerEpoch) != 1 ||
				schedule.Factor(99, stepsPerEpoch) != 1 {
				t.Errorf("constant: %+v, factors %v and %v", schedule, schedule.Factor(0, stepsPerEpoch),
					schedule.Factor(99, stepsPerEpoch))
			}
			continue
		}
		for _, step := range []int{10, 11, 1 << 40} {
			if factor := schedule.Factor(step, stepsPerEpoch); factor != schedule.Final {
				t.Errorf("%s: factor %v at step %d of 10, want %v", name, factor, step, schedule.Final)
			}
		}
	}
	// The warm-up of half of 2 steps ends at step 0.
	if factor := (Schedule{Name: ScheduleOneCycle, Warmup: 0.5, First: 0.1, Final: 0.2, Epochs: 1}).
		Factor(0, 2); factor != 1 {
		t.Errorf("factor %v at the top of one-cycle, want 1", factor)
	}
}

// A warm-up in epochs is the same as one of as many steps; one-cycle's rise takes either.
func TestWarmupInEpochs(t *testing.T) {
	const stepsPerEpoch, epochs = 7, 8
	for _, name := range []string{ScheduleLinear, ScheduleCosine, ScheduleOneCycle} {
		share, err := Schedule{Name: name, Warmup: 0.25}.withDefaults(epochs)
		if err != nil {
			t.Fatal(err)
		}
		inEpochs, err := Schedule{Name: name, WarmupEpochs: 2}.withDefaults(epochs)
		if err != nil {
			t.Fatal(err)
		}
		for step := range stepsPerEpoch * epochs {
			if a, b := share.Factor(step, stepsPerEpoch), inEpochs.Factor(step, stepsPerEpoch); a != b {
				t.Errorf("%s: factors %v and %v at step %d", name, a, b, step)
			}
		}
		if name != ScheduleOneCycle && share.Factor(0, stepsPerEpoch) != linearFirst {
			t.Errorf("%s begins at %v", name, share.Factor(0, stepsPerEpoch))
		}
	}
}

// A warm-up of less than half a step has none.
func TestAWarmupOfNoStep(t *testing.T) {
	schedule, err := Schedule{WarmupEpochs: 0.01}.withDefaults(3)
	if err != nil {
		t.Fatal(err)
	}
	if got := schedule.Factor(0, 10); got != 1 {
		t.Errorf("factor %v", got)
	}
}

func TestScheduleRejects(t *testing.T) {
	for _, test := range []struct {
		schedule Schedule
		want     string
	}{
		{Schedule{Name: "triangle"}, `unknown schedule "triangle"`},
		{Schedule{Warmup: 0.1}, "constant has no length that a warm-up is a share of; say in epochs"},
		{Schedule{Name: ScheduleConstant, Final: 0.1}, "constant has no final factor"},
		{Schedule{Name: ScheduleConstant, Epochs: 3}, "constant has no length"},
		{Schedule{First: 0.1}, "constant has no first factor"},
		{Schedule{WarmupEpochs: -1}, "a warm-up of -1 epochs"},
		{Schedule{WarmupEpochs: math.NaN()}, "a warm-up of NaN epochs"},
		{Schedule{WarmupEpochs: math.Inf(1)}, "a warm-up of +Inf epochs"},
		{Schedule{Name: ScheduleLinear, Warmup: 0.1, WarmupEpochs: 1}, "give one of them"},
		{Schedule{Name: ScheduleLinear, WarmupEpochs: 3}, "a warm-up of 3 epochs is no part of 3 epochs"},
		{Schedule{Name: ScheduleOneCycle, WarmupEpochs: 2, Epochs: 2},
			"a warm-up of 2 epochs is no part of 2 epochs"},
		{Schedule{Name: ScheduleStep}, "step needs milestones"},
		{Schedule{Name: ScheduleStep, Milestones: []int{2, 2}},
			"milestones [2 2]; they are numbers of epochs, each above the one before"},
		{Schedule{Name: ScheduleStep, Milestones: []int{0}}, "milestones [0]"},
		{Schedule{Name: ScheduleStep, Milestones: []int{1}, WarmupEpochs: 2},
			"the rate still rises at the milestone 1"},
		{Schedule{Name: ScheduleStep, Milestones: []int{1}, Gamma: 1}, "gamma 1 is out of range"},
		{Schedule{Name: ScheduleStep, Milestones: []int{1}, Final: 0.1}, "step has no final factor"},
		{Schedule{Name: ScheduleStep, Milestones: []int{1}, Epochs: 2}, "step has no length"},
		{Schedule{Name: ScheduleLinear, Milestones: []int{1}}, "linear has no milestones"},
		{Schedule{Name: ScheduleLinear, Gamma: 0.5}, "linear has no gamma"},
		{Schedule{Name: ScheduleCosineRestarts}, "epochs to a restart 0; at least 1"},
		{Schedule{Name: ScheduleCosineRestarts, RestartEpochs: 1, RestartFactor: -1},
			"factor from restart to restart -1"},
		{Schedule{Name: ScheduleCosine, RestartEpochs: 1}, "cosine has no epochs to a restart"},
		{Schedule{Name: ScheduleWSD, Cooldown: 1.5}, "cooldown 1.5 is out of range"},
		{Schedule{Name: ScheduleWSD, Cooldown: 0.9, Warmup: 0.2}, "are more than there are"},
		{Schedule{Name: ScheduleWSD, CooldownShape: "cliff"}, `unknown shape "cliff"`},
		{Schedule{Name: ScheduleLinear, CooldownShape: CooldownRoot}, "linear has no shape"},
		{Schedule{Name: ScheduleLinear, Cooldown: 0.1}, "linear has no cooldown"},
		{Schedule{Name: SchedulePlateau},
			"plateau watches the validation-loss, and needs a validation fraction"},
		{Schedule{Name: SchedulePlateau, PlateauPatience: new(-1)}, "patience -1; at least 0"},
		{Schedule{Name: SchedulePlateau, PlateauThreshold: math.NaN()}, "threshold NaN is out of range"},
		{Schedule{Name: ScheduleLinear, PlateauPatience: new(1)}, "linear has no patience"},
		{Schedule{Name: ScheduleLinear, Warmup: 1}, "warm-up 1 is out of range"},
		{Schedule{Name: ScheduleCosine, First: 0.1}, "cosine has no first factor"},
		{Schedule{Name: ScheduleOneCycle, Warmup: 1}, "warm-up 1 is out of range"},
		{Schedule{Name: ScheduleOneCycle, First: 1.1}, "first factor 1.1 is out of range"},
		{Schedule{Name: ScheduleLinear, Final: math.NaN()}, "final factor NaN is out of range"},
		{Schedule{Name: ScheduleLinear, Final: -1}, "final factor -1 is out of range"},
		{Schedule{Name: ScheduleCosine, Epochs: -1}, "-1 epochs"},
	} {
		config := smallConfig(builder.DefaultEngine)
		config.Schedule = test.schedule
		if _, err := config.WithDefaults(smallNetwork(t)); err == nil ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want %q", test.schedule, err, test.want)
		}
	}
}

// Schedules at the ends of what they take.
func TestSchedulesAtTheirLimits(t *testing.T) {
	for _, schedule := range []Schedule{
		{Name: ScheduleWSD, Warmup: 0.25, Cooldown: 0.75}, // all of the steps
		{Name: SchedulePlateau, PlateauPatience: new(0)},
		{Name: ScheduleStep, Milestones: []int{1}, WarmupEpochs: 1},
		{Name: ScheduleCosineRestarts, RestartEpochs: 1, RestartFactor: 1},
	} {
		filled, err := schedule.withDefaults(4)
		if err != nil || filled.Cooldown != schedule.Cooldown ||
			schedule.PlateauPatience != nil && *filled.PlateauPatience != 0 {
			t.Errorf("%+v: %+v (%v)", schedule, filled, err)
		}
	}
}

// Without a schedule and augmentation a run's JSON is what it was before there were
// any, so that its checkpoints resume.
func TestConfigWithoutScheduleSaysNothingOfIt(t *testing.T) {
	config := smallConfig(builder.DefaultEngine)
	config.Schedule.Name = ScheduleConstant
	config, err := config.WithDefaults(smallNetwork(t))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"schedule", "augmentation"} {
		if strings.Contains(string(raw), key) {
			t.Errorf("%s is in %s", key, raw)
		}
	}
}

// The rate that reaches the optimizer is the schedule's: SGD's first steps on one
// batch move the weights by the rate times the gradient.
func TestScheduleReachesTheOptimizer(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		config := smallConfig(engine)
		config.Epochs = 2
		config.Optimizer = OptimizerConfig{Name: "sgd", LearningRate: 0.5}
		config.Schedule = Schedule{Name: ScheduleLinear}
		trainer := newSmallTrainer(t, config)
		defer trainer.Close()
		// 60 images in batches of 8 are 8 steps an epoch.
		for step := range 3 {
			if got, want := trainer.learningRate(), 0.5*(1-float64(step)/16); math.Abs(got-want) > 1e-15 {
				t.Errorf("rate %v at step %d, want %v", got, step, want)
			}
			before := trainer.Weights()
			if err := trainer.step(t.Context(), trainer.batches.Order(0)[:8]); err != nil {
				t.Fatal(err)
			}
			p, err := trainer.program(8, true)
			if err != nil {
				t.Fatal(err)
			}
			last := len(before) - 1 // the bias of the output, in one layout everywhere
			slopes := gradient(t, trainer, p, last)
			for i, was := range before[last].Data {
				rate := 0.5 * (1 - float64(step)/16)
				want := float64(was) - rate*float64(slopes[i])
				if got := float64(trainer.Weights()[last].Data[i]); math.Abs(got-want) > 1e-6 {
					t.Errorf("step %d: bias %d is %v, want %v", step, i, got, want)
				}
			}
		}
	})
}

// More epochs than a schedule has are trained at a rate that was asked for, or not at all:
// never at that of the schedule's end because nobody thought of it.
func TestMoreEpochsThanTheSchedule(t *testing.T) {
	for _, schedule := range []Schedule{{Name: ScheduleCosine}, {Name: ScheduleOneCycle},
		{Name: ScheduleLinear, Final: 0.1}} {
		config := smallConfig(builder.EngineNative)
		config.Schedule = schedule
		trainer := newSmallTrainer(t, config)
		if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		checkpoint := trainer.Checkpoint()
		resume := func(epochs, length int) (*Trainer, error) {
			asked := checkpoint.Config
			asked.Epochs, asked.Schedule.Epochs = epochs, length
			return Resume(checkpoint, datasettest.Bars(t, 60), asked)
		}
		for _, test := range []struct {
			epochs, length int
			want           string
		}{
			{5, 3, "schedule ends after 3 epochs, and with it the learning rate at"},
			{5, 3, "lengthen it with -schedule-epochs 5"},
			{3, 5, "-schedule-epochs is for more epochs than it has"},
			{5, 2, "cannot be cut to 2 epochs"},
		} {
			if _, err := resume(test.epochs, test.length); err == nil ||
				!strings.Contains(err.Error(), test.want) {
				t.Errorf("%s, %d epochs and a schedule of %d: %v, want %q", schedule.Name, test.epochs,
					test.length, err, test.want)
			}
		}
		longer, err := resume(5, 5)
		if err != nil {
			t.Fatal(err)
		}
		if rate, want := longer.learningRate(),
			0.01*longer.Config().Schedule.Factor(3*8, 8); rate != want || rate == 0 {
			t.Errorf("%s: rate %v in a longer schedule, want %v", schedule.Name, rate, want)
		}
		if err := longer.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		if got := longer.Checkpoint(); got.Config.Schedule.Epochs != 5 || got.Progress.Epochs != 5 {
			t.Errorf("%s: ended after %d epochs of a schedule of %d", schedule.Name, got.Progress.Epochs,
				got.Config.Schedule.Epochs)
		}
	}
}

// A new run is not trained at a rate of 0 either; at another it may be.
func TestARateOfZeroBehindTheSchedule(t *testing.T) {
	config := smallConfig(builder.EngineNative)
	config.Schedule = Schedule{Name: ScheduleCosine, Epochs: 2}
	if _, err := New(smallNetwork(t), datasettest.Bars(t, 60), config, nil); err == nil ||
		!strings.Contains(err.Error(),
			"at a learning rate of 0 after 2 epochs, and 3 epochs are asked for; lengthen it with -schedule-epochs 3") {
		t.Error(err)
	}
	config.Schedule.Final = 0.1
	trainer := newSmallTrainer(t, config)
	if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	// It goes on as it was planned, also where it was broken off behind the schedule.
	if _, err := Resume(trainer.Checkpoint(), datasettest.Bars(t, 60), trainer.Config()); err != nil {
		t.Error(err)
	}
}

// Without patience the rate falls at each epoch that is no better than the best one before.
func TestAPlateauWithoutPatience(t *testing.T) {
	schedule := Schedule{Name: SchedulePlateau, Gamma: 0.5, PlateauPatience: new(0)}
	var history History
	for i, loss := range []float64{1, 1, 0.5, 0.6, 0.4} {
		history = append(history, Epoch{Epoch: i + 1, ValidationLoss: &loss})
		want := []float64{1, 0.5, 0.5, 0.25, 0.25}[i]
		if got := schedule.plateauFactor(history, Config{}.best()); got != want {
			t.Errorf("after epoch %d the factor is %v, want %v", i+1, got, want)
		}
	}
}
