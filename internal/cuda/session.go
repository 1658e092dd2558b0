//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"
	"os"

	"gorgonia.org/gorgonia"

	"slipway/builder"
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

	// weights, gradients and each slot of the optimizer hold all parameters.
	layout
	weights, gradients *buffer
	slots              []*buffer
	statistics         statistics

	table    *buffer // the float32 of each byte, of each channel
	training *images // nil where batches are fed, as the order
	order    *buffer
	feeding  feeding
	ledger   *buffer
	programs map[int]*program // training, by batch

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
		feeding:  feeding{gpu: g, size: job.Network.Input().Elements()},
		programs: make(map[int]*program),
	}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// prepare allocates what every program shares and uploads the training set, unless it is fed.
func (s *session) prepare() (err error) {
	learned, kept := split(s.job.Network)
	s.layout = newLayout(learned)
	if s.statistics, err = newStatistics(&s.memory, kept); err != nil {
		return err
	}
	zeroed := func(what string) (*buffer, error) {
		b, err := s.memory.allocateFloats(what, s.total)
		if err != nil {
			return nil, err
		}
		return b, zeroAsync(b.address, b.bytes, s.gpu.stream)
	}
	if s.weights, err = zeroed("weights"); err != nil {
		return err
	}
	if s.gradients, err = zeroed("gradients"); err != nil {
		return err
	}
	for _, name := range s.job.Slots {
		slot, err := zeroed("the optimizer's " + name)
		if err != nil {
			return err
		}
		s.slots = append(s.slots, slot)
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

// Load implements device.Session.
func (s *session) Load(state device.State) error {
	return s.gpu.thread.do(func() error {
		learned, kept, err := s.divide(state.Weights)
		if err != nil {
			return fmt.Errorf("weights: %w", err)
		}
		if err := putTensors(s.gpu, s.layout, s.weights, learned); err != nil {
			return fmt.Errorf("weights: %w", err)
		}
		if err := putTensors(s.gpu, s.statistics.layout, s.statistics.running, kept); err != nil {
			return fmt.Errorf("statistics: %w", err)
		}
		for i, name := range s.job.Slots {
			if err := putTensors(s.gpu, s.layout, s.slots[i], state.Optimizer[name]); err != nil {
				return fmt.Errorf("optimizer's %s: %w", name, err)
			}
		}
		return upload(s.gpu, s.ledger, []ledger{{Step: uint64(state.Steps)}})
	})
}

// divide divides a network's tensors into those that it learns and those that its layers keep.
func (s *session) divide(weights builder.Weights) (learned, kept builder.Weights, err error) {
	specs := s.job.Network.Tensors()
	if len(weights) != len(specs) {
		return nil, nil, fmt.Errorf("%d tensors, the network has %d", len(weights), len(specs))
	}
	for i, spec := range specs {
		if spec.Role == builder.Learned {
			learned = append(learned, weights[i])
			continue
		}
		kept = append(kept, weights[i])
	}
	return learned, kept, nil
}

// putTensors brings tensors to a buffer.
func putTensors(g *gpu, l layout, to *buffer, weights builder.Weights) error {
	all, err := l.pack(weights)
	if err != nil {
		return err
	}
	return upload(g, to, all)
}

// State implements device.Session.
func (s *session) State() (device.State, error) {
	state := device.State{Optimizer: make(map[string]builder.Weights)}
	err := s.gpu.thread.do(func() error {
		var err error
		if state.Weights, err = s.tensors(); err != nil {
			return err
		}
		for i, name := range s.job.Slots {
			if state.Optimizer[name], err = s.getWeights(s.slots[i]); err != nil {
				return err
			}
		}
		l, err := s.readLedger()
		state.Steps = int(l.Step)
		return err
	})
	return state, err
}

// tensors returns all of the network's, in its order.
func (s *session) tensors() (builder.Weights, error) {
	learned, err := s.getWeights(s.weights)
	if err != nil {
		return nil, err
	}
	all := make([]float32, s.statistics.total)
	if s.statistics.total > 0 {
		if err := download(s.gpu, all, s.statistics.running); err != nil {
			return nil, err
		}
	}
	kept := s.statistics.unpack(all)
	var weights builder.Weights
	for _, spec := range s.job.Network.Tensors() {
		from := &learned
		if spec.Role != builder.Learned {
			from = &kept
		}
		weights, *from = append(weights, (*from)[0]), (*from)[1:]
	}
	return weights, nil
}

// getWeights returns the tensors of a buffer of all parameters.
func (s *session) getWeights(from *buffer) (builder.Weights, error) {
	all := make([]float32, s.total)
	if err := download(s.gpu, all, from); err != nil {
		return nil, err
	}
	return s.unpack(all), nil
}

func (s *session) readLedger() (ledger, error) {
	var l [1]ledger
	err := download(s.gpu, l[:], s.ledger)
	return l[0], err
}

// BeginEpoch implements device.Session.
func (s *session) BeginEpoch(order []int, first int) error {
	places, err := s.places(order, first)
	if err != nil {
		return err
	}
	return s.gpu.thread.do(func() error {
		l, err := s.readLedger()
		if err != nil {
			return err
		}
		if err := upload(s.gpu, s.order, places); err != nil {
			return err
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

// Step implements device.Session.
func (s *session) Step(batch int) error {
	return s.gpu.thread.do(func() error {
		if s.job.Set == nil {
			return errors.New("a step takes images of a set, and batches are fed here")
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
		LastLoss: float64(l.LastLoss), Diverged: l.Diverged != 0, DivergedLoss: l.DivergedLoss,
	}, err
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
	for _, e := range s.evaluations {
		all = append(all, e.close())
	}
	if s.training != nil {
		all = append(all, s.training.memory.free())
	}
	s.training, s.evaluations = nil, nil
	return errors.Join(append(all, s.feeding.close(), s.memory.free())...)
}

// resident says where the graph's parameters, gradients and statistics are.
func (s *session) resident(graph *device.Graph) map[*gorgonia.Node]*buffer {
	at := make(map[*gorgonia.Node]*buffer)
	s.put(at, graph.Parameters, s.weights, 4)
	s.put(at, graph.Gradients, s.gradients, 4)
	s.statistics.put(at, graph.Statistics, s.statistics.running, 4)
	return at
}
