package train

import (
	"errors"
	"fmt"
)

// ErrInterrupted is returned by Fit when its context ended. The step under way
// was finished and saved.
var ErrInterrupted = errors.New("training was interrupted")

// UnsavedError is returned by Fit when its context ended, but what was learned since
// the last checkpoint could not be saved. It is no ErrInterrupted.
type UnsavedError struct{ Err error }

func (e *UnsavedError) Error() string {
	return fmt.Sprintf("%v, and its state could not be saved: %v", ErrInterrupted, e.Err)
}

func (e *UnsavedError) Unwrap() error { return e.Err }

// DivergedError says that the loss or the weights were no longer finite.
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
}

// Brief says what happened where.
func (e *DivergedError) Brief() string {
	switch {
	case e.Weights:
		return fmt.Sprintf("the weights are no longer finite after epoch %d, step %d", e.Epoch, e.Step)
	case e.Validation:
		return fmt.Sprintf("the validation loss is %v after epoch %d", e.Loss, e.Epoch)
	}
	return fmt.Sprintf("the loss is %v at epoch %d, step %d", e.Loss, e.Epoch, e.Step)
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

// UnfitError says that a network cannot classify the images of a set, since their shape
// or the number of classes is another one.
type UnfitError struct{ reason string }

func (e *UnfitError) Error() string { return e.reason }
