package train

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// ErrInterrupted is returned by Fit when its context ended. All steps that were
// finished are saved.
var ErrInterrupted = errors.New("training was interrupted")

// UnsavedError is returned by Fit when its context ended, but what was learned since
// the last checkpoint could not be saved. It is no ErrInterrupted.
type UnsavedError struct{ Err error }

func (e *UnsavedError) Error() string {
	return fmt.Sprintf("%v, and its state could not be saved: %v", ErrInterrupted, e.Err)
}

func (e *UnsavedError) Unwrap() error { return e.Err }

// absurdLoss is a loss that no run comes back from: that of a network of which the
// answers are off by as much has gradients beyond what float32 adds to its weights.
const absurdLoss = 1e16

// diverged reports a loss that is not finite, or absurd.
func diverged(loss float64) bool { return !(math.Abs(loss) <= absurdLoss) }

// DivergedError says that the loss was no longer finite, or absurdly high, or the
// weights no longer finite.
type DivergedError struct {
	// Epoch and Step count from 1; Step is that within the epoch.
	Epoch, Step int
	Loss        float64
	// Indices are the images of the batch.
	Indices []int
	// Validation says that the loss is that of the images held out, after the epoch:
	// its last step, which is Step, made the weights overflow.
	Validation bool
	// Weights says that Step, before an epoch's end or an interruption, made the
	// weights overflow. Loss is that before the step.
	Weights bool
	// Gradients says that the loss, which is Loss, was finite and its gradient was not. The
	// step has changed nothing.
	Gradients bool
}

// Brief says what happened where.
func (e *DivergedError) Brief() string {
	switch {
	case e.Weights:
		return fmt.Sprintf("the weights are no longer finite after epoch %d, step %d", e.Epoch, e.Step)
	case e.Gradients:
		return fmt.Sprintf("the gradient is no longer finite at epoch %d, step %d", e.Epoch, e.Step)
	case e.Validation:
		return fmt.Sprintf("the validation loss is %.6g after epoch %d", e.Loss, e.Epoch)
	}
	return fmt.Sprintf("the loss is %.6g at epoch %d, step %d", e.Loss, e.Epoch, e.Step)
}

// Error adds the images of the batch, where it is their loss, and a remedy.
func (e *DivergedError) Error() string {
	const remedy = "; try a lower learning rate"
	if e.Weights || e.Validation {
		return e.Brief() + remedy
	}
	shown := e.Indices
	more := ""
	if len(shown) > 8 {
		shown, more = shown[:8], fmt.Sprintf(" and %d more", len(e.Indices)-8)
	}
	return fmt.Sprintf("%s (images %v%s)%s", e.Brief(), shown, more, remedy)
}

// ReadError says that images could not be read: a file is gone, or is another one than when
// the set was opened. Fit has saved all steps before.
type ReadError struct{ Err error }

func (e *ReadError) Error() string { return fmt.Sprintf("read images: %v", e.Err) }

func (e *ReadError) Unwrap() error { return e.Err }

// RankError says that another rank could not go on, at the same step, which has changed nothing on
// any rank.
type RankError struct {
	Rank    int
	Message string
}

func (e *RankError) Error() string { return fmt.Sprintf("rank %d: %s", e.Rank, e.Message) }

// OwnError is what the rank itself has where others have a RankError.
type OwnError struct{ Err error }

func (e *OwnError) Error() string { return e.Err.Error() }

func (e *OwnError) Unwrap() error { return e.Err }

// SilentError says that another rank has not answered for as long as Config.ExchangeTimeout.
type SilentError struct {
	Rank  int
	After time.Duration
}

func (e *SilentError) Error() string {
	return fmt.Sprintf("rank %d has not answered for %v: it has ended, hangs, or needs more time "+
		"(-mpi-timeout)", e.Rank, e.After)
}

// DisagreementError says in what the ranks are not alike, each found by all of them.
type DisagreementError struct{ Differences []string }

func (e *DisagreementError) Error() string {
	return "the ranks do not train the same run: " + strings.Join(e.Differences, "; ")
}

// OnAllRanks reports whether Fit has returned this error on all ranks, or one that means the same:
// they have stopped at the same step, and none of them waits for another. It is false of what
// happened to one rank alone, such as a checkpoint that could not be written: the others still
// wait, and have to be ended.
func OnAllRanks(err error) bool {
	var unsaved *UnsavedError
	if errors.As(err, &unsaved) {
		return false
	}
	var diverged *DivergedError
	var other *RankError
	var own *OwnError
	var disagree *DisagreementError
	return errors.Is(err, ErrInterrupted) || errors.As(err, &diverged) || errors.As(err, &other) ||
		errors.As(err, &own) || errors.As(err, &disagree)
}

// UnfitError says that a network cannot classify the images of a set, since their shape
// or the number of classes is another one.
type UnfitError struct{ reason string }

func (e *UnfitError) Error() string { return e.reason }
