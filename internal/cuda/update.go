//go:build gpu && linux && amd64

package cuda

import (
	"slices"
	"unsafe"

	"slipway/internal/device"
)

// group mirrors the kernels' Group: what some of the parameters are updated by.
type group struct {
	Rate, Decay, Shrink float64
	Since               uint64
}

// ratesBytes is the size of the kernels' Rates.
const ratesBytes = 24

// groups are all groups of parameters on the device.
type groups struct {
	all []group
	// table has them, rates what the step under way makes of each, and places which of them each
	// neighbourhood of weights is of, nil where there is one group.
	table, rates, places *buffer
}

// groupsOf returns the groups of a job, and which of them each neighbourhood of weights is of.
func groupsOf(job device.Job, l layout) (all []group, places []uint32) {
	decoupled := job.Optimizer.Name == "adamw" || job.Optimizer.Name == "lion"
	places = make([]uint32, l.total/alignment)
	for i, p := range job.Trained {
		g := group{Rate: p.LearningRate, Decay: p.WeightDecay, Since: uint64(p.Since)}
		if decoupled {
			g.Decay, g.Shrink = 0, p.WeightDecay
		}
		at := slices.Index(all, g)
		if at < 0 {
			at, all = len(all), append(all, g)
		}
		of := l.spans[i]
		for n := of.offset / alignment; n*alignment < of.offset+of.length; n++ {
			places[n] = uint32(at)
		}
	}
	return all, places
}

// average is that of the weights and of the running statistics; nil buffers where there is none.
type average struct{ weights, running *buffer }

// prepareUpdates allocates what parameters are updated by, beside their gradients and slots.
func (s *session) prepareUpdates() (err error) {
	memory := &s.memory
	all, places := groupsOf(s.job, s.layout)
	s.groups.all = all
	groupBytes := int64(unsafe.Sizeof(group{}))
	if s.groups.table, err = memory.allocate("groups", groupBytes*int64(len(all))); err != nil {
		return err
	}
	if err := upload(s.gpu, s.groups.table, all); err != nil {
		return err
	}
	s.groups.rates, err = memory.allocate("the groups' rates", ratesBytes*int64(len(all)))
	if err != nil {
		return err
	}
	if len(all) > 1 {
		s.groups.places, err = memory.allocate("the groups of weights", 4*int64(len(places)))
		if err != nil {
			return err
		}
		if err := upload(s.gpu, s.groups.places, places); err != nil {
			return err
		}
	}
	if s.job.Paced > 0 {
		paces := make([]device.Pace, s.job.Paced)
		bytes := int64(unsafe.Sizeof(paces[0])) * int64(len(paces))
		if s.paces, err = memory.allocate("the steps' paces", bytes); err != nil {
			return err
		}
		if err := upload(s.gpu, s.paces, paces); err != nil {
			return err
		}
	}
	if s.job.Averages {
		if s.average.weights, err = s.zeroed("averaged weights", s.total); err != nil {
			return err
		}
		s.average.running, err = s.zeroed("averaged statistics", s.statistics.total)
		if err != nil {
			return err
		}
	}
	if s.job.Batch > 0 && !s.deals() {
		return s.sums.prepare(s)
	}
	return nil
}

// booking is what a step is booked by: its mean losses, how many of its images are classified
// right, what its batch says of the running statistics, and its gradients.
type booking struct {
	total, data, correct *buffer
	images               int
	learned, momenta     *buffer
	statistics           int // how many of them are learned: all or none
	gradients            *buffer
}

// booked is what a step of so many images is booked by, where it is one batch.
func (s *session) booked(p *pass, images int) booking {
	return booking{p.total, p.loss, p.machine.correct, images, s.statistics.batch, p.momenta, p.learned,
		s.gradients}
}

// learn appends the launches that book a step and learn from it.
func (s *session) learn(p *program, b booking) error {
	if err := s.clip(p, b.gradients); err != nil {
		return err
	}
	name, arguments := s.update()
	booked := []any{s.ledger, b.total, b.data, b.correct, b.images, s.statistics.running, b.learned,
		b.momenta, b.statistics, s.total, s.groups.rates, s.groups.places, s.weights, b.gradients}
	finish, err := s.gpu.kernel(name, s.total+b.statistics, 1, append(booked, arguments...)...)
	if err != nil {
		return err
	}
	p.launches = append(p.launches, finish)
	if !s.job.Averages {
		return nil
	}
	kept := s.statistics.total
	averaged, err := s.gpu.kernel("average_weights", s.total+kept, 1, s.ledger, s.weights,
		s.average.weights, s.total, s.statistics.running, s.average.running, kept)
	p.launches = append(p.launches, averaged)
	return err
}

// clip appends the launch that finds the norm of the gradients, and what limits it.
func (s *session) clip(p *program, gradients *buffer) error {
	if s.job.ClipNorm == 0 {
		return nil
	}
	const each, most = 16 * threadsPerBlock, 1024 // values of a block, and blocks
	blocks := min((s.total+each-1)/each, most)
	partials, err := p.memory.allocate("partial sums", 8*int64(blocks))
	if err != nil {
		return err
	}
	ticket, err := p.memory.allocate("a ticket", 4)
	if err != nil {
		return err
	}
	if err := upload(s.gpu, ticket, []uint32{0}); err != nil {
		return err
	}
	norm, err := s.gpu.kernel("gradient_norm", blocks*threadsPerBlock, 1, s.ledger, gradients,
		partials, ticket, s.job.ClipNorm, s.total)
	p.launches = append(p.launches, norm)
	return err
}

// update is the optimizer's kernel, and its arguments behind the weights and their gradients.
func (s *session) update() (name string, arguments []any) {
	o := s.job.Optimizer
	slot := func(i int) *buffer {
		if i >= len(s.slots) {
			return nil
		}
		return s.slots[i]
	}
	switch o.Name {
	case "adam", "adamw":
		return "adam", []any{slot(0), slot(1), float32(o.Beta1), float32(o.Beta2),
			float32(1 - o.Beta1), float32(1 - o.Beta2), float32(o.Epsilon)}
	case "sgd":
		return "sgd", []any{slot(0), float32(o.Momentum), flag(o.Nesterov)}
	case "lion":
		return "lion", []any{slot(0), float32(1 - o.Beta1), float32(1 - o.Beta2)}
	default:
		return "rmsprop", []any{slot(0), slot(1), float32(o.Alpha), float32(1 - o.Alpha),
			float32(o.Epsilon), float32(o.Momentum)}
	}
}
