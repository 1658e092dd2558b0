//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"

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
	// fed is the block of a batch that is fed, nil where the images are on the device.
	fed *buffer

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
	set, order, at := s.training, s.order, s.ledger
	combinations := s.job.Info.Combinations
	wanted := append(gorgonia.Nodes{graph.Total, graph.Data, graph.Logits}, graph.Gradients...)
	products := float32s
	if s.job.TF32 {
		products = tf32
	}
	if evaluated != nil {
		products = float32s // what is judged is what the exported model answers
		set, order, at = evaluated.images, nil, s.evaluationLedger
		if set != nil {
			order = evaluated.order
		}
		combinations = evaluated.combinations
		wanted = gorgonia.Nodes{graph.Data, graph.Logits}
	}
	own, err := s.batchOf(p, batch, set == nil)
	if err != nil {
		return err
	}
	resident[graph.Input], resident[graph.Labels] = own.images, own.labels
	if p.machine, err = newMachine(s.gpu, machineOptions{
		Wanted: wanted, Resident: resident, Ledger: at, Batch: s.statistics.batchOf(graph.Statistics),
		Products: products, Others: own.others, Shares: own.shares, Combinations: combinations,
	}); err != nil {
		return err
	}
	p.loss, p.logits = p.machine.values[graph.Data], p.machine.values[graph.Logits]

	begin, err := s.begin(own, set, order, at, batch)
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

// ownBatch is a program's memory of its batch. Others and shares are nil where nobody feeds them.
type ownBatch struct{ images, labels, others, shares *buffer }

// batchOf allocates the memory of a program's batch: one block where it is fed.
func (s *session) batchOf(p *program, batch int, fed bool) (own ownBatch, err error) {
	size := s.job.Network.Input().Elements()
	if !fed {
		if own.images, err = p.memory.allocateFloats("a batch of images", batch*size); err != nil {
			return own, err
		}
		own.labels, err = p.memory.allocateFloats("a batch of labels", batch)
		return own, err
	}
	layout := newFedLayout(batch, size)
	if p.fed, err = p.memory.allocateFloats("a batch that is fed", layout.total); err != nil {
		return own, err
	}
	part := func(place, values int) *buffer { return p.fed.part(4*int64(place), 4*int64(values)) }
	return ownBatch{images: part(0, batch*size), labels: part(layout.labels, batch),
		others: part(layout.others, batch), shares: part(layout.shares, batch)}, nil
}

// begin is a program's first launch: it fetches the batch, unless that is fed, and notes what the
// launches behind it go by.
func (s *session) begin(own ownBatch, from *images, order, at *buffer, batch int) (launch, error) {
	o := s.job.Optimizer
	size := s.job.Network.Input().Elements()
	if from == nil {
		var none *buffer
		return s.gpu.kernel("begin_step", 1, 1, none, none, none, at, none, none, none, size, size, batch,
			o.LearningRate, o.Beta1, o.Beta2)
	}
	return s.gpu.kernel("begin_step", batch*size, 1, from.pixels, from.labels, order, at, s.table,
		own.images, own.labels, size, size/from.set.Channels, batch, o.LearningRate, o.Beta1, o.Beta2)
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
