package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
	"slipway/internal/device"
)

// Of an epoch that changes nothing, without dropout, the account is the evaluation of the set.
func TestTheAccountOfAnEpoch(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		network, err := builder.New("plain", builder.Shape{1, 6, 6}, builder.Flatten{},
			builder.Dense{Units: 3})
		if err != nil {
			t.Fatal(err)
		}
		config := smallConfig(engine)
		config.Epochs, config.Optimizer = 1, OptimizerConfig{Name: "sgd", LearningRate: 1e-30}
		set := datasettest.Bars(t, 60)
		trainer, err := New(network, set, config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		want, err := trainer.Evaluate(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		if want.Correct == 0 || want.Correct == set.Len() {
			t.Fatalf("%d images are right: nothing is tested", want.Correct)
		}
		epoch := trainer.Progress().History[0]
		if epoch.Steps != 8 || epoch.TrainAccuracy != want.Accuracy {
			t.Errorf("%d steps, accuracy %v, want %v", epoch.Steps, epoch.TrainAccuracy,
				want.Accuracy)
		}
		if math.Abs(epoch.MeanCrossEntropy-want.Loss) > 1e-6*want.Loss {
			t.Errorf("cross-entropy %v, want %v", epoch.MeanCrossEntropy, want.Loss)
		}
		images := epoch.ImagesPerSecond * epoch.Seconds
		if epoch.Seconds <= 0 || math.Abs(images-60) > 1e-9 {
			t.Errorf("%v images in %v s", images, epoch.Seconds)
		}
	})
}

// ending is a source that ends a context while an image is read, as an interrupt does.
type ending struct {
	dataset.Source
	index int
	end   context.CancelFunc
}

func (e *ending) Read(ctx context.Context, images []uint8, labels []int32, indices []int,
	epoch int) error {
	if slices.Contains(indices, e.index) {
		e.end()
		return fmt.Errorf("image %d: %w", e.index, ctx.Err())
	}
	return e.Source.Read(ctx, images, labels, indices, epoch)
}

// A run that is interrupted while a batch is read is saved, and no image is said to be at fault.
func TestAnInterruptWhileABatchIsRead(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	source := &ending{datasettest.Bars(t, 60), 7, cancel}
	trainer, err := New(smallNetwork(t), source, smallConfig(builder.DefaultEngine), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	saves := 0
	err = trainer.Fit(ctx, Callbacks{Save: func() error { saves++; return nil }})
	if !errors.Is(err, ErrInterrupted) || saves != 1 {
		t.Fatalf("Fit returned %v after saving %d times", err, saves)
	}
	at := slices.Index(trainer.batches.Order(0), 7) / 8
	if done := trainer.Progress().EpochStep; done != at {
		t.Errorf("%d steps are done, want %d", done, at)
	}
}

// The error of an image says in which step it was to be read.
func TestTheStepOfAnImageThatCannotBeRead(t *testing.T) {
	source := &failing{Source: datasettest.Bars(t, 60), index: 7, epoch: 0, err: errors.New("gone")}
	trainer, err := New(smallNetwork(t), source, smallConfig(builder.DefaultEngine), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	want := fmt.Sprintf("epoch 1, step %d: ", slices.Index(trainer.batches.Order(0), 7)/8+1)
	if err := trainer.Fit(t.Context(), Callbacks{}); err == nil || !strings.HasPrefix(err.Error(),
		want) {
		t.Errorf("%v, want %q", err, want)
	}
}

// The weights of a run that goes on without patience are the last ones, whatever was best
// before.
func TestPatienceSwitchedOff(t *testing.T) {
	config := smallConfig(builder.DefaultEngine)
	config.ValidationFraction, config.Patience = 0.2, 9
	first := newSmallTrainer(t, config)
	defer first.Close()
	if err := first.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	config.Epochs, config.Patience = 5, 0
	second, err := Resume(first.Checkpoint(), datasettest.Bars(t, 60), config)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	var last builder.Weights
	err = second.Fit(t.Context(),
		Callbacks{Epoch: func(*Epoch) error { last = second.Weights(); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	for i, weights := range second.Weights() {
		if !slices.Equal(weights.Data, last[i].Data) {
			t.Errorf("%s is not as the last epoch left it", weights.Name)
		}
	}
}

// absent is a device that brings no session about.
type absent struct{}

func (absent) String() string { return "absent" }

func (absent) NewSession(device.Job) (device.Session, error) { return nil, errors.New("unplugged") }

func (absent) CheckTF32() error { return nil }

func (absent) CheckBF16() error { return nil }

func (absent) SetBytes() int64 { return math.MaxInt64 }

// The kernels of this CPU are named where they compute the steps, and a device is where it fails.
func TestWhatComputesTheSteps(t *testing.T) {
	config := smallConfig(builder.EngineNative)
	trainer := newSmallTrainer(t, config)
	defer trainer.Close()
	if trainer.KernelSet() == "" {
		t.Error("the native engine names no kernels")
	}
	config.Device = absent{}
	away := newSmallTrainer(t, config)
	defer away.Close()
	if set := away.KernelSet(); set != "" {
		t.Errorf("a device computes with the kernels %q of this CPU", set)
	}
	err := away.Fit(t.Context(), Callbacks{})
	if err == nil || !strings.Contains(err.Error(), "device absent: unplugged") {
		t.Errorf("Fit returned %v", err)
	}
	_, err = away.Evaluate(t.Context(), datasettest.Bars(t, 9))
	if err == nil || !strings.Contains(err.Error(), "evaluate ") || !strings.Contains(err.Error(),
		"unplugged") {
		t.Errorf("Evaluate returned %v", err)
	}
}

// A batch of just the images that go together is not cut.
func TestABatchOfOnePart(t *testing.T) {
	trainer := penalisedTrainer(t, 192, 1)
	size := trainer.sum.size
	for _, batch := range []int{size, size + 1} {
		indices := trainer.batches.Order(0)[:batch]
		got, err := trainer.gradients(t.Context(), feed{trainer.training, trainer.trainingInfo,
			indices, 0})
		if err != nil {
			t.Fatal(err)
		}
		if whole := &got.model[0] != &trainer.sum.model[0]; whole != (batch == size) {
			t.Errorf("%d images, where %d go together: whole %t", batch, size, whole)
		}
	}
}

// Of equal scores the first counts.
func TestTheLargestScore(t *testing.T) {
	for want, row := range map[int][]float32{0: {1, 1, 0}, 1: {0, 2, 2}, 2: {-3, -2, -1}} {
		if got := argmax(row); got != want {
			t.Errorf("%v: %d, want %d", row, got, want)
		}
	}
}
