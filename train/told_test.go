package train

import (
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
)

// What a schedule says of itself names its end, and its rise where it has one.
func TestSchedulesSayWhatTheyAre(t *testing.T) {
	for want, schedule := range map[string]Schedule{
		"constant": {},
		"linear over 3 epochs, down to 0.1 of the rate": {Name: ScheduleLinear, Epochs: 3, Final: 0.1},
		"cosine over 1 epoch, down to 0 of the rate":    {Name: ScheduleCosine, Epochs: 1},
		"one-cycle over 2 epochs, from 0.04 of the rate up over 0.3 of the steps and down to 0.001": {
			Name: ScheduleOneCycle, Epochs: 2, First: 0.04, Warmup: 0.3, Final: 0.001},
		"one-cycle over 3 epochs, from 0.04 of the rate up over 1 epoch and down to 0.001": {
			Name: ScheduleOneCycle, Epochs: 3, First: 0.04, WarmupEpochs: 1, Final: 0.001},
		"step, times 0.1 after epochs 15, 25": {Name: ScheduleStep, Milestones: []int{15, 25},
			Gamma: 0.1},
		"cosine-restarts after 1 epoch, down to 0.5 of the rate": {
			Name: ScheduleCosineRestarts, RestartEpochs: 1, RestartFactor: 1, Final: 0.5},
		"cosine-restarts after 5 epochs, down to 0 of the rate, each 2 times as long as the one before": {
			Name: ScheduleCosineRestarts, RestartEpochs: 5, RestartFactor: 2},
		"wsd over 9 epochs, down to 0 of the rate over the last 0.2 of the steps (1-sqrt)": {
			Name: ScheduleWSD, Epochs: 9, Cooldown: 0.2, CooldownShape: CooldownRoot},
		"plateau, times 0.1 after 11 epochs that are no better, down to 0 of the rate": {
			Name: SchedulePlateau, Gamma: 0.1, PlateauPatience: new(10)},
		"constant after a warm-up over 0.5 epochs from 0.01 of the rate": {
			Name: ScheduleConstant, WarmupEpochs: 0.5, First: 0.01},
		"cosine over 9 epochs, down to 0 of the rate after a warm-up over 0.1 of the steps from 0.01 of the rate": {
			Name: ScheduleCosine, Epochs: 9, Warmup: 0.1, First: 0.01},
	} {
		if got := schedule.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := (Schedule{Name: ScheduleConstant, Epochs: 2}).String(); got != "constant" {
		t.Errorf("%q, want constant", got)
	}
}

// pair is a parameter and its gradient.
type pair struct{ value, gradient gorgonia.Value }

func (p pair) Value() gorgonia.Value         { return p.value }
func (p pair) Grad() (gorgonia.Value, error) { return p.gradient, nil }

// Parameters and gradients that are no tensors are refused by their place.
func TestOptimizerWantsTensors(t *testing.T) {
	dense := tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(2))
	number := gorgonia.NewF32(1)
	for _, parameter := range []pair{{dense, number}, {number, dense}, {number, number}} {
		optimizer, err := newOptimizer(OptimizerConfig{Name: "sgd", LearningRate: 1}, ofSizes(2),
			testEngine(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		err = optimizer.Step([]gorgonia.ValueGrad{parameter})
		if err == nil || !strings.Contains(err.Error(), "parameter 0 is a") ||
			!strings.Contains(err.Error(), "want dense tensors") {
			t.Errorf("%T and %T: %v", parameter.value, parameter.gradient, err)
		}
	}
}

func testEngine(t *testing.T) *builder.Engine {
	t.Helper()
	engine, err := builder.NewEngine("native", 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	return engine
}
