//go:build gpu && linux && amd64

package cuda

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/device"
	"slipway/train"
)

// recipe is a run whose optimizer does more than take a step of one rate, and what its steps are.
type recipe struct {
	name    string
	network func(testing.TB) *builder.Network
	set     func(testing.TB) *dataset.Set
	config  train.Config
	large   bool // the set, for a device
}

// open returns a device for the recipe.
func (r recipe) open(t testing.TB) *gpu {
	t.Helper()
	g := openDevice(t)
	if r.large {
		g.setBytes = holdsNothing
	}
	return g
}

// begin returns the recipe's trainer on a device, or on the CPU if that is nil.
func (r recipe) begin(t *testing.T, at device.Device) *train.Trainer {
	t.Helper()
	config := r.config
	config.Device = at
	trainer, err := train.New(r.network(t), r.set(t), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trainer.Close)
	return trainer
}

// whole returns the checkpoint of the recipe's whole run.
func (r recipe) whole(t *testing.T, at device.Device) *train.Checkpoint {
	t.Helper()
	trainer := r.begin(t, at)
	if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
		t.Fatal(err)
	}
	return trainer.Checkpoint()
}

// resumed returns the checkpoint of the recipe's run that was begun on a device, interrupted in the
// middle of the second epoch, and went on elsewhere.
func (r recipe) resumed(t *testing.T, began, goesOn device.Device) *train.Checkpoint {
	t.Helper()
	first := r.begin(t, began)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop, steps := first.StepsPerEpoch()+first.StepsPerEpoch()/2, 0
	if err := first.Fit(ctx, train.Callbacks{Step: func(train.StepReport) error {
		if steps++; steps == stop {
			cancel()
		}
		return nil
	}}); !errors.Is(err, train.ErrInterrupted) {
		t.Fatalf("Fit returned %v, want ErrInterrupted", err)
	}
	config := first.Config()
	config.Device = goesOn
	second, err := train.Resume(first.Checkpoint(), r.set(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(second.Close)
	if err := second.Fit(t.Context(), train.Callbacks{}); err != nil {
		t.Fatal(err)
	}
	return second.Checkpoint()
}

// sameBits holds all that a run came to on a device against another's.
func sameBits(t *testing.T, what string, got, want *train.Checkpoint) {
	t.Helper()
	sameTensors(t, what, got.Weights, want.Weights)
	sameTensors(t, what+", averaged", got.Average, want.Average)
	for slot, tensors := range want.OptimizerState {
		sameTensors(t, what+", "+slot, got.OptimizerState[slot], tensors)
	}
}

// near holds all that a run came to on a device against the native engine's.
func near(t *testing.T, what string, got, want *train.Checkpoint) {
	t.Helper()
	if len(got.Progress.History) != len(want.Progress.History) {
		t.Fatalf("%s: %d epochs, want %d", what, len(got.Progress.History),
			len(want.Progress.History))
	}
	for i, want := range want.Progress.History {
		got := got.Progress.History[i]
		if got.Steps != want.Steps || got.TrainAccuracy != want.TrainAccuracy {
			t.Errorf("%s: epoch %d: %+v, the native engine has %+v", what, i+1, got, want)
		}
		pairs := map[string][2]*float64{
			"mean loss": {&got.MeanLoss, &want.MeanLoss}, "last loss": {&got.LastLoss, &want.LastLoss},
			"mean cross-entropy":  {&got.MeanCrossEntropy, &want.MeanCrossEntropy},
			"gradient norm":       {got.GradientNorm, want.GradientNorm},
			"validation loss":     {got.ValidationLoss, want.ValidationLoss},
			"raw validation loss": {got.RawValidationLoss, want.RawValidationLoss},
		}
		for name, pair := range pairs {
			if (pair[0] == nil) != (pair[1] == nil) {
				t.Errorf("%s: epoch %d: the %s is there on one side alone", what, i+1, name)
			} else if pair[0] != nil && !(math.Abs(*pair[0]-*pair[1]) <= 1e-4*math.Abs(*pair[1])) {
				t.Errorf("%s: epoch %d: the %s is %v, the native engine has %v", what, i+1, name,
					*pair[0], *pair[1])
			}
		}
	}
	all := map[string][2]builder.Weights{"weights": {got.Weights, want.Weights},
		"average": {got.Average, want.Average}}
	for slot, tensors := range want.OptimizerState {
		all[slot] = [2]builder.Weights{got.OptimizerState[slot], tensors}
	}
	for name, pair := range all {
		if len(pair[0]) != len(pair[1]) {
			t.Errorf("%s: %s: %d tensors, want %d", what, name, len(pair[0]), len(pair[1]))
			continue
		}
		pair[0], pair[1] = pair[0].Clone(), pair[1].Clone()
		if name == "weights" || name == "average" {
			compareStatistics(t, pair[0], pair[1], 1e-3)
		}
		asOfLayers(pair[0], pair[1])
		for i, tensor := range pair[1] {
			const tolerance = 1e-3 // as of TestARunHasTheNativeEnginesHistory
			if pair[0][i].Name != tensor.Name {
				t.Errorf("%s: %s: %s, want %s", what, name, pair[0][i].Name, tensor.Name)
			} else if e := relativeError(pair[0][i].Data, tensor.Data); !(e <= tolerance) &&
				!strings.HasSuffix(tensor.Name, ".running_mean") {
				t.Errorf("%s: %s of %s are %.2g of their largest off", what, name, tensor.Name, e)
			}
		}
	}
}

// check holds what the recipe comes to on a device near to what the native engine comes to; it is
// the same bits each time, in one stream, launch by launch, and where it was interrupted and went on
// there. On the CPU it goes on near to them.
func (r recipe) check(t *testing.T) {
	g := r.open(t)
	onCPU, there := r.whole(t, nil), r.whole(t, g)
	sameBits(t, "a second time", r.whole(t, g), there)
	t.Run("otherwise", func(t *testing.T) {
		t.Setenv(GraphsVariable, "0")
		sameBits(t, "launch by launch", r.whole(t, g), there)
		t.Setenv(StreamsVariable, "1")
		sameBits(t, "launch by launch in one stream", r.whole(t, g), there)
	})
	sameBits(t, "resumed on the device", r.resumed(t, g, g), there)
	near(t, "resumed on the CPU", r.resumed(t, g, nil), onCPU)
	near(t, "resumed on the device from the CPU", r.resumed(t, nil, g), onCPU)
	near(t, "on the device", there, onCPU)
}
