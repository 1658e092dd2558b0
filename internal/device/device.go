// Package device says what a trainer wants of a place that computes its steps instead of this CPU:
// a GPU, with memory of its own. Package train drives it, internal/cuda is one.
package device

import (
	"context"
	"time"

	"gorgonia.org/gorgonia"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/collective"
)

// AccountEvery is the number of steps between two looks of a trainer at the loss of a device: a look
// waits for the device, and a diverged run does nothing in between.
const AccountEvery = 16

// Device is where a trainer's steps are computed instead of on this CPU.
type Device interface {
	// String names the device and what it computes with.
	String() string
	// NewSession brings a job's training set and programs to the device.
	NewSession(job Job) (Session, error)
	// CheckTF32 returns why the device has no products in TF32, nil if it has them.
	CheckTF32() error
	// CheckBF16 returns why the device has no steps in bfloat16, nil if it has them.
	CheckBF16() error
	// SetBytes is the most bytes of a set's images that are brought to the device as a whole.
	// Batches of a larger set are fed.
	SetBytes() int64
}

// Job is what a session computes.
type Job struct {
	Network *builder.Network
	// Info is what is trained on. Set has its images, and is nil where their batches are fed
	// (Session.StepFed): where they are made anew for each step, or are too many.
	Info dataset.Info
	Set  *dataset.Set
	// Pixels is how the bytes of a set are fed.
	Pixels dataset.Pixels
	// Optimizer has its defaults filled in, and Slots names the tensors of state that it keeps for
	// each parameter of Trained.
	Optimizer Optimizer
	Slots     []string
	// Trained are the parameters that the optimizer updates, in the network's order. The others
	// stay as they are, and have neither a gradient nor state.
	Trained []Trained
	// Paced is the most steps that an epoch has, whose Pace BeginEpoch is told; 0 where every step
	// has the optimizer's learning rate and nothing is averaged.
	Paced int
	// ClipNorm limits the norm of all gradients together; 0 does not.
	ClipNorm float64
	// Averages says that an average of the weights is kept beside them (State.Average).
	Averages bool
	// Batch is how many images go forward and back together in a step that has several batches,
	// whose gradients are averaged by image; 0 where a step is a batch.
	Batch int
	// Shards is to how many shards the images of a step are dealt, a power of two; 0 and 1 do not
	// deal them. Each goes forward and back by itself; their gradients, and what each makes of the
	// statistics that layers keep, meet in a binary tree, neighbours first.
	Shards int
	// Deal returns the images that a shard has of a step of so many, in the spans that go forward
	// and back together, none if it is left without. It is nil without Shards.
	Deal func(images, shard int) []Span
	// Ranks is how many processes share the shards evenly, this one among them, whose devices have
	// joined (Joiner); 0 and 1 are one process.
	Ranks int
	// TF32 has training steps round what they multiply in convolutions and dense layers to
	// TF32, whose mantissa has 10 bits. Evaluations stay in float32.
	TF32 bool
	// BF16 has training steps keep what goes from layer to layer, and the gradients of that, as
	// bfloat16, and multiply that by weights that are rounded to it. Weights, their gradients,
	// statistics and losses stay in float32, and so do evaluations.
	BF16 bool
	// Lower makes the graph for a batch on builder.EnginePlain. Its parameters'
	// values mean nothing: a session's are those that it loads.
	Lower func(batch int, training bool) (*Graph, error)
}

// Span is the images of a step from First up to End.
type Span struct{ First, End int }

// Joiner is a Device that trains together with those of other processes, the ranks of a run.
type Joiner interface {
	Device
	// Model names what the device computes with, but not which of several alike it is: ranks with
	// others round otherwise.
	Model() string
	// Join joins the device with those of all ranks, which call it at the same time. A step whose
	// exchanges have not ended after so long fails from then on. A *JoinError is the same on all
	// ranks.
	Join(ctx context.Context, ranks collective.Communicator, patience time.Duration) error
}

// JoinError says why devices cannot train together, on all ranks alike.
type JoinError struct {
	// Rank is the one to blame, −1 if that is not one alone.
	Rank   int
	Reason string
}

func (e *JoinError) Error() string { return e.Reason }

// Optimizer is train.OptimizerConfig, which says what the fields are.
type Optimizer struct {
	Name         string
	LearningRate float64
	Beta1        float64
	Beta2        float64
	Alpha        float64
	Momentum     float64
	Nesterov     bool
	Epsilon      float64
	WeightDecay  float64
}

// Trained is a parameter that the optimizer updates.
type Trained struct {
	// Tensor is its place among the network's tensors.
	Tensor int
	// LearningRate and WeightDecay are its own, which take the place of the Optimizer's.
	LearningRate, WeightDecay float64
	// Since is the number of steps that were done before it was trained: its first is the next.
	Since int
}

// Pace is what one step goes by and another does not.
type Pace struct {
	// Factor is what all learning rates are multiplied by.
	Factor float64
	// Average is what of the way to the weights their average goes after the step.
	Average float64
}

// Graph is a network's graph for one batch size, with its loss, and with the gradients if it
// trains.
type Graph struct {
	*builder.Lowered
	// Labels is the node of the batch's labels.
	Labels *gorgonia.Node
	// Data is the batch's loss, and its mean cross-entropy unless it trains; Total adds
	// the penalties.
	Data, Total *gorgonia.Node
	// Trained are the parameters that are not frozen, in order.
	Trained gorgonia.Nodes
	// Gradients are those of Total by Trained; none unless it trains.
	Gradients gorgonia.Nodes
}

// State is what a run learns, in the public layout.
type State struct {
	Weights builder.Weights
	// Optimizer holds the tensors of each of the optimizer's slots, in the order
	// of Job.Trained.
	Optimizer map[string]builder.Weights
	// Average holds the averaged weights, nil unless Job.Averages.
	Average builder.Weights
	// Steps is the number of steps done in all.
	Steps int
}

// Account is what the steps since Session.BeginEpoch came to: sums by image, as in
// train.Progress.
type Account struct {
	Steps, Images         int
	LossSum, CrossEntropy float64
	Correct               int
	// LastLoss is that of the last step, penalties included.
	LastLoss float64
	// GradientNorm is the largest norm of a step's gradients before they were clipped, 0 without
	// Job.ClipNorm.
	GradientNorm float64
	// Diverged says that the loss of the step after these was DivergedLoss, which
	// is not finite, or with DivergedGradients the norm of its gradients. Neither that step nor a
	// later one has changed anything.
	Diverged, DivergedGradients bool
	DivergedLoss                float64
}

// Batch is memory of the host from which a device copies a batch that is fed.
type Batch struct {
	// Images are B×C×H×W, as the network takes them, and Labels B.
	Images []float32
	Labels []int32
	// Others and Shares, B each, mix a second label into each image, as ops.Targets has them. They
	// are read where the job's graphs have such.
	Others []int32
	Shares []float32
}

// Session is a run's state on a device. It is used from one goroutine at a time.
type Session interface {
	// Load takes up a state.
	Load(state State) error
	// State waits for the steps and returns a copy of the state.
	State() (State, error)
	// BeginEpoch sets the order in which steps take the images of the set, from
	// order[first] on, and begins a new Account. An order may name an image several
	// times; it is nil where batches are fed. paces are those of the steps to come, none unless
	// Job.Paced.
	BeginEpoch(order []int, first int, paces []Pace) error
	// Step trains on the next images of the order. It may return before it is
	// done; a later call returns the error then.
	Step(images int) error
	// Batch returns the memory of the next batch to be fed, or of all those of a step, of so many
	// images, all of which is to be written but what the graph does not read. It waits until the
	// device has copied the batch that was there before, which is the last but one: one batch can be
	// made while the device computes another.
	Batch(images int) (*Batch, error)
	// StepFed is Step on the batch that Batch has returned last. That is the device's from then on.
	StepFed() error
	// Account waits for the steps and returns what they came to.
	Account() (Account, error)
	// Evaluate writes the logits of images first…first+images−1 of the set,
	// images×classes, and returns their mean cross-entropy and how many are
	// classified right, by the averaged weights where it is told to.
	Evaluate(set *dataset.Set, first, images int, averaged bool, logits []float32) (loss float64,
		correct int, err error)
	// EvaluateFed is Evaluate of the batch that Batch has returned last, of images with these
	// combinations of labels, nil where they have one label each.
	EvaluateFed(combinations dataset.Combinations, averaged bool, logits []float32) (loss float64,
		correct int, err error)
	// Close frees what the session holds on the device.
	Close() error
}
