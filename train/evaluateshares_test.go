package train

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
)

// Ranks evaluate a set together, of three batches, of one, and of fewer batches than ranks: all
// have the evaluation of one rank, to the bit; also of averaged weights.
func TestRanksEvaluateTogether(t *testing.T) {
	for _, images := range []int{3, 600, 2*evaluationMost + 1} {
		set := datasettest.Bars(t, images)
		train := datasettest.Bars(t, 60)
		for _, ema := range []float64{0, 0.9} {
			var want *Evaluation
			for _, ranks := range []int{1, 2, 4} {
				for rank, err := range onRanks(ranks, func(rank *LocalRank) error {
					config := smallConfig(builder.EngineNative)
					config.Communicator, config.Shards, config.Epochs, config.EMA.Decay = rank, 4, 1, ema
					trainer, err := New(smallNetwork(t), train, config, nil)
					if err != nil {
						return err
					}
					defer trainer.Close()
					if err := trainer.TestOn(set); err != nil {
						return err
					}
					if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
						return err
					}
					alone, err := trainer.Evaluate(t.Context(), set)
					if err != nil {
						return err
					}
					if want == nil { // of one rank
						want = alone
					}
					got, err := trainer.EvaluateTogether(t.Context(), set)
					if err != nil {
						return err
					}
					if got.Correct != want.Correct || got.Loss != want.Loss || got.Accuracy != want.Accuracy ||
						!slices.Equal(got.Logits, want.Logits) || math.IsNaN(got.Loss) {
						t.Errorf("%d images, rank %d of %d: loss %v, %d right; want %v, %d", images, rank.Rank(),
							ranks, got.Loss, got.Correct, want.Loss, want.Correct)
					}
					return nil
				}) {
					if err != nil {
						t.Errorf("rank %d of %d: %v", rank, ranks, err)
					}
				}
			}
		}
	}
}

// A rank that cannot read its share is an error on all, also where it is the validation's.
func TestARankThatCannotEvaluate(t *testing.T) {
	const images = 600
	bars := datasettest.Bars(t, images)
	for _, validates := range []bool{false, true} {
		for rank, err := range onRanks(2, func(rank *LocalRank) error {
			config := smallConfig(builder.EngineNative)
			config.Communicator, config.Shards, config.Epochs, config.BatchSize = rank, 2, 1, 100
			var set dataset.Source = bars
			if validates {
				config.ValidationFraction = 0.9 // 540 images
			}
			trainer, err := New(smallNetwork(t), set, config, nil)
			if err != nil {
				return err
			}
			defer trainer.Close()
			if !validates {
				_, err := trainer.EvaluateTogether(t.Context(), brokenSource{set, images - 1})
				return err
			}
			trainer.validation = brokenSource{trainer.validation, trainer.validation.Len() - 1}
			return trainer.Fit(t.Context(), Callbacks{})
		}) {
			var own *OwnError
			var other *RankError
			if rank == 1 && !errors.As(err, &own) || rank == 0 && !errors.As(err, &other) ||
				!OnAllRanks(err) || !strings.Contains(err.Error(), "the disk is gone") {
				t.Errorf("rank %d: %v", rank, err)
			}
		}
	}
}

// What another rank says is read with care.
func TestWhatARankSaysOfAnEvaluation(t *testing.T) {
	whole := (&evaluated{losses: []float64{1, 2}, correct: 3, logits: []float32{4, 5}}).encode(nil)
	got := new(evaluated)
	if err := got.decode(1, whole); err != nil || got.correct != 3 ||
		!slices.Equal(got.losses, []float64{1, 2}) || !slices.Equal(got.logits, []float32{4, 5}) {
		t.Errorf("%+v, %v", got, err)
	}
	for cut := range 24 {
		if err := new(evaluated).decode(1, whole[:cut]); err == nil ||
			!strings.Contains(err.Error(), "rank 1 says ") {
			t.Errorf("%d bytes: %v", cut, err)
		}
	}
}
