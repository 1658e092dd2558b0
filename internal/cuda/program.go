//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"slipway/dataset"
	"slipway/internal/device"
)

// program is what a session does for one batch size: fetch the images, run the
// graph, and in training book the loss and learn from it.
type program struct {
	gpu      *gpu
	memory   pool
	machine  *Machine
	launches []launch
	// loss is the mean cross-entropy, logits the network's answers.
	loss, logits *buffer

	// A program runs launch by launch once, so that every library has loaded what
	// it needs, is captured then, and launched whole from then on.
	ran      bool
	capture  bool
	captured *executable
}

// run puts the program into the stream. It does not wait.
func (p *program) run() error {
	if !p.ran || !p.capture {
		p.ran = true
		return runAll(p.gpu, p.launches)
	}
	if p.captured == nil {
		if err := p.capturing(); err != nil {
			return fmt.Errorf("%w; %s=0 runs without CUDA graphs", err, GraphsVariable)
		}
	}
	p.gpu.count.Graphs++
	return p.captured.launch(p.gpu.stream)
}

// capturing records the launches as a CUDA graph, without running them.
func (p *program) capturing() error {
	if err := beginCapture(p.gpu.stream); err != nil {
		return err
	}
	before := p.gpu.count.Launches
	runErr := runAll(p.gpu, p.launches)
	p.gpu.count.Launches = before // nothing was launched
	// A capture has to end, also one that failed.
	captured, err := endCapture(p.gpu.stream)
	if runErr != nil {
		if err == nil {
			err = captured.destroy()
		}
		return errors.Join(fmt.Errorf("capture a step: %w", runErr), err)
	}
	if err != nil {
		return err
	}
	p.captured = &captured
	return nil
}

func (p *program) close() error {
	var all []error
	if p.captured != nil {
		all = append(all, p.captured.destroy())
		p.captured = nil // gone, also where that failed
	}
	if p.machine != nil {
		all = append(all, p.machine.close())
	}
	return errors.Join(append(all, p.memory.free())...)
}

// trainingProgram returns the program of a training batch, making it once.
func (s *session) trainingProgram(batch int) (*program, error) {
	if p, ok := s.programs[batch]; ok {
		return p, nil
	}
	p, err := s.newProgram(batch, nil)
	if err != nil {
		return nil, fmt.Errorf("compile a step of %d images: %w", batch, err)
	}
	s.programs[batch] = p
	return p, nil
}

// evaluationProgram returns the program of a batch of the set, making it once.
func (s *session) evaluationProgram(set *dataset.Set, batch int) (*program, error) {
	e, err := s.evaluationOf(set)
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

// evaluationOf returns the set's evaluation. It brings a set that is not on the device,
// in the place of the one that was used least lately where there are enough.
func (s *session) evaluationOf(set *dataset.Set) (*evaluation, error) {
	for place, e := range s.evaluations {
		if e.set == set {
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
	i, err := s.bring(set, true)
	if err != nil {
		return nil, err
	}
	e := &evaluation{i, make(map[int]*program)}
	s.evaluations = append(s.evaluations, e)
	return e, nil
}

// newProgram makes the program of a batch of the set that is evaluated, or of a training
// step if that is nil.
func (s *session) newProgram(batch int, evaluated *evaluation) (*program, error) {
	graph, err := s.job.Lower(batch, evaluated == nil)
	if err != nil {
		return nil, err
	}
	p := &program{gpu: s.gpu, memory: pool{gpu: s.gpu}, capture: s.graphs}
	if err := s.compile(p, graph, batch, evaluated); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (s *session) compile(p *program, graph *device.Graph, batch int, evaluated *evaluation) error {
	resident := s.resident(graph)
	size := s.job.Set.ImageSize()
	pixels, err := p.memory.allocateFloats("a batch of images", batch*size)
	if err != nil {
		return err
	}
	labels, err := p.memory.allocateFloats("a batch of labels", batch)
	if err != nil {
		return err
	}
	resident[graph.Input], resident[graph.Labels] = pixels, labels

	set, order, at := s.training, s.order, s.ledger
	wanted := append(gorgonia.Nodes{graph.Total, graph.Data, graph.Logits}, graph.Gradients...)
	products := float32s
	if s.job.TF32 {
		products = tf32
	}
	if evaluated != nil {
		products = float32s // what is judged is what the exported model answers
		set, order, at = evaluated.images, evaluated.order, s.evaluationLedger
		wanted = gorgonia.Nodes{graph.Data, graph.Logits}
	}
	if p.machine, err = newMachine(s.gpu, machineOptions{
		Wanted: wanted, Resident: resident, Ledger: at, Batch: s.statistics.batchOf(graph.Statistics),
		Products: products,
	}); err != nil {
		return err
	}
	p.loss, p.logits = p.machine.values[graph.Data], p.machine.values[graph.Logits]

	o := s.job.Optimizer
	begin, err := s.gpu.kernel("begin_step", batch*size, 1, set.pixels, set.labels, order, at, s.table,
		pixels, labels, size, size/set.set.Channels, batch, o.LearningRate, o.Beta1, o.Beta2)
	if err != nil {
		return err
	}
	p.launches = append([]launch{begin}, p.machine.launches...)
	if evaluated != nil {
		return nil
	}
	learned, momenta, err := s.statistics.learned(p, graph.Statistics)
	if err != nil {
		return err
	}
	name, arguments := s.update()
	booked := []any{at, p.machine.values[graph.Total], p.loss, p.machine.correct, batch,
		s.statistics.running, s.statistics.batch, momenta, learned, s.total}
	finish, err := s.gpu.kernel(name, s.total+learned, 1, append(booked, arguments...)...)
	p.launches = append(p.launches, finish)
	return err
}

// update is the optimizer's kernel, and its arguments behind those by which the step is booked.
func (s *session) update() (name string, arguments []any) {
	o := s.job.Optimizer
	slot := func(i int) *buffer {
		if i >= len(s.slots) {
			return nil
		}
		return s.slots[i]
	}
	rate, decay := float32(o.LearningRate), float32(o.WeightDecay)
	switch o.Name {
	case "adam", "adamw":
		shrink := float32(1)
		if o.Name == "adamw" {
			shrink, decay = float32(1-o.LearningRate*o.WeightDecay), 0
		}
		return "adam", []any{s.weights, s.gradients, slot(0), slot(1), float32(o.Beta1), float32(o.Beta2),
			float32(1 - o.Beta1), float32(1 - o.Beta2), float32(o.Epsilon), decay, shrink}
	case "sgd":
		nesterov := int32(0)
		if o.Nesterov {
			nesterov = 1
		}
		return "sgd", []any{s.weights, s.gradients, slot(0), rate, float32(o.Momentum), decay, nesterov}
	default:
		return "rmsprop", []any{s.weights, s.gradients, slot(0), slot(1), rate, float32(o.Alpha),
			float32(1 - o.Alpha), float32(o.Epsilon), float32(o.Momentum), decay}
	}
}
