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
	single     []float32 // the two scores that are made of one
}

func (c *Classifier) newSession() (*session, error) {
	s := &session{classifier: c, work: workspace{classifier: c}}
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
	evaluator, err := native.New(context.Background(), c.model, native.Options{
		Outputs: []string{c.ports.Output}, Threads: c.chosen.threads,
	})
	if err != nil {
		return nil, err
	}
	s.evaluator = evaluator
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
	layout, err := c.ports.LayoutOf(batch, c.path)
	if err != nil {
		return Logits{}, err
	}
	return port.RunInChunks(ctx, batch, c.ports.FixedBatch(), func(chunk Batch) (Logits, error) {
		return s.run(ctx, chunk, layout)
	})
}

// run runs a batch of the size that the model fixes, if it fixes one.
func (s *session) run(ctx context.Context, batch Batch, layout port.Layout) (Logits, error) {
	c := s.classifier
	data, err := s.feeder.Feed(c.ports, layout, batch)
	if err != nil {
		return Logits{}, fmt.Errorf("%s: %w", c.path, err)
	}
	input := &native.Tensor{Data: data}
	for _, size := range c.ports.Shape(layout, batch.N, batch.C, batch.H, batch.W) {
		input.Shape = append(input.Shape, int(size))
	}
	outputs, err := s.evaluator.Run(ctx, map[string]*native.Tensor{c.ports.Input: input})
	if ctx.Err() != nil {
		return Logits{}, port.Ended(ctx)
	}
	if err != nil {
		return Logits{}, err
	}
	values, err := port.ScoresFrom(outputs[0].Data)
	if err != nil {
		return Logits{}, fmt.Errorf("%s: output %q: %w", c.path, c.ports.Output, err)
	}
	scores, err := c.ports.Logits(values, outputs[0].Shape, batch.N)
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
