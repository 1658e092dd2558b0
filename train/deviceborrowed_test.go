package train

import (
	"errors"
	"math"

	"slipway/dataset"
	"slipway/internal/device"
)

// fedBatch is what is fed to a borrowed session. Its memory is another's after each step.
type fedBatch struct {
	memory [2]device.Batch
	next   int
	made   bool
	steps  int // that were fed, evaluations not among them
}

func (s *borrowedSession) Batch(images int) (*device.Batch, error) {
	b := &s.fed.memory[s.fed.next]
	size := s.inner.network.Input().Elements()
	*b = device.Batch{Images: make([]float32, images*size), Labels: make([]int32, images),
		Others: make([]int32, images), Shares: make([]float32, images)}
	for i := range b.Images {
		b.Images[i] = float32(math.NaN())
	}
	s.fed.made = true
	return b, nil
}

// takeFed returns the batch that was made.
func (s *borrowedSession) takeFed() (*device.Batch, error) {
	if !s.fed.made {
		return nil, errors.New("no batch was made")
	}
	b := &s.fed.memory[s.fed.next]
	s.fed.next, s.fed.made = 1-s.fed.next, false
	return b, nil
}

// runFed runs the program of a span of a batch that was made.
func (s *borrowedSession) runFed(b *device.Batch, of span, training bool,
	combinations dataset.Combinations) (*program, batchResult, error) {
	var result batchResult
	p, err := s.inner.program(of.end-of.first, training)
	if err != nil {
		return nil, result, err
	}
	size := s.inner.network.Input().Elements()
	copy(p.graph.Images(), b.Images[of.first*size:of.end*size])
	copy(p.labels, b.Labels[of.first:of.end])
	if targets := p.graph.targets; targets != nil {
		copy(targets.Others, b.Others[of.first:of.end])
		copy(targets.Shares, b.Shares[of.first:of.end])
		targets.Combinations = combinations
	}
	p.graph.SetStep(uint64(s.inner.progress.Step), of.first)
	if err := p.run(); err != nil {
		return nil, result, err
	}
	if result.total, result.data, err = p.losses(); err != nil {
		return nil, result, err
	}
	result.correct, err = p.correct(combinations)
	return p, result, err
}

func (s *borrowedSession) StepFed() error {
	s.fed.steps++
	b, err := s.takeFed()
	if err != nil || s.wrong != nil {
		return err
	}
	if err := s.pace(); err != nil {
		return err
	}
	undo := s.inner.rememberStatistics()
	result, err := s.fedGradients(b)
	if err == nil {
		err = s.inner.learn(result, make([]int, len(b.Labels)))
	}
	if err != nil {
		undo()
	}
	if errors.As(err, &s.wrong) {
		return nil
	}
	return err
}

// fedGradients runs a step's images forward and back, by the batches that the job says.
func (s *borrowedSession) fedGradients(b *device.Batch) (batchResult, error) {
	t, images := s.inner, len(b.Labels)
	combinations := t.trainingInfo.Combinations
	if s.job.Batch == 0 || s.job.Batch >= images {
		p, result, err := s.runFed(b, span{0, images}, true, combinations)
		if err != nil {
			return result, err
		}
		result.model, result.statistics = p.model, p.graph
		return result, nil
	}
	var result batchResult
	for at := 0; at < images; at += s.job.Batch {
		of := span{at, min(at+s.job.Batch, images)}
		p, part, err := s.runFed(b, of, true, combinations)
		if err != nil {
			return result, err
		}
		share := float64(of.end-of.first) / float64(images)
		result.total += share * part.total
		result.data += share * part.data
		result.correct += part.correct
		if err := t.sum.take(p, at == 0, float32(share)); err != nil {
			return result, err
		}
		p.graph.Update()
	}
	result.model = t.sum.model
	return result, nil
}

func (s *borrowedSession) EvaluateFed(combinations dataset.Combinations, averaged bool,
	logits []float32) (float64, int, error) {
	b, err := s.takeFed()
	if err != nil {
		return 0, 0, err
	}
	if averaged {
		s.inner.average.swap(s.inner.variables)
		defer s.inner.average.swap(s.inner.variables)
	}
	p, result, err := s.runFed(b, span{0, len(b.Labels)}, false, combinations)
	if err != nil {
		return 0, 0, err
	}
	values, err := p.logits()
	if err != nil || len(values) != len(logits) {
		return 0, 0, errors.Join(err, errors.New("there is another number of logits"))
	}
	copy(logits, values)
	return result.data, result.correct, nil
}
