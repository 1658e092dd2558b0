package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
)

// Whichever ranks share the optimizer's work, the run has the bits of one rank's, of every
// optimizer; and each rank knows the whole state after any step, though it keeps a part of it.
func TestSharedUpdateKeepsTheBits(t *testing.T) {
	for _, optimizer := range []OptimizerConfig{
		{Name: "adam", LearningRate: 0.01},
		{Name: "adamw", LearningRate: 0.01, WeightDecay: 0.1},
		{Name: "sgd", LearningRate: 0.1},
		{Name: "sgd", LearningRate: 0.1, Momentum: 0.9, Nesterov: true, WeightDecay: 1e-3},
		{Name: "rmsprop", LearningRate: 0.001, Momentum: 0.5},
		{Name: "lion", LearningRate: 0.001},
		{Name: "muon", LearningRate: 0.01},
	} {
		t.Run(fmt.Sprint(optimizer.Name, optimizer.Momentum), func(t *testing.T) {
			var want [][]byte // checkpoints of the steps
			for _, ranks := range []int{1, 2, 4, 8} {
				var lock sync.Mutex
				for rank, err := range onRanks(ranks, func(rank *LocalRank) error {
					config := smallConfig(builder.EngineNative)
					config.Communicator, config.Shards, config.Epochs = rank, 8, 2
					config.Optimizer, config.EMA = optimizer, EMA{Decay: 0.9}
					config.Schedule.Name = ScheduleCosine
					trainer, err := New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
					if err != nil {
						return err
					}
					defer trainer.Close()
					steps := 0
					return trainer.Fit(t.Context(), Callbacks{Step: func(StepReport) error {
						if steps++; steps%3 > 0 && rank.Rank() > 0 {
							return nil // the others need not ask
						}
						lock.Lock()
						defer lock.Unlock()
						got := encoded(t, trainer.Checkpoint())
						if ranks == 1 {
							want = append(want, got)
						} else if !bytes.Equal(got, want[steps-1]) {
							return fmt.Errorf("step %d: another state than one rank's", steps)
						}
						return nil
					}})
				}) {
					if err != nil {
						t.Errorf("rank %d of %d: %v", rank, ranks, err)
					}
				}
			}
		})
	}
}

// What is trained from some epoch on takes over what the ranks keep of what was trained before.
func TestSharedUpdateThaws(t *testing.T) {
	config := smallConfig(builder.EngineNative)
	config.Shards, config.Freeze, config.FineTune.FreezeUntil = 4, []string{"trunk"}, 2
	start := func(config Config) (*Trainer, error) {
		return New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
	}
	want := digestOfRun(t, fitOnRanks(t, 1, start, config)[0])
	for _, ranks := range []int{2, 4} {
		for rank, checkpoint := range fitOnRanks(t, ranks, start, config) {
			if got := digestOfRun(t, checkpoint); got != want {
				t.Errorf("rank %d of %d: %s, want %s", rank, ranks, got, want)
			}
		}
	}
}

// What the ranks share is what no rank does twice: the state of a part of the weights is written by
// one rank alone.
func TestSharedUpdateIsShared(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes share memory on Linux alone")
	}
	for rank, err := range onRanks(4, func(rank *LocalRank) error {
		config := smallConfig(builder.EngineNative)
		config.Communicator, config.Shards, config.Epochs = rank, 4, 1
		trainer, err := New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
		if err != nil {
			return err
		}
		defer trainer.Close()
		if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
			return err
		}
		row := trainer.shards.neighbours.rows[1]
		first, end := trainer.shards.neighbours.near.Owns(rank.Rank(), len(row))
		written := func(x float32) bool { return x != 0 }
		if slices.ContainsFunc(row[:first], written) || slices.ContainsFunc(row[end:], written) ||
			!slices.ContainsFunc(row[first:end], written) {
			return fmt.Errorf("the optimizer's means lie elsewhere than in %d…%d: %v", first, end, row)
		}
		return nil
	}) {
		if err != nil {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}

// brokenLink fails from the n-th exchange on.
type brokenLink struct {
	*LocalRank
	left int
}

var errLink = errors.New("the link is broken")

func (b *brokenLink) Exchange(ctx context.Context, peer int, to, from []byte) error {
	if b.left--; b.left < 0 {
		b.Close()
		return errLink
	}
	return b.LocalRank.Exchange(ctx, peer, to, from)
}

// A state between two steps is neither written nor gone on from, and what was saved stays.
func TestSharedUpdateTornIsNotSaved(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes share memory on Linux alone")
	}
	torn := 0
	for left := range 30 {
		path := t.TempDir() + "/checkpoint.safetensors"
		for _, err := range onRanks(2, func(rank *LocalRank) error {
			config := smallConfig(builder.EngineNative)
			config.Shards, config.Communicator = 4, rank
			if rank.Rank() == 1 {
				config.Communicator = &brokenLink{rank, left}
			}
			set := datasettest.Bars(t, 60)
			trainer, err := New(smallNetwork(t), set, config, nil)
			if err != nil {
				return err
			}
			defer trainer.Close()
			before := trainer.Checkpoint()
			step := func(StepReport) error {
				before = trainer.Checkpoint()
				return nil
			}
			if err := trainer.Fit(t.Context(), Callbacks{Step: step}); err == nil {
				return errors.New("it trained")
			}
			after := trainer.Checkpoint()
			if rank.Rank() == 0 {
				return nil
			}
			if err := WriteCheckpoint(path, after); err != nil {
				torn++
				_, resumed := Resume(after, set, config)
				for _, err := range []error{err, resumed} {
					if !errors.Is(err, errLink) || !strings.Contains(err.Error(), "between two steps") {
						return fmt.Errorf("%v, want that the link is broken between two steps", err)
					}
				}
				return nil
			}
			if digestOfRun(t, after) != digestOfRun(t, before) {
				return errors.New("a step that failed has changed the state")
			}
			return nil
		}) {
			if err != nil {
				t.Errorf("%d exchanges: %v", left, err)
			}
		}
	}
	if torn == 0 {
		t.Error("no exchange failed during an update")
	}
}
