//go:build gpu && linux && amd64

package cuda

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
	"slipway/internal/device"
	"slipway/train"
)

// queuedRuns are runs whose steps wait for each other: with masks, with what differs from step to
// step and several batches a step, in shards, in bf16, with epochs that are no whole number of
// graphs and end with a short batch.
func queuedRuns(t testing.TB) []recipe {
	of := func(name string) func(testing.TB) *builder.Network {
		return func(t testing.TB) *builder.Network {
			network, _ := experiment(t, name)
			return network
		}
	}
	digits := func(images int) func(testing.TB) *dataset.Set {
		return func(t testing.TB) *dataset.Set { return datasettest.Digits(t, images) }
	}
	_, penalised := experiment(t, "e2")
	penalised.BatchSize, penalised.Epochs = 2, 2
	all := recipes()
	rich := all[len(all)-1]
	rich.config.BatchSize, rich.config.Epochs = 2, 3
	halves := train.Config{Seed: 5, Epochs: 2, BatchSize: 2, Precision: train.PrecisionBF16}
	return []recipe{
		{name: "E2, with masks", network: of("e2"), set: digits(2*37 + 1), config: penalised},
		rich,
		dealtRecipe("even shards"),
		{name: "E1 in bf16", network: of("e1"), set: digits(2 * 20), config: halves},
	}
}

// openFor is open of a device that has the recipe's precision.
func (r recipe) openFor(t *testing.T) *gpu {
	if r.config.Precision == train.PrecisionBF16 {
		return openForBF16(t)
	}
	return r.open(t)
}

// A run has the same bits however many of its steps are one graph, launch by launch too, and also
// where it was interrupted between the steps of a graph.
func TestStepsOfAGraphHaveTheBitsOfSingleSteps(t *testing.T) {
	for _, r := range queuedRuns(t) {
		t.Run(r.name, func(t *testing.T) {
			var want *train.Checkpoint
			t.Run("1", func(t *testing.T) {
				t.Setenv(GraphStepsVariable, "1")
				want = r.whole(t, r.openFor(t))
			})
			for _, steps := range []string{"", "2", "5", "16"} {
				t.Run("at most "+steps, func(t *testing.T) {
					t.Setenv(GraphStepsVariable, steps)
					got := r.whole(t, r.openFor(t))
					sameBits(t, "the whole run", got, want)
					sameHistory(t, got, want)
				})
			}
			t.Run("launch by launch", func(t *testing.T) {
				t.Setenv(GraphStepsVariable, "")
				t.Setenv(GraphsVariable, "0")
				sameBits(t, "launch by launch", r.whole(t, r.openFor(t)), want)
			})
			t.Run("interrupted", func(t *testing.T) {
				t.Setenv(GraphStepsVariable, "")
				g := r.openFor(t)
				got := r.resumed(t, g, g)
				sameBits(t, "interrupted", got, want)
				sameHistory(t, got, want)
			})
		})
	}
}

// sameHistory holds what the epochs of two runs came to.
func sameHistory(t *testing.T, got, want *train.Checkpoint) {
	t.Helper()
	for i, want := range want.Progress.History {
		got := got.Progress.History[i]
		if got.Steps != want.Steps || got.MeanLoss != want.MeanLoss ||
			got.TrainAccuracy != want.TrainAccuracy {
			t.Errorf("epoch %d: %+v, in single steps %+v", i+1, got, want)
		}
	}
}

// Sixteen steps of an experiment are one graph once each piece of it has run, and what is left of an
// epoch is single ones; the host launches nothing and copies nothing but for a look at the loss. A
// step of many launches has fewer in a graph.
func TestSeveralStepsAreOneGraph(t *testing.T) {
	for _, name := range []string{"E1", "ResNet-20"} {
		t.Run(name, func(t *testing.T) {
			const batch = 1
			g := openDevice(t)
			if simulated != nil {
				simulated.Shallow(true)
				t.Cleanup(func() { simulated.Shallow(false) })
			}
			network, config, set := predicted(t, name, 60*batch)
			s := openSession(t, g, network, config, set).(*session)
			next := stepper(t, s, set.Len(), batch)
			look := func(steps int) {
				for range steps {
					next()
				}
				if _, err := s.Account(); err != nil {
					t.Fatal(err)
				}
			}
			look(2) // launch by launch, and a single step that is captured
			look(mostGraphSteps)
			launches := len(s.programs[batch].launches)
			each := min(mostGraphSteps, mostGraphLaunches/launches)
			if each < 2 {
				t.Fatalf("%d launches a step leave no room for a second one in a graph", launches)
			}
			for _, steps := range []int{mostGraphSteps, 8, 1} {
				want := g.count
				want.Graphs += steps/each + steps%each
				want.Copies++
				if look(steps); g.count != want {
					t.Errorf("%d steps: %+v, want %+v", steps, g.count, want)
				}
			}
			t.Logf("%d steps of %d launches are one graph", each, launches)
		})
	}
}

// What is asked of a session comes behind the steps that wait: none is lost, and none done twice.
func TestTheSessionAnswersBehindStepsThatWait(t *testing.T) {
	const batch = 2
	network, config := experiment(t, "e1")
	set := datasettest.Digits(t, 64*batch)
	s := openSession(t, openDevice(t), network, config, set).(*session)
	order := inTurn(set.Len())
	if err := s.BeginEpoch(order, 0, nil); err != nil {
		t.Fatal(err)
	}
	logits := make([]float32, 10)
	done := 0
	for _, steps := range []int{1, 3, 16, 17, 7} {
		for range steps {
			if err := s.Step(batch); err != nil {
				t.Fatal(err)
			}
		}
		done += steps
		switch steps {
		case 3:
			if _, _, err := s.Evaluate(set, 0, 1, false, logits); err != nil {
				t.Fatal(err)
			}
			if s.queue.steps != 0 {
				t.Errorf("%d steps wait behind an evaluation", s.queue.steps)
			}
		case 17:
			state, err := s.State()
			if err != nil {
				t.Fatal(err)
			}
			if state.Steps != done {
				t.Errorf("the state is that of %d steps, want %d", state.Steps, done)
			}
		}
		account, err := s.Account()
		if err != nil {
			t.Fatal(err)
		}
		if account.Steps != done || account.Images != done*batch {
			t.Errorf("%d steps and %d images, want %d of %d", account.Steps, account.Images, done, batch)
		}
	}
	// Those that wait when an epoch begins are of the one before.
	for range 5 {
		if err := s.Step(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.BeginEpoch(order, 0, nil); err != nil {
		t.Fatal(err)
	}
	if account, err := s.Account(); err != nil || account.Steps != 0 {
		t.Fatalf("an epoch begins with %d steps (%v)", account.Steps, err)
	}
	done = 0
	// Steps of another size do not overtake.
	for _, images := range []int{batch, batch, 1, batch} {
		if err := s.Step(images); err != nil {
			t.Fatal(err)
		}
	}
	account, err := s.Account()
	if err != nil {
		t.Fatal(err)
	}
	if account.Steps != done+4 || account.Images != (done+3)*batch+1 {
		t.Errorf("%d steps and %d images, want %d and %d", account.Steps, account.Images, done+4,
			(done+3)*batch+1)
	}
}

// A loss that is not finite in the middle of a graph stops what is behind it there: the account is
// that of the steps before, and nothing was learned from the rest.
func TestADivergedStepOfAGraphIsTold(t *testing.T) {
	const batch, steps, bad = 2, 40, 20
	network, config := experiment(t, "e1")
	config.BatchSize, config.Schedule = batch, train.Schedule{Name: "cosine"}
	config.Optimizer = train.OptimizerConfig{Name: "sgd", LearningRate: 0.01}
	set := datasettest.Digits(t, steps*batch)
	order, paces := inTurn(set.Len()), make([]device.Pace, steps)
	for i := range paces {
		if paces[i].Factor = 1; i >= bad {
			paces[i].Factor = 1e30
		}
	}
	var want device.Account
	var learned device.State
	for _, most := range []string{"1", "16"} {
		t.Run(most+" steps a graph", func(t *testing.T) {
			t.Setenv(GraphStepsVariable, most)
			s := openSession(t, openDevice(t), network, config, set)
			if err := s.BeginEpoch(order, 0, paces); err != nil {
				t.Fatal(err)
			}
			for range steps {
				if err := s.Step(batch); err != nil {
					t.Fatal(err)
				}
			}
			account, err := s.Account()
			if err != nil {
				t.Fatal(err)
			}
			state, err := s.State()
			if err != nil {
				t.Fatal(err)
			}
			if want.Steps == 0 {
				want, learned = account, state
			}
			// NaN is not itself.
			if account.DivergedLoss, want.DivergedLoss = 0, 0; account != want {
				t.Errorf("%+v, step by step %+v", account, want)
			}
			if !account.Diverged || account.Steps <= bad || account.Steps > bad+3 {
				t.Errorf("%+v, want a run that diverges behind step %d", account, bad+1)
			}
			sameTensors(t, "weights", state.Weights, learned.Weights)
		})
	}
}

// An interruption counts the steps that were asked for before it.
func TestAnInterruptionCountsStepsThatWait(t *testing.T) {
	const batch, stop = 2, 21
	network, config := experiment(t, "e1")
	config.BatchSize, config.Device = batch, openDevice(t)
	trainer, err := train.New(network, datasettest.Digits(t, 40*batch), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	steps := 0
	err = trainer.Fit(ctx, train.Callbacks{Step: func(train.StepReport) error {
		if steps++; steps == stop {
			cancel()
		}
		return nil
	}})
	if !errors.Is(err, train.ErrInterrupted) {
		t.Fatalf("Fit returned %v, want ErrInterrupted", err)
	}
	if p := trainer.Progress(); p.EpochStep != stop || p.Images != stop*batch {
		t.Errorf("after step %d: %+v", stop, p)
	}
}

// A graph of several steps that fails names its call, whichever step it is found in.
func TestAGraphOfSeveralStepsThatFails(t *testing.T) {
	needSimulator(t)
	const remedy = "; " + GraphsVariable + "=0 runs without CUDA graphs"
	for _, test := range []struct {
		call  string
		after int
		want  string
	}{
		// The first capture is that of a single step.
		{"cuStreamBeginCapture_v2", 2, "cuStreamBeginCapture: CUDA_ERROR_LAUNCH_FAILED (719)" + remedy},
		{"cuGraphInstantiateWithFlags", 2, "cuGraphInstantiate: CUDA_ERROR_LAUNCH_FAILED (719)" + remedy},
		{"cuLaunchKernel adam", 5, "cuLaunchKernel adam: CUDA_ERROR_LAUNCH_FAILED (719)" + remedy},
		{"cuGraphLaunch", 17, "cuGraphLaunch: CUDA_ERROR_LAUNCH_FAILED (719)"},
	} {
		t.Run(test.call, func(t *testing.T) {
			network, config := experiment(t, "e1")
			config.BatchSize, config.Device = 2, openDevice(t)
			trainer, err := train.New(network, datasettest.Digits(t, 2*48), config, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer trainer.Close()
			simulated.Fail(test.call, test.after, errorLaunchFailed, false)
			err = trainer.Fit(t.Context(), train.Callbacks{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			simulated.Reset()
		})
	}
}

// What the variable may not be is said before a step is made.
func TestGraphStepsThatAreNone(t *testing.T) {
	network, config := experiment(t, "e1")
	config.BatchSize = 2
	for _, text := range []string{"0", "-1", "17", "many", "1.5"} {
		t.Run(text, func(t *testing.T) {
			t.Setenv(GraphStepsVariable, text)
			c := config
			c.Device = openDevice(t)
			trainer, err := train.New(network, datasettest.Digits(t, 8), c, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer trainer.Close()
			err = trainer.Fit(t.Context(), train.Callbacks{})
			want := fmt.Sprintf("SLIPWAY_CUDA_GRAPH_STEPS=%q: it is how many steps are one CUDA graph at "+
				"most, from 1 to 16", text)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", text, err, want)
			}
		})
	}
}
