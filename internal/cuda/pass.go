//go:build gpu && linux && amd64

package cuda

import (
	"errors"

	"gorgonia.org/gorgonia"

	"slipway/internal/device"
)

// pass takes a batch of images forward, and in training back.
type pass struct {
	memory  pool
	batch   int
	graph   *device.Graph
	machine *Machine
	// block has what is fed of a batch, as newFedLayout lays it out; nil where the images are on the
	// device. others and shares are in it, and nil with it.
	block *buffer
	// pixels are the images as the graph takes them. Where maps are in bf16 and the batch is fed, fed
	// are the images in the block, which a launch rounds to there; else they are the pixels.
	pixels, fed    *buffer
	labels         *buffer
	others, shares *buffer
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
	fed, at, combinations := s.job.Set == nil, s.ledger, s.job.Info.Combinations
	wanted := append(gorgonia.Nodes{graph.Total, graph.Data, graph.Logits}, graph.Gradients...)
	products := s.products()
	if of != nil {
		products = float32s // what is judged is what the exported model answers
		fed, at, combinations = of.images == nil, s.evaluationLedger, of.combinations
		wanted = gorgonia.Nodes{graph.Data, graph.Logits}
	}
	if err := s.giveBatch(p, fed, products); err != nil {
		return err
	}
	resident[graph.Input], resident[graph.Labels] = p.pixels, p.labels
	if p.machine, err = newMachine(s.gpu, machineOptions{
		Wanted: wanted, Resident: resident, Ledger: at, Batch: s.statistics.batchOf(graph.Statistics),
		Products: products, Images: graph.Input, Rounded: s.rounded(graph), Several: s.job.Batch > 0 || s.deals(),
		Others: p.others, Shares: p.shares, Combinations: combinations, OneStream: s.oneStream,
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

// giveBatch allocates the memory of a pass's batch: one block where it is fed.
func (s *session) giveBatch(p *pass, fed bool, products arithmetic) (err error) {
	size, bytes := s.feeding.size, int64(4)
	if products == bf16 {
		bytes = 2
	}
	if !fed || products == bf16 {
		p.pixels, err = p.memory.allocate("a batch of images", bytes*int64(p.batch*size))
		if err != nil {
			return err
		}
	}
	if !fed {
		p.labels, err = p.memory.allocateFloats("a batch of labels", p.batch)
		return err
	}
	layout := newFedLayout(p.batch, size)
	if p.block, err = p.memory.allocateFloats("a batch that is fed", layout.total); err != nil {
		return err
	}
	part := func(place, values int) *buffer { return p.block.part(4*int64(place), 4*int64(values)) }
	p.fed, p.labels = part(0, p.batch*size), part(layout.labels, p.batch)
	if p.pixels == nil {
		p.pixels = p.fed
	}
	p.others, p.shares = part(layout.others, p.batch), part(layout.shares, p.batch)
	return nil
}

// beginBatch is the first launch of a batch, which is at that place of its step: of a set, whose
// images it fetches, or of one that is fed if that is nil. Of a step of shards it is no batch's, and
// p is nil.
func (s *session) beginBatch(p *pass, set *images, order, at *buffer, batch span) (launch, error) {
	size, o := s.feeding.size, s.job.Optimizer
	var g groups // none of an evaluation
	var paces *buffer
	if at == s.ledger {
		g, paces = s.groups, s.paces
	}
	var from images // none of a batch that is fed, for which there is nothing to fetch here
	var table, pixels, labels *buffer
	values, area := 1, size
	if set != nil {
		from, table, pixels, labels = *set, s.table, p.pixels, p.labels
		values, area = batch.length*size, size/set.set.Channels
	}
	name := "begin_step"
	if p != nil && p.machine.inBF16() { // none where shards have images of their own
		name += bf16Suffix
	}
	return s.gpu.kernel(name, max(values, len(g.all)), 1, from.pixels, from.labels, order, at,
		table, pixels, labels, size, area, batch.length, batch.offset, g.table, g.rates,
		word(len(g.all)), paces, o.Beta1, o.Beta2)
}

// roundBatch returns the launch that rounds a batch that is fed, nothing where none is to be.
func (s *session) roundBatch(p *pass) ([]launch, error) {
	if p.fed == nil || p.fed == p.pixels {
		return nil, nil
	}
	return s.narrow(p.fed, p.pixels, p.batch*s.feeding.size)
}
