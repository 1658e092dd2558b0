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
	programs     map[evaluated]*program
}

// evaluated is what is evaluated of a set: so many images at a time, by averaged weights or not.
type evaluated struct {
	batch    int
	averaged bool
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
func (s *session) Evaluate(set *dataset.Set, first, count int, averaged bool, logits []float32) (
	loss float64, correct int, err error) {
	if first < 0 || count < 1 || first+count > set.Len() {
		return 0, 0, fmt.Errorf("images %d to %d of %s, which has %d", first, first+count, set.Name,
			set.Len())
	}
	err = s.do(func() error {
		p, err := s.evaluationProgram(set, set.Combinations, evaluated{count, averaged})
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
	if err := download(p.gpu, right, p.pass.machine.correct); err != nil {
		return 0, 0, err
	}
	if err := download(p.gpu, value, p.pass.loss); err != nil {
		return 0, 0, err
	}
	return float64(value[0]), int(right[0]), download(p.gpu, logits, p.pass.logits)
}

// evaluationProgram returns the program of a batch of the set, or of one that is fed if that is
// nil, making it once.
func (s *session) evaluationProgram(set *dataset.Set, combinations dataset.Combinations,
	of evaluated) (*program, error) {
	if of.averaged && !s.job.Averages {
		return nil, errors.New("an evaluation by averaged weights, and none are averaged")
	}
	e, err := s.evaluationOf(set, combinations)
	if err != nil {
		return nil, err
	}
	if p, ok := e.programs[of]; ok {
		return p, nil
	}
	p := &program{gpu: s.gpu, memory: pool{gpu: s.gpu}, capture: s.graphs}
	if err := s.compileEvaluation(p, e, of); err != nil {
		return nil, errors.Join(fmt.Errorf("compile an evaluation of %d images: %w", of.batch, err),
			p.close())
	}
	e.programs[of] = p
	return p, nil
}

func (s *session) compileEvaluation(p *program, e *evaluation, of evaluated) (err error) {
	if p.pass, err = s.newPass(of.batch, e, of.averaged); err != nil {
		return err
	}
	p.fed = p.pass.block
	var order *buffer
	if e.images != nil {
		order = e.order
	}
	begin, err := s.beginBatch(p.pass, e.images, order, s.evaluationLedger, span{0, of.batch})
	p.launches = append([]launch{begin}, p.pass.machine.launches...)
	return err
}

// evaluationOf returns the evaluation of a set, or of batches that are fed if that is nil. It brings
// a set that is not on the device, in the place of what was used least lately where there is enough.
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
		if err := errors.Join(s.gpu.wait(), oldest.close()); err != nil {
			return nil, err
		}
	}
	e := &evaluation{combinations: combinations, programs: make(map[evaluated]*program)}
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
