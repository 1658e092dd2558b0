//go:build gpu && linux && amd64

package cuda

import (
	"errors"

	"gorgonia.org/gorgonia"

	"slipway/internal/device"
)

// pass takes a batch of images forward, and in training back.
type pass struct {
	memory         pool
	batch          int
	graph          *device.Graph
	machine        *Machine
	pixels, labels *buffer
	// total is the mean loss with penalties, loss without, logits the network's answers.
	total, loss, logits *buffer
	// learned is how many statistics a step brings up to date, and momenta how much of the batch's
	// goes into each.
	learned int
	momenta *buffer
}

func (p *pass) close() error {
	var err error
	if p.machine != nil {
		err = p.machine.close()
	}
	return errors.Join(err, p.memory.free())
}

// trainingPass returns the pass of a batch that is trained on, making it once: steps share it.
func (s *session) trainingPass(batch int) (*pass, error) {
	if p, ok := s.passes[batch]; ok {
		return p, nil
	}
	p, err := s.newPass(batch, nil, false)
	if err != nil {
		return nil, err
	}
	s.passes[batch] = p
	return p, nil
}

// newPass makes the pass of a batch of the set that is evaluated, by averaged weights or not, or of
// one that is trained on if that is nil.
func (s *session) newPass(batch int, of *evaluation, averaged bool) (*pass, error) {
	graph, err := s.job.Lower(batch, of == nil)
	if err != nil {
		return nil, err
	}
	p := &pass{memory: pool{gpu: s.gpu}, batch: batch, graph: graph}
	if err := s.compile(p, of, averaged); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (s *session) compile(p *pass, of *evaluation, averaged bool) (err error) {
	graph := p.graph
	resident := s.resident(graph, averaged)
	size := s.job.Set.ImageSize()
	if p.pixels, err = p.memory.allocateFloats("a batch of images", p.batch*size); err != nil {
		return err
	}
	if p.labels, err = p.memory.allocateFloats("a batch of labels", p.batch); err != nil {
		return err
	}
	resident[graph.Input], resident[graph.Labels] = p.pixels, p.labels

	at := s.ledger
	wanted := append(gorgonia.Nodes{graph.Total, graph.Data, graph.Logits}, graph.Gradients...)
	products := float32s
	if s.job.TF32 {
		products = tf32
	}
	if of != nil {
		products = float32s // what is judged is what the exported model answers
		at = s.evaluationLedger
		wanted = gorgonia.Nodes{graph.Data, graph.Logits}
	}
	if p.machine, err = newMachine(s.gpu, machineOptions{
		Wanted: wanted, Resident: resident, Ledger: at, Batch: s.statistics.batchOf(graph.Statistics),
		Products: products, Several: s.job.Batch > 0,
	}); err != nil {
		return err
	}
	p.total, p.loss, p.logits = p.machine.values[graph.Total], p.machine.values[graph.Data],
		p.machine.values[graph.Logits]
	if of == nil {
		p.learned, p.momenta, err = s.statistics.learned(p)
	}
	return err
}

// beginBatch is the first launch of a batch of a set, which is at that place of its step.
func (s *session) beginBatch(p *pass, set *images, order, at *buffer, batch span) (launch, error) {
	size, o := s.job.Set.ImageSize(), s.job.Optimizer
	var g groups // none of an evaluation
	var paces *buffer
	if set == s.training {
		g, paces = s.groups, s.paces
	}
	return s.gpu.kernel("begin_step", max(batch.length*size, len(g.all)), 1, set.pixels, set.labels,
		order, at, s.table, p.pixels, p.labels, size, size/set.set.Channels, batch.length, batch.offset,
		g.table, g.rates, word(len(g.all)), paces, o.Beta1, o.Beta2)
}
