package study

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"slipway/dataset"
	"slipway/dataset/corrupt"
	"slipway/internal/lease"
	"slipway/train"
)

// readRobustness reads the names of corruptions; "all" stands for all of them.
func (f *File) readRobustness(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode && node.Value == "all" {
		f.Robustness = corrupt.Names()
		return nil
	}
	nodes, err := list(node, "robustness")
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if err := (corrupt.Corruption{Name: node.Value, Strength: 1}).Check(); err != nil {
			return at(node, "%w", err)
		}
		f.Robustness = append(f.Robustness, node.Value)
	}
	return nil
}

// robustness evaluates the finished runs under the corruptions that the study asks
// for and that they have not been evaluated under yet. Each damaged set is made once
// for all runs; after the strengths of one corruption the results are written.
func (e *execution) robustness(ctx context.Context) error {
	own := e.ownIDs()
	for _, name := range e.file.Robustness {
		var missing []string
		for _, run := range e.planned.Runs {
			result, ok := e.results[run.ID]
			if ok && result.Robustness[name] == nil && own[run.ID] {
				missing = append(missing, run.ID)
			}
		}
		if len(missing) == 0 {
			continue
		}
		test, err := dataset.Load(ctx, e.sets.test)
		if err != nil {
			return err
		}
		var damaged []*dataset.Set
		for strength := 1; strength <= corrupt.Strengths; strength++ {
			set, err := corrupt.Corruption{Name: name, Strength: strength}.Apply(test)
			if err != nil {
				return err
			}
			damaged = append(damaged, set)
		}
		e.options.Progress.Evaluating(name, len(missing))
		err = e.each(missing, func(id string) error {
			return e.evaluateUnder(ctx, id, name, damaged)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// each calls do for every run, several at a time, and returns the first error.
func (e *execution) each(ids []string, do func(id string) error) error {
	queue := make(chan string, len(ids))
	for _, id := range ids {
		queue <- id
	}
	close(queue)
	errs := make([]error, e.parallel)
	var workers sync.WaitGroup
	for i := range e.parallel {
		workers.Go(func() {
			for id := range queue {
				if errs[i] = do(id); errs[i] != nil {
					return
				}
			}
		})
	}
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// evaluateUnder adds a run's accuracy on the damaged sets to its result, unless another process
// does, or has.
func (e *execution) evaluateUnder(ctx context.Context, id, name string,
	damaged []*dataset.Set) error {
	for {
		claim, err := e.claim(id)
		if err == nil {
			err = e.evaluateClaimed(ctx, claim, id, name, damaged)
			claim.Release()
		}
		if !errors.As(err, new(errElsewhere)) && !errors.Is(err, lease.ErrLost) {
			return err
		}
		select {
		case <-ctx.Done():
			return ErrInterrupted
		case <-time.After(look):
		}
	}
}

func (e *execution) evaluateClaimed(ctx context.Context, claim *lease.Lease, id, name string,
	damaged []*dataset.Set) error {
	dir := filepath.Join(e.poolDir, id)
	// What others have added meanwhile stays.
	result, err := ReadResult(dir)
	if err != nil {
		return err
	}
	if result.Robustness[name] != nil {
		e.mutex.Lock()
		defer e.mutex.Unlock()
		e.results[id] = result
		return nil
	}
	trainer, err := e.evaluator(id, dir, result)
	if err != nil {
		return fmt.Errorf("run %s: %w", id, err)
	}
	defer trainer.Close()
	var accuracies []float64
	for _, set := range damaged {
		evaluation, err := trainer.Evaluate(ctx, set)
		if ctx.Err() != nil {
			return ErrInterrupted
		}
		if err != nil {
			return fmt.Errorf("run %s: %w", id, err)
		}
		accuracies = append(accuracies, evaluation.Accuracy)
	}
	// The map is another one than readers of the result may hold.
	all := map[string][]float64{name: accuracies}
	for other, values := range result.Robustness {
		all[other] = values
	}
	result.Robustness = all
	if err := claim.Check(); err != nil {
		return fmt.Errorf("run %s: %w", id, err)
	}
	if err := result.Write(dir); err != nil {
		return err
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.results[id] = result
	return nil
}

// evaluator returns a trainer with the final weights of a run.
func (e *execution) evaluator(id, dir string, result Result) (*train.Trainer, error) {
	var spec Spec
	for _, t := range e.tasks {
		if t.id == id {
			spec = t.Spec
		}
	}
	weights, _, err := train.ReadWeights(filepath.Join(dir, WeightsFile), spec.Network)
	if err != nil {
		return nil, err
	}
	config := result.Config
	config.Threads = e.threads
	return train.New(spec.Network, e.sets.training, config, weights)
}
