//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"
	"os"

	"slipway/dataset"
	"slipway/internal/device"
)

// GraphsVariable is the environment variable that turns CUDA graphs off when it is
// "0": every launch of a step is then made by itself.
const GraphsVariable = "SLIPWAY_CUDA_GRAPHS"

// session is a run's state on the GPU. Its methods run on the device's thread.
type session struct {
	gpu    *gpu
	job    device.Job
	memory pool
	graphs bool

	roles []role // of the network's tensors
	// weights, gradients and each slot of the optimizer hold the parameters that are trained.
	layout
	weights, gradients *buffer
	slots              []*buffer
	frozen             resting
	statistics         statistics
	groups             groups
	paces              *buffer // of the steps of the epoch; nil where none differs
	paced              int     // of them, those that are left; of no meaning without paces
	sums               stepSums
	average            average

	table    *buffer // the float32 of each byte, of each channel
	training *images
	order    *buffer
	ledger   *buffer
	passes   map[int]*pass    // of training, by batch
	programs map[int]*program // training, by the images of a step

	evaluationLedger *buffer
	evaluations      []*evaluation // the one that was used last is the last
}

// keptSets is how many evaluated sets stay on the device: a validation and a test set
// are evaluated in turn, after each epoch.
const keptSets = 2

// evaluation is a set that was evaluated, with what was compiled for it.
type evaluation struct {
	*images
	programs map[evaluated]*program
}

// evaluated is what is evaluated of a set: so many images at a time, by averaged weights or not.
type evaluated struct {
	batch    int
	averaged bool
}

func (e *evaluation) close() error {
	var all []error
	for _, p := range e.programs {
		all = append(all, p.close())
	}
	return errors.Join(append(all, e.memory.free())...)
}

// images is a data set on the device.
type images struct {
	set            *dataset.Set
	memory         pool
	pixels, labels *buffer
	order          *buffer // every place in turn; nil for the training set
}

func newSession(g *gpu, job device.Job) (*session, error) {
	s := &session{
		gpu: g, job: job, memory: pool{gpu: g}, graphs: os.Getenv(GraphsVariable) != "0",
		passes: make(map[int]*pass), programs: make(map[int]*program),
	}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// prepare allocates what every program shares and uploads the training set.
func (s *session) prepare() (err error) {
	if err := s.prepareTensors(); err != nil {
		return err
	}
	if err := s.prepareUpdates(); err != nil {
		return err
	}
	var table []float32
	for channel := range s.job.Set.Channels {
		values := s.job.Pixels.ChannelTable(channel)
		table = append(table, values[:]...)
	}
	if s.table, err = s.memory.allocateFloats("the pixels' values", len(table)); err != nil {
		return err
	}
	if err := upload(s.gpu, s.table, table); err != nil {
		return err
	}
	for _, l := range []**buffer{&s.ledger, &s.evaluationLedger} {
		if *l, err = s.memory.allocate("ledger", ledgerBytes); err != nil {
			return err
		}
		if err := upload(s.gpu, *l, []ledger{{}}); err != nil {
			return err
		}
	}
	if s.order, err = s.memory.allocate("the order of the images", int64(s.job.Set.Len())*4); err != nil {
		return err
	}
	s.training, err = s.bring(s.job.Set, false)
	return err
}

// bring uploads a set, with its own order if asked to.
func (s *session) bring(set *dataset.Set, inOrder bool) (*images, error) {
	i := &images{set: set, memory: pool{gpu: s.gpu}}
	if err := i.upload(s.gpu, inOrder); err != nil {
		return nil, errors.Join(fmt.Errorf("data set %s: %w", set.Name, err), i.memory.free())
	}
	return i, nil
}

func (i *images) upload(g *gpu, inOrder bool) (err error) {
	if i.pixels, err = i.memory.allocate("images", int64(len(i.set.Images))); err != nil {
		return err
	}
	if err := upload(g, i.pixels, i.set.Images); err != nil {
		return err
	}
	if i.labels, err = i.memory.allocate("labels", 4*int64(i.set.Len())); err != nil {
		return err
	}
	if err := upload(g, i.labels, i.set.Labels); err != nil {
		return err
	}
	if !inOrder {
		return nil
	}
	if i.order, err = i.memory.allocate("order", int64(i.set.Len())*4); err != nil {
		return err
	}
	places := make([]int32, i.set.Len())
	for place := range places {
		places[place] = int32(place)
	}
	return upload(g, i.order, places)
}

func (s *session) readLedger() (ledger, error) {
	var l [1]ledger
	err := download(s.gpu, l[:], s.ledger)
	return l[0], err
}

// BeginEpoch implements device.Session.
func (s *session) BeginEpoch(order []int, first int, paces []device.Pace) error {
	if len(order) != s.job.Set.Len() || first < 0 || first >= len(order) {
		return fmt.Errorf("an epoch of %d images from image %d on, the set has %d", len(order), first, s.job.Set.Len())
	}
	places := make([]int32, len(order))
	for i, place := range order {
		if place < 0 || place >= len(order) {
			return fmt.Errorf("image %d of the order is %d, outside 0…%d", i, place, len(order)-1)
		}
		places[i] = int32(place)
	}
	if len(paces) > s.job.Paced || len(paces) == 0 && s.job.Paced > 0 {
		return fmt.Errorf("an epoch of %d steps that differ, of at most %d", len(paces), s.job.Paced)
	}
	return s.gpu.thread.do(func() error {
		l, err := s.readLedger()
		if err != nil {
			return err
		}
		if err := upload(s.gpu, s.order, places); err != nil {
			return err
		}
		if s.paced = len(paces); s.paced > 0 {
			if err := upload(s.gpu, s.paces, paces); err != nil {
				return err
			}
		}
		return upload(s.gpu, s.ledger, []ledger{{Step: l.Step, Position: uint64(first)}})
	})
}

// Step implements device.Session.
func (s *session) Step(batch int) error {
	return s.gpu.thread.do(func() error {
		if s.paces != nil {
			if s.paced == 0 {
				return errors.New("a step behind the last of the epoch")
			}
			s.paced--
		}
		p, err := s.trainingProgram(batch)
		if err != nil {
			return err
		}
		return p.run()
	})
}

// Account implements device.Session.
func (s *session) Account() (device.Account, error) {
	var l ledger
	err := s.gpu.thread.do(func() (err error) {
		l, err = s.readLedger()
		return err
	})
	return device.Account{
		Steps: int(l.Steps), Images: int(l.Images), LossSum: l.LossSum, CrossEntropy: l.DataSum, Correct: int(l.Correct),
		LastLoss: float64(l.LastLoss), GradientNorm: l.LargestNorm, Diverged: l.Diverged != 0,
		DivergedGradients: l.Diverged == divergedGradients, DivergedLoss: l.DivergedLoss,
	}, err
}

// Evaluate implements device.Session.
func (s *session) Evaluate(set *dataset.Set, first, count int, averaged bool, logits []float32) (
	loss float64, correct int, err error) {
	if first < 0 || count < 1 || first+count > set.Len() {
		return 0, 0, fmt.Errorf("images %d to %d of %s, which has %d", first, first+count, set.Name, set.Len())
	}
	if averaged && !s.job.Averages {
		return 0, 0, errors.New("an evaluation by averaged weights, and none are averaged")
	}
	err = s.gpu.thread.do(func() error {
		p, err := s.evaluationProgram(set, evaluated{count, averaged})
		if err != nil {
			return err
		}
		if err := upload(s.gpu, s.evaluationLedger, []ledger{{Position: uint64(first)}}); err != nil {
			return err
		}
		if err := p.run(); err != nil {
			return err
		}
		right, value := make([]uint64, 1), make([]float32, 1)
		if err := download(s.gpu, right, p.pass.machine.correct); err != nil {
			return err
		}
		if err := download(s.gpu, value, p.pass.loss); err != nil {
			return err
		}
		loss, correct = float64(value[0]), int(right[0])
		return download(s.gpu, logits, p.pass.logits)
	})
	return loss, correct, err
}

// Close implements device.Session.
func (s *session) Close() error { return s.gpu.thread.do(s.close) }

func (s *session) close() error {
	// A run may end in the middle of an epoch, with steps under way in what is freed.
	all := []error{waitFor(s.gpu.stream)}
	for batch, p := range s.programs {
		all = append(all, p.close())
		delete(s.programs, batch)
	}
	for batch, p := range s.passes {
		all = append(all, p.close())
		delete(s.passes, batch)
	}
	for _, e := range s.evaluations {
		all = append(all, e.close())
	}
	if s.training != nil {
		all = append(all, s.training.memory.free())
	}
	s.training, s.evaluations = nil, nil
	return errors.Join(append(all, s.memory.free())...)
}
