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
	"sync/atomic"
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

// brokenLink fails from the n-th exchange on, which its peer may not know.
type brokenLink struct {
	*LocalRank
	left int
	late bool // whether that comes to the peer
}

var errLink = errors.New("the link is broken")

func (b *brokenLink) Exchange(ctx context.Context, peer int, to, from []byte) error {
	if b.left--; b.left >= 0 {
		return b.LocalRank.Exchange(ctx, peer, to, from)
	}
	if b.left == -1 && b.late {
		if err := b.LocalRank.Exchange(ctx, peer, to, from); err != nil {
			return err
		}
	}
	b.Close()
	return errLink
}

// A state between two steps is neither written nor gone on from, and what was saved stays. What
// other ranks keep may be of the next step though this one has not come to it.
func TestSharedUpdateTornIsNotSaved(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes share memory on Linux alone")
	}
	for _, ranks := range []int{2, 4} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d ranks, late %v", ranks, late), func(t *testing.T) {
				var torn atomic.Int32
				for left := range 25 * ranks {
					for rank, err := range breakOnRanks(t, ranks, left, late, &torn) {
						if err != nil {
							t.Errorf("%d exchanges, rank %d: %v", left, rank, err)
						}
					}
				}
				if torn.Load() == 0 {
					t.Error("no exchange failed during an update")
				}
			})
		}
	}
}

// breakOnRanks trains until rank 1's link breaks, and looks at what each rank would save once all
// have ended.
func breakOnRanks(t *testing.T, ranks, left int, late bool, torn *atomic.Int32) []error {
	path := t.TempDir()
	var training sync.WaitGroup
	training.Add(ranks)
	return onRanks(ranks, func(rank *LocalRank) error {
		done := sync.OnceFunc(training.Done)
		defer done()
		config := smallConfig(builder.EngineNative)
		config.Shards, config.Communicator = 4, rank
		if rank.Rank() == 1 {
			config.Communicator = &brokenLink{rank, left, late}
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
		broken := trainer.Fit(t.Context(), Callbacks{Step: step})
		if broken == nil {
			return errors.New("it trained")
		}
		rank.Close()
		done()
		training.Wait()
		after := trainer.Checkpoint()
		if err := WriteCheckpoint(fmt.Sprintf("%s/%d", path, rank.Rank()), after); err != nil {
			torn.Add(1)
			_, resumed := Resume(after, set, config)
			for _, err := range []error{err, resumed} {
				if err == nil || !strings.Contains(err.Error(), "between two steps: exchange with rank") {
					return fmt.Errorf("%v, want that an exchange failed between two steps", err)
				}
			}
			return nil
		}
		before.Progress.History, after.Progress.History = nil, nil // an epoch may have ended
		if digestOfRun(t, after) != digestOfRun(t, before) {
			return errors.New("a step that failed has changed the state")
		}
		return nil
	})
}

// pieces notes how many numbers an optimizer is given at a time, at most.
type pieces struct {
	updater
	most int
}

func (p *pieces) adam(w, g, m, v []float32, c OptimizerConfig, step int) error {
	p.most = max(p.most, len(w))
	return p.updater.adam(w, g, m, v, c, step)
}

// Weights are updated while their gradients are in the caches of the threads that there are, be
// their number said or not.
func TestSharedUpdateInPieces(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes share memory on Linux alone")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	run := runs(t)["in pieces"]
	for _, threads := range []int{0, 1, 2} {
		for rank, err := range onRanks(2, func(rank *LocalRank) error {
			config := run.config
			config.Communicator, config.Threads, config.Epochs = rank, threads, 1
			trainer, err := New(run.network, run.set, config, nil)
			if err != nil {
				return err
			}
			defer trainer.Close()
			noted := &pieces{updater: trainer.optimizer.update}
			trainer.optimizer.update = noted
			if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
				return err
			}
			want := updatePiece * 2
			if threads == 1 {
				want = updatePiece
			}
			if noted.most != want {
				return fmt.Errorf("%d weights are updated at a time, want %d", noted.most, want)
			}
			return nil
		}) {
			if err != nil {
				t.Errorf("%d threads, rank %d: %v", threads, rank, err)
			}
		}
	}
}
