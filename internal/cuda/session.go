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
	// graphSteps is the most steps that are one graph, and queue has those that are to be one.
	graphSteps int
	queue      queue
	// oneStream has all work in the stream of the steps.
	oneStream bool

	roles []role // of the network's tensors
	// weights, gradients and each slot of the optimizer hold the parameters that are trained.
	layout
	weights, gradients *buffer
	slots              []*buffer
	frozen             resting
	halves             halfWeights
	statistics         statistics
	groups             groups
	paces              *buffer // of the steps of the epoch; nil where none differs
	paced              int     // of them, those that are left; of no meaning without paces
	sums               stepSums
	dealt              *dealt // nil until a step that is dealt to shards
	average            average

	table    *buffer // the float32 of each byte, of each channel
	training *images // nil where batches are fed, as the order
	order    *buffer
	feeding  feeding
	ledger   *buffer
	passes   map[int]*pass    // of training, by batch
	programs map[int]*program // training, by the images of a step

	evaluationLedger *buffer
	evaluations      []*evaluation // the one that was used last is the last
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
		feeding: feeding{gpu: g, size: job.Network.Input().Elements()},
		passes:  make(map[int]*pass), programs: make(map[int]*program),
	}
	var err error
	if s.graphSteps, err = graphSteps(); err != nil {
		return nil, err
	}
	if s.oneStream = os.Getenv(StreamsVariable) == "1"; !s.oneStream {
		s.feeding.landing = new(landing)
	}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// prepare allocates what every program shares and uploads the training set, unless it is fed.
func (s *session) prepare() (err error) {
	if err := s.prepareTensors(); err != nil {
		return err
	}
	if err := s.prepareUpdates(); err != nil {
		return err
	}
	var table []float32
	for channel := range s.job.Info.Channels {
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
	if s.job.Set == nil {
		return nil
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
	places, err := s.places(order, first)
	if err != nil {
		return err
	}
	if len(paces) > s.job.Paced || len(paces) == 0 && s.job.Paced > 0 {
		return fmt.Errorf("an epoch of %d steps that differ, of at most %d", len(paces), s.job.Paced)
	}
	return s.do(func() error {
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

// places returns an order of the training set as the device takes it, none where batches are fed.
func (s *session) places(order []int, first int) ([]int32, error) {
	images := s.job.Info.Images
	fed := s.job.Set == nil
	if fed != (order == nil) || !fed && len(order) != images || first < 0 || first >= images {
		return nil, fmt.Errorf("an epoch of %d images from image %d on, the set has %d", len(order), first,
			images)
	}
	places := make([]int32, len(order))
	for i, place := range order {
		if place < 0 || place >= images {
			return nil, fmt.Errorf("image %d of the order is %d, outside 0…%d", i, place, images-1)
		}
		places[i] = int32(place)
	}
	return places, nil
}

// takePace reports a step for which there is no pace.
func (s *session) takePace() error {
	if s.paces == nil {
		return nil
	}
	if s.paced == 0 {
		return errors.New("a step behind the last of the epoch")
	}
	s.paced--
	return nil
}

// Step implements device.Session.
func (s *session) Step(batch int) error {
	return s.gpu.thread.do(func() error {
		if s.job.Set == nil {
			return errors.New("a step takes images of a set, and batches are fed here")
		}
		if err := s.takePace(); err != nil {
			return err
		}
		p, err := s.trainingProgram(batch)
		if err != nil {
			return err
		}
		return s.enqueue(p)
	})
}

// Account implements device.Session.
func (s *session) Account() (device.Account, error) {
	var l ledger
	err := s.do(func() (err error) {
		l, err = s.readLedger()
		return err
	})
	return device.Account{
		Steps: int(l.Steps), Images: int(l.Images), LossSum: l.LossSum, CrossEntropy: l.DataSum, Correct: int(l.Correct),
		LastLoss: float64(l.LastLoss), GradientNorm: l.LargestNorm, Diverged: l.Diverged != 0,
		DivergedGradients: l.Diverged == divergedGradients, DivergedLoss: l.DivergedLoss,
	}, err
}

// Close implements device.Session.
func (s *session) Close() error { return s.gpu.thread.do(s.close) }

func (s *session) close() error {
	// A run may end in the middle of an epoch, with steps under way in what is freed.
	all := []error{s.gpu.wait()}
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
	return errors.Join(append(all, s.feeding.close(), s.memory.free())...)
}
