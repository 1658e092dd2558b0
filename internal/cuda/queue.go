//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"os"
	"strconv"

	"slipway/internal/device"
)

// GraphStepsVariable is the environment variable that has at most so many steps in one CUDA graph.
const GraphStepsVariable = "SLIPWAY_CUDA_GRAPH_STEPS"

const (
	// mostGraphSteps: a trainer looks at their losses then.
	mostGraphSteps = device.AccountEvery
	// mostGraphLaunches bounds a graph of several steps. A step with more of them takes long enough
	// that what one launch of a graph costs the host does not show.
	mostGraphLaunches = 1024
)

// queue are the steps that were asked for and are not put into the stream yet. Nothing that a step
// goes by is on the host, so that several are the same work one after another: as many as fill it
// are launched as one graph. Whatever else is asked of the session comes behind them (session.do).
type queue struct {
	program *program
	steps   int
}

// graphSteps returns the most steps of a graph, as the environment has it.
func graphSteps() (int, error) {
	text := os.Getenv(GraphStepsVariable)
	if text == "" {
		return mostGraphSteps, nil
	}
	steps, err := strconv.Atoi(text)
	if err != nil || steps < 1 || steps > mostGraphSteps {
		return 0, fmt.Errorf("%s=%q: it is how many steps are one CUDA graph at most, from 1 to %d",
			GraphStepsVariable, text, mostGraphSteps)
	}
	return steps, nil
}

// stepsOf returns how many steps of a program are one graph at most: one where ranks wait for each
// other's steps with a time limit, or where there are no graphs.
func (s *session) stepsOf(p *program) int {
	if !s.graphs || s.job.Ranks > 1 {
		return 1
	}
	return max(1, min(s.graphSteps, mostGraphLaunches/len(p.launches)))
}

// enqueue has a step done behind those that wait.
func (s *session) enqueue(p *program) error {
	if s.queue.program != p {
		if err := s.flush(); err != nil {
			return err
		}
		s.queue.program = p
	}
	s.queue.steps++
	if s.queue.steps < p.steps {
		return nil
	}
	return s.flush()
}

// flush puts the steps that wait into the stream.
func (s *session) flush() error {
	waiting := s.queue
	s.queue = queue{}
	if waiting.steps == 0 {
		return nil
	}
	return waiting.program.runSteps(waiting.steps)
}

// do runs a function on the device's thread, behind all steps that were asked for.
func (s *session) do(function func() error) error {
	return s.gpu.thread.do(func() error {
		if err := s.flush(); err != nil {
			return err
		}
		return function()
	})
}
