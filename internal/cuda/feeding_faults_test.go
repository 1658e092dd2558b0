//go:build gpu && linux && amd64

package cuda

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"gorgonia.org/cu"

	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/internal/datasettest"
	"slipway/internal/device"
	"slipway/train"
)

// A loss that is not finite stops the run at its step, although steps were fed behind it.
func TestDivergenceOfAFedStep(t *testing.T) {
	config := smallConfig()
	config.Optimizer = train.OptimizerConfig{Name: "sgd", LearningRate: 1e30}
	config.Pixels = train.PixelsRaw
	config.BatchSize = 2 // 30 steps an epoch
	config.Mix = train.Mix{MixUp: 1}
	diverge := func(device device.Device) *train.DivergedError {
		config.Device = device
		trainer, err := train.New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		var diverged *train.DivergedError
		if err := trainer.Fit(t.Context(), train.Callbacks{}); !errors.As(err, &diverged) {
			t.Fatalf("error %v, want a DivergedError", err)
		}
		return diverged
	}
	want, got := diverge(nil), diverge(openDevice(t))
	if got.Epoch != want.Epoch || got.Step != want.Step ||
		fmt.Sprint(got.Indices) != fmt.Sprint(want.Indices) {
		t.Errorf("%v, the native engine says %v", got, want)
	}
}

// unreadable is a source of which no image can be read once it is told so.
type unreadable struct {
	dataset.Source
	err error
}

func (u *unreadable) Read(ctx context.Context, images []uint8, labels []int32, indices []int,
	epoch int) error {
	if u.err != nil {
		return u.err
	}
	return u.Source.Read(ctx, images, labels, indices, epoch)
}

// What was learned before a picture cannot be read is saved, and is what the CPU has learned by
// then.
func TestAPictureThatCannotBeFed(t *testing.T) {
	gone := errors.New("own/a.png is gone")
	config := smallConfig()
	config.Augmentation = augment.Record{augment.Shift{Pixels: 1}}
	run := func(device device.Device) *train.Checkpoint {
		t.Helper()
		config.Device = device
		source := &unreadable{Source: datasettest.Bars(t, 60)}
		trainer, err := train.New(smallNetwork(t), source, config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		var saved *train.Checkpoint
		steps := 0
		err = trainer.Fit(t.Context(), train.Callbacks{
			Step: func(train.StepReport) error {
				if steps++; steps == 12 {
					source.err = gone
				}
				return nil
			},
			Save: func() error { saved = trainer.Checkpoint(); return nil },
		})
		var unread *train.ReadError
		if !errors.As(err, &unread) ||
			!strings.Contains(err.Error(), "epoch 2, step 5: read images: own/a.png is gone") {
			t.Fatalf("Fit returned %v", err)
		}
		return saved
	}
	want, got := run(nil), run(openDevice(t))
	if got.Progress.Step != 12 || got.Progress.EpochStep != 4 ||
		got.Progress.Images != want.Progress.Images {
		t.Errorf("saved after %+v, the native engine after %+v", got.Progress, want.Progress)
	}
	for i, weight := range want.Weights {
		if e := relativeError(got.Weights[i].Data, weight.Data); e > 1e-3 {
			t.Errorf("%s is %.2g of its largest off", weight.Name, e)
		}
	}
}

// mislabelled is a source of somebody's own, with a label that no class has.
type mislabelled struct{ dataset.Source }

func (m mislabelled) Read(ctx context.Context, images []uint8, labels []int32, indices []int,
	epoch int) error {
	err := m.Source.Read(ctx, images, labels, indices, epoch)
	labels[0] = 3
	return err
}

// A label that no class has is an error before the device goes by it, as on the CPU.
func TestALabelOfNoClassIsNotFed(t *testing.T) {
	const want = "label 0 of the batch is 3, outside 0…2"
	for name, device := range map[string]device.Device{"CPU": nil, "device": openDevice(t)} {
		if g, ok := device.(*gpu); ok {
			g.setBytes = holdsNothing
		}
		config := smallConfig()
		config.Device = device
		set := datasettest.Bars(t, 60)
		trainer, err := train.New(smallNetwork(t), mislabelled{set}, config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		if err := trainer.Fit(t.Context(), train.Callbacks{}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: Fit returned %v, want %s", name, err, want)
		}
		if _, err := trainer.Evaluate(t.Context(), mislabelled{set}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: Evaluate returned %v, want %s", name, err, want)
		}
	}
}

// fedRunThatFails returns the error of a run whose batches are fed, and of which the call of that
// name fails the after-th time.
func fedRunThatFails(t *testing.T, call string, after, code int) error {
	t.Helper()
	config := smallConfig()
	config.Device = openDevice(t)
	config.Augmentation = augment.Record{augment.Shift{Pixels: 1}}
	trainer, err := train.New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trainer.Close() })
	simulated.Fail(call, after, code, false)
	return trainer.Fit(t.Context(), train.Callbacks{})
}

// Faults of what feeding calls end a run in an error that names the call, and leave nothing behind.
func TestFaultsOfFeeding(t *testing.T) {
	needSimulator(t)
	for _, test := range []struct {
		call  string
		after int
		code  int
		want  string
	}{
		{"cuMemHostAlloc", 2, errorOutOfMemory, "a batch of 8 images to be fed: 2048 bytes of the " +
			"host's memory that stay in their place: cuMemHostAlloc: CUDA_ERROR_OUT_OF_MEMORY (2); " +
			"end other programs or train with a smaller -batch"},
		{"cuEventCreate", 1, errorOutOfMemory, "cuEventCreate: CUDA_ERROR_OUT_OF_MEMORY (2)"},
		{"cuEventRecord", 5, errorLaunchFailed, "cuEventRecord: CUDA_ERROR_LAUNCH_FAILED (719)"},
		{"cuEventSynchronize", 2, errorLaunchFailed,
			"cuEventSynchronize: CUDA_ERROR_LAUNCH_FAILED (719)"},
		{"cuMemcpyHtoDAsync_v2", 14, errorLaunchFailed,
			"cuMemcpyHtoDAsync: CUDA_ERROR_LAUNCH_FAILED (719)"},
	} {
		t.Run(test.call, func(t *testing.T) {
			err := fedRunThatFails(t, test.call, test.after, test.code)
			if err == nil || !strings.Contains(err.Error(), test.want) ||
				!strings.Contains(err.Error(), "device cuda:0") {
				t.Errorf("error %v, want %q", err, test.want)
			}
			simulated.Reset()
		})
	}
}

// Batches are fed to sessions that are fed, after they were made.
func TestFedSessionRejects(t *testing.T) {
	g := openDevice(t)
	var s *session
	config := smallConfig()
	config.Device = recorder{g, func(own *session, _ int) error { s = own; return nil }}
	rejects := func(calls map[string]func() error) {
		t.Helper()
		for name, call := range calls {
			if err := call(); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	}
	resident := fit(t, config)
	defer resident.Close()
	if _, err := s.Batch(8); err != nil {
		t.Error(err)
	}
	rejects(map[string]func() error{"a batch for steps that take a set's": s.StepFed})

	config.Augmentation = augment.Record{augment.Shift{Pixels: 1}}
	trainer := fit(t, config)
	defer trainer.Close()
	evaluate := func() error {
		_, _, err := s.EvaluateFed(nil, false, make([]float32, 24))
		return err
	}
	rejects(map[string]func() error{
		"no batch was made":                 s.StepFed,
		"no batch was made to be evaluated": evaluate,
		"a batch of no image":               func() error { _, err := s.Batch(0); return err },
		"a step of a set":                   func() error { return s.Step(8) },
		"an order of images":                func() error { return s.BeginEpoch(make([]int, 60), 0, nil) },
		"a first image outside":             func() error { return s.BeginEpoch(nil, 60, nil) },
	})
	batch, err := s.Batch(8)
	if err != nil {
		t.Fatal(err)
	}
	clear(batch.Images)
	clear(batch.Labels)
	if err := evaluate(); err != nil {
		t.Error(err)
	}
	rejects(map[string]func() error{"the same batch again": s.StepFed})
}

// The simulator sees page-locked memory that is written or freed while a copy from it may be under
// way, and counts copies from other memory.
func TestTheSimulatorKnowsPageLockedMemory(t *testing.T) {
	needSimulator(t)
	nothing := func(*gpu, cu.Event) error { return nil }
	behind := func(_ *gpu, event cu.Event) error { return event.Synchronize() }
	for _, test := range []struct {
		name  string
		wait  func(g *gpu, event cu.Event) error
		write bool
		seen  string
	}{
		{"written too soon", nothing, true, "the host changed what was being copied"},
		{"written behind the event", behind, true, ""},
		{"written behind the stream", func(g *gpu, _ cu.Event) error { return waitFor(g.stream) },
			true, ""},
		{"freed too soon", nothing, false, "no one has waited for that"},
		{"freed behind the event", behind, false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := openDevice(t)
			if err := g.thread.do(func() error {
				memory := pool{gpu: g}
				b, err := memory.allocateFloats("a value", 2)
				if err != nil {
					return err
				}
				host, err := allocateHost(8)
				if err != nil {
					return err
				}
				values := unsafe.Slice((*float32)(host), 2)
				values[0], values[1] = 1, 2
				event, err := cu.MakeEvent(cu.DisableTiming)
				if err != nil {
					return err
				}
				if err := errors.Join(cu.MemcpyHtoDAsync(b.address, host, 8, g.stream),
					event.Record(g.stream), test.wait(g, event)); err != nil {
					return err
				}
				if !test.write {
					return errors.Join(cu.MemFreeHost(host), waitFor(g.stream), memory.free(),
						cu.DestroyEvent(&event))
				}
				values[1] = 3
				return errors.Join(waitFor(g.stream), cu.MemFreeHost(host), memory.free(),
					cu.DestroyEvent(&event))
			}); err != nil {
				t.Fatal(err)
			}
			broken := simulated.Violations()
			if !strings.Contains(broken, test.seen) || test.seen == "" && broken != "" {
				t.Errorf("want %q, the simulator saw:\n%s", test.seen, broken)
			}
			if pageable := simulated.Calls("pageable cuMemcpyHtoDAsync"); pageable != 0 {
				t.Errorf("%d copies are from memory that is not page-locked", pageable)
			}
			simulated.Reset()
		})
	}
}
