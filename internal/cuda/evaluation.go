//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"
	"slices"

	"slipway/dataset"
)

// keptSets is how many evaluated sets stay on the device: a validation and a test set
// are evaluated in turn, after each epoch.
const keptSets = 2

// evaluation is a set that was evaluated, with what was compiled for it; or all those whose batches
// are fed and have the same combinations of labels.
type evaluation struct {
	*images      // nil where batches are fed
	combinations dataset.Combinations
	programs     map[int]*program // by batch
}

func (e *evaluation) close() error {
	var all []error
	for _, p := range e.programs {
		all = append(all, p.close())
	}
	if e.images != nil {
		all = append(all, e.memory.free())
	}
	return errors.Join(all...)
}

// Evaluate implements device.Session.
func (s *session) Evaluate(set *dataset.Set, first, count int, logits []float32) (loss float64,
	correct int, err error) {
	if first < 0 || count < 1 || first+count > set.Len() {
		return 0, 0, fmt.Errorf("images %d to %d of %s, which has %d", first, first+count, set.Name,
			set.Len())
	}
	err = s.gpu.thread.do(func() error {
		p, err := s.evaluationProgram(set, set.Combinations, count)
		if err != nil {
			return err
		}
		if err := upload(s.gpu, s.evaluationLedger, []ledger{{Position: uint64(first)}}); err != nil {
			return err
		}
		loss, correct, err = p.answers(logits)
		return err
	})
	return loss, correct, err
}

// answers runs an evaluation and waits for it: the batch's loss, how many are classified right, and
// the logits.
func (p *program) answers(logits []float32) (loss float64, correct int, err error) {
	if err := p.run(); err != nil {
		return 0, 0, err
	}
	right, value := make([]uint64, 1), make([]float32, 1)
	if err := download(p.gpu, right, p.machine.correct); err != nil {
		return 0, 0, err
	}
	if err := download(p.gpu, value, p.loss); err != nil {
		return 0, 0, err
	}
	return float64(value[0]), int(right[0]), download(p.gpu, logits, p.logits)
}

// evaluationProgram returns the program of a batch of the set, or of one that is fed if that is
// nil, making it once.
func (s *session) evaluationProgram(set *dataset.Set, combinations dataset.Combinations,
	batch int) (*program, error) {
	e, err := s.evaluationOf(set, combinations)
	if err != nil {
		return nil, err
	}
	if p, ok := e.programs[batch]; ok {
		return p, nil
	}
	p, err := s.newProgram(batch, e)
	if err != nil {
		return nil, fmt.Errorf("compile an evaluation of %d images: %w", batch, err)
	}
	e.programs[batch] = p
	return p, nil
}

// evaluationOf returns the evaluation of a set, or of batches that are fed if that is nil. It
// brings a set that is not on the device, in the place of what was used least lately where there is
// enough.
func (s *session) evaluationOf(set *dataset.Set, combinations dataset.Combinations) (*evaluation,
	error) {
	for place, e := range s.evaluations {
		if e.of(set, combinations) {
			s.evaluations = append(slices.Delete(s.evaluations, place, place+1), e)
			return e, nil
		}
	}
	if len(s.evaluations) == keptSets {
		oldest := s.evaluations[0]
		s.evaluations = slices.Delete(s.evaluations, 0, 1)
		if err := errors.Join(waitFor(s.gpu.stream), oldest.close()); err != nil {
			return nil, err
		}
	}
	e := &evaluation{combinations: combinations, programs: make(map[int]*program)}
	if set != nil {
		var err error
		if e.images, err = s.bring(set, true); err != nil {
			return nil, err
		}
	}
	s.evaluations = append(s.evaluations, e)
	return e, nil
}

// of reports whether the evaluation is the set's, or that of batches that are fed if that is nil.
func (e *evaluation) of(set *dataset.Set, combinations dataset.Combinations) bool {
	if e.images != nil || set != nil {
		return e.images != nil && e.set == set
	}
	same := len(e.combinations) == len(combinations)
	return same && (len(combinations) == 0 || &e.combinations[0] == &combinations[0])
}
