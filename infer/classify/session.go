package classify

import (
	"context"
	"errors"
	"fmt"

	"slipway/infer/native"
	"slipway/infer/port"
	"slipway/internal/version"
)

// session computes one call at a time, in memory of its own.
type session struct {
	classifier *Classifier
	work       workspace
	runtime    Runtime           // nil for the native one
	evaluator  *native.Evaluator // of the native runtime
	feeder     port.Feeder
	input      native.Tensor
	output     native.Tensor
	inputs     []*native.Tensor // input alone
	outputs    []*native.Tensor // output alone
	scored     []float32        // what is made of scores of other types, or of single ones
	chunk      func(Batch) (Logits, error)
	ctx        context.Context // of the call in progress, with layout, for chunk
	layout     port.Layout
}

func (c *Classifier) newSession() (*session, error) {
	s := &session{classifier: c, work: workspace{classifier: c}}
	s.inputs, s.outputs = []*native.Tensor{&s.input}, []*native.Tensor{&s.output}
	s.chunk = s.run
	if c.chosen.open != nil {
		runtime, err := c.chosen.open(c.model)
		if err != nil {
			return nil, err
		}
		if runtime == nil {
			return nil, errors.New("WithRuntime: the function gave no runtime")
		}
		s.runtime = runtime
		return s, nil
	}
	if c.first != nil {
		s.evaluator = c.first.Session()
		return s, nil
	}
	evaluator, err := native.New(context.Background(), c.model, native.Options{
		Outputs: []string{c.ports.Output}, Threads: c.chosen.threads,
	})
	if err != nil {
		return nil, err
	}
	s.evaluator, c.first = evaluator, evaluator
	return s, nil
}

// info says what the session runs on.
func (s *session) info() Info {
	if s.runtime != nil {
		return s.runtime.Info()
	}
	c := s.classifier
	return c.ports.Tell(Info{
		Runtime: "native", Version: version.Module, Provider: s.evaluator.Kernels(), Device: "cpu",
		Threads: s.evaluator.Threads(), Notes: port.NotesOf(c.model),
	})
}

// scores runs a batch. What it returns is the session's until the next call.
func (s *session) scores(ctx context.Context, batch Batch) (Logits, error) {
	if s.runtime != nil {
		return s.runtime.Run(ctx, batch)
	}
	c := s.classifier
	var err error
	if s.layout, err = c.ports.LayoutOf(batch, c.path); err != nil {
		return Logits{}, err
	}
	s.ctx = ctx
	defer func() { s.ctx = nil }()
	return port.RunInChunks(ctx, batch, c.ports.FixedBatch(), s.chunk)
}

// run runs a batch of the size that the model fixes, if it fixes one.
func (s *session) run(batch Batch) (Logits, error) {
	c := s.classifier
	data, err := s.feeder.Feed(c.ports, s.layout, batch)
	if err != nil {
		return Logits{}, fmt.Errorf("%s: %w", c.path, err)
	}
	s.input.Data = data
	s.input.Shape = c.ports.AppendShape(s.input.Shape[:0], s.layout, batch)
	err = s.evaluator.RunInto(s.ctx, s.inputs, s.outputs)
	if s.ctx.Err() != nil {
		return Logits{}, port.Ended(s.ctx)
	}
	if err != nil {
		return Logits{}, err
	}
	values, ok := s.output.Data.([]float32)
	if !ok {
		if values, err = port.ScoresFrom(s.output.Data); err != nil {
			return Logits{}, fmt.Errorf("%s: output %q: %w", c.path, c.ports.Output, err)
		}
	}
	scores, err := c.ports.LogitsInto(&s.scored, values, s.output.Shape, batch.N)
	if err != nil {
		return Logits{}, fmt.Errorf("%s: %w", c.path, err)
	}
	return scores, nil
}

func (s *session) close() error {
	if s.runtime != nil {
		return s.runtime.Close()
	}
	return s.evaluator.Close()
}
