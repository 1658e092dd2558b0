package train

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"slipway/builder"
	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/internal/collective"
	"slipway/internal/datasettest"
	"slipway/internal/device"
)

// joining is a borrowed device that joins others. Each computes all shards, so that nothing is
// exchanged, and all come to the same.
type joining struct {
	borrowed
	model  string
	refuse error
	joined *int
}

func (j joining) Model() string { return j.model }

func (j joining) Join(_ context.Context, ranks collective.Communicator, _ time.Duration) error {
	*j.joined = ranks.Size()
	return j.refuse
}

// onJoining is a configuration of shards whose batches are fed, for the CPU and for a device.
func onJoining(set *dataset.Set) (here Config, there func(rank *LocalRank) (Config, *int)) {
	here = smallConfig(builder.EngineNative)
	here.BatchSize, here.Epochs, here.Shards = 6, 3, 2
	here.Augmentation = augment.Record{augment.Shift{Pixels: 1}}
	return here, func(rank *LocalRank) (Config, *int) {
		config, joined := here, new(int)
		config.Communicator = rank
		config.Device = joining{borrowed{config: here, set: set}, "same", nil, joined}
		return config, joined
	}
}

// Ranks on devices come to the run of one process, whichever is asked to stop and goes on.
func TestRanksOnDevicesStopTogether(t *testing.T) {
	set := datasettest.Bars(t, 60)
	here, there := onJoining(set)
	here.Device = borrowed{config: here, set: set}
	want := fitOnRanks(t, 1, func(config Config) (*Trainer, error) {
		return New(smallNetwork(t), set, config, nil)
	}, here)[0]
	checkpoints := make([]*Checkpoint, 2)
	for rank, err := range onRanks(2, func(rank *LocalRank) error {
		config, joined := there(rank)
		trainer, err := New(smallNetwork(t), set, config, nil)
		if err != nil {
			return err
		}
		defer trainer.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		steps := 0
		err = trainer.Fit(ctx, Callbacks{Step: func(StepReport) error {
			if steps++; steps == 13 && rank.Rank() == 1 {
				cancel()
			}
			return nil
		}})
		if job := trainer.device.session.(*borrowedSession).job; job.Ranks != 2 || job.Shards != 2 ||
			*joined != 2 || len(job.Deal(5, 1)) != 1 || job.Deal(5, 1)[0] != (device.Span{First: 2,
			End: 5}) {
			t.Errorf("rank %d: %d ranks have joined for the job %+v", rank.Rank(), *joined, job)
		}
		checkpoints[rank.Rank()] = trainer.Checkpoint()
		return err
	}) {
		// All know of it before the next step, which is the last.
		if !errors.Is(err, ErrInterrupted) || !OnAllRanks(err) ||
			checkpoints[rank].Progress.Step != 14 {
			t.Errorf("rank %d: %v after step %d", rank, err, checkpoints[rank].Progress.Step)
		}
	}
	for rank, err := range onRanks(2, func(rank *LocalRank) error {
		config, _ := there(rank)
		trainer, err := Resume(checkpoints[0], set, config)
		if err != nil {
			return err
		}
		defer trainer.Close()
		err = trainer.Fit(t.Context(), Callbacks{})
		checkpoints[rank.Rank()] = trainer.Checkpoint()
		return err
	}) {
		if err != nil {
			t.Fatalf("rank %d: %v", rank, err)
		}
		equalWeights(t, checkpoints[rank].Weights, want.Weights)
	}
}

// A rank that cannot make its batch ends the run on all, before any device waits for another.
func TestARankOnADeviceThatFails(t *testing.T) {
	set := datasettest.Bars(t, 60)
	_, there := onJoining(set)
	for rank, err := range onRanks(2, func(rank *LocalRank) error {
		config, _ := there(rank)
		broken := len(set.Labels) // none
		if rank.Rank() == 1 {
			broken = 17
		}
		trainer, err := New(smallNetwork(t), brokenSource{set, broken}, config, nil)
		if err != nil {
			return err
		}
		defer trainer.Close()
		return trainer.Fit(t.Context(), Callbacks{})
	}) {
		var own *OwnError
		var other *RankError
		if !(rank == 1 && errors.As(err, &own) || rank == 0 && errors.As(err, &other)) ||
			!OnAllRanks(err) || !strings.Contains(err.Error(), "the disk is gone") {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}

// Devices that are not alike, or do not join, end the run on all ranks before its first step.
func TestDevicesOfRanksThatDoNotJoin(t *testing.T) {
	set := datasettest.Bars(t, 60)
	_, there := onJoining(set)
	for name, test := range map[string]struct {
		change func(j *joining, rank int)
		want   [2]string
	}{
		"models": {func(j *joining, rank int) { j.model = string("ab"[rank]) },
			[2]string{"device is a on rank 0 and b on rank 1", "device is a on rank 0 and b on rank 1"}},
		"one": {func(j *joining, _ int) { j.refuse = &device.JoinError{Rank: 1, Reason: "none here"} },
			[2]string{"rank 1: none here", "device borrowed: none here"}},
		"both": {func(j *joining, _ int) { j.refuse = &device.JoinError{Rank: -1, Reason: "the same"} },
			[2]string{"the same", "the same"}},
	} {
		for rank, err := range onRanks(2, func(rank *LocalRank) error {
			config, _ := there(rank)
			j := config.Device.(joining)
			test.change(&j, rank.Rank())
			config.Device = j
			trainer, err := New(smallNetwork(t), set, config, nil)
			if err != nil {
				return err
			}
			defer trainer.Close()
			return trainer.Fit(t.Context(), Callbacks{})
		}) {
			if err == nil || !OnAllRanks(err) || !strings.Contains(err.Error(), test.want[rank]) {
				t.Errorf("%s, rank %d: %v, want %q", name, rank, err, test.want[rank])
			}
		}
	}
}
