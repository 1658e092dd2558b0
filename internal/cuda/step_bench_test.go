//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
	"slipway/internal/device"
	"slipway/train"
)

// BenchmarkStep is a steady training step: E1 and E2 over the batch size, the loss read once in 16
// steps, and of E1 also after each, with one step a CUDA graph, in TF32, in bf16, in one stream, and
// of batches that are fed, which the host copies into the stagings and does not make. host-ns/op is
// the host's time in the calls of the steps alone. gpu-check reads its output.
func BenchmarkStep(b *testing.B) {
	for _, name := range []string{"e1", "e2"} {
		for _, batch := range []int{32, 128, 512} {
			b.Run(fmt.Sprintf("%s/batch=%d", name, batch), func(b *testing.B) {
				benchmarkSteps(b, timed{name: name, batch: batch, read: 16})
			})
		}
	}
	b.Run("e1/batch=32/loss=each", func(b *testing.B) {
		benchmarkSteps(b, timed{name: "e1", batch: 32, read: 1})
	})
	for _, batch := range []int{32, 128, 512} {
		b.Run(fmt.Sprintf("e1/batch=%d/tf32", batch), func(b *testing.B) {
			benchmarkSteps(b, timed{name: "e1", batch: batch, precision: train.PrecisionTF32, read: 16})
		})
		b.Run(fmt.Sprintf("e1/batch=%d/bf16", batch), func(b *testing.B) {
			benchmarkSteps(b, timed{name: "e1", batch: batch, precision: train.PrecisionBF16, read: 16})
		})
		b.Run(fmt.Sprintf("e1/batch=%d/fed", batch), func(b *testing.B) {
			benchmarkSteps(b, timed{name: "e1", batch: batch, read: 16, fed: true})
		})
		b.Run(fmt.Sprintf("e1/batch=%d/one-step", batch), func(b *testing.B) {
			b.Setenv(GraphStepsVariable, "1")
			benchmarkSteps(b, timed{name: "e1", batch: batch, read: 16})
		})
		b.Run(fmt.Sprintf("e1/batch=%d/one-stream", batch), func(b *testing.B) {
			b.Setenv(StreamsVariable, "1")
			benchmarkSteps(b, timed{name: "e1", batch: batch, read: 16})
		})
	}
}

// timed says which steps are timed: in that precision, their loss read once in so many.
type timed struct {
	name      string
	batch     int
	precision string
	read      int
	fed       bool
}

func benchmarkSteps(b *testing.B, of timed) {
	g := openDevice(b)
	reduced := of.precision == train.PrecisionTF32
	if simulated != nil {
		simulated.TF32(reduced)
	}
	halves := of.precision == train.PrecisionBF16
	if simulated != nil {
		simulated.BF16(halves)
	}
	if err := g.CheckTF32(); reduced && err != nil {
		b.Skip(err)
	}
	if err := g.CheckBF16(); halves && err != nil {
		b.Skip(err)
	}
	network, config := experiment(b, of.name)
	config.Precision = of.precision
	set := datasettest.Digits(b, 10000)
	makeStepper := stepper
	if of.fed {
		g.setBytes = holdsNothing
		makeStepper = fedStepper
	}
	step := makeStepper(b, openSession(b, g, network, config, set), set.Len(), of.batch)
	// These compile and capture: a step by itself, one that is a graph, and several that are one.
	for range 2 * mostGraphSteps {
		step()
	}
	var host time.Duration
	b.ResetTimer()
	for i := range b.N {
		began := time.Now()
		stepped := step()
		look := i%of.read == of.read-1 || i == b.N-1
		if look { // what waits is put into the stream
			if err := stepped.(*session).do(func() error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
		host += time.Since(began)
		if look {
			if _, err := stepped.Account(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(of.batch)*float64(b.N)/b.Elapsed().Seconds(), "images/s")
	b.ReportMetric(float64(host.Nanoseconds())/float64(b.N), "host-ns/op")
}

// stepper returns a function that makes the next step. Each pass over the set is an epoch, as in
// training.
func stepper(t testing.TB, session device.Session, images, batch int) func() device.Session {
	order := inTurn(images)
	next := 0
	return func() device.Session {
		if next%(images/batch) == 0 {
			if err := session.BeginEpoch(order, 0, nil); err != nil {
				t.Fatal(err)
			}
		}
		next++
		if err := session.Step(batch); err != nil {
			t.Fatal(err)
		}
		return session
	}
}

// fedStepper is stepper of a session that is fed: the same batch in each step.
func fedStepper(t testing.TB, session device.Session, images, batch int) func() device.Session {
	next := 0
	var made device.Batch
	return func() device.Session {
		if next%(images/batch) == 0 {
			if err := session.BeginEpoch(nil, 0, nil); err != nil {
				t.Fatal(err)
			}
		}
		next++
		fed, err := session.Batch(batch)
		if err != nil {
			t.Fatal(err)
		}
		if made.Images == nil {
			made = device.Batch{Images: make([]float32, len(fed.Images)),
				Labels: make([]int32, len(fed.Labels))}
		}
		copy(fed.Images, made.Images)
		copy(fed.Labels, made.Labels)
		if err := session.StepFed(); err != nil {
			t.Fatal(err)
		}
		return session
	}
}

// The first steps of a process, each waited for: what is opened, compiled and captured in them.
// gpu-check reads what it logs, from a process of its own.
func TestFirstContact(t *testing.T) {
	began := time.Now()
	var told []string
	tell := func(what string) {
		told = append(told, fmt.Sprintf("%s %.1f ms", what, float64(time.Since(began).Microseconds())/1000))
		began = time.Now()
	}
	g := openDevice(t)
	tell("device opened")
	network, config := experiment(t, "e1")
	config.BatchSize = 8
	set := datasettest.Digits(t, 8*(4+3*mostGraphSteps))
	began = time.Now()
	session := openSession(t, g, network, config, set)
	tell("session opened, set evaluated")
	step := stepper(t, session, set.Len(), 8)
	for _, part := range []struct {
		what  string
		steps int
	}{
		{"first step", 1}, {"second step, captured", 1}, {"third step, a graph", 1}, {"fourth step", 1},
		{"16 steps, captured", mostGraphSteps}, {"16 steps, a graph", mostGraphSteps},
	} {
		before := g.count
		for range part.steps {
			step()
		}
		account, err := session.Account()
		if err != nil {
			t.Fatal(err)
		}
		tell(part.what)
		if !(account.LastLoss > 0 && account.LastLoss < 1000) {
			t.Errorf("%s: the loss is %v", part.what, account.LastLoss)
		}
		if now := g.count; now == before {
			t.Errorf("%s: nothing was launched", part.what)
		}
	}
	t.Logf("first contact: %s; %d allocations", strings.Join(told, ", "), g.count.Allocations)
}

// openSession opens a session as a trainer does, from the initial weights.
func openSession(b testing.TB, g *gpu, network *builder.Network, config train.Config, set *dataset.Set) device.Session {
	b.Helper()
	var session device.Session
	config.Device = sessionTaker{g, &session}
	trainer, err := train.New(network, set, config, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(trainer.Close)
	if _, err := trainer.Evaluate(b.Context(), set); err != nil {
		b.Fatal(err)
	}
	return session
}

// sessionTaker is a device.Device that hands its session out.
type sessionTaker struct {
	*gpu
	session *device.Session
}

func (s sessionTaker) NewSession(job device.Job) (device.Session, error) {
	session, err := s.gpu.NewSession(job)
	*s.session = session
	return session, err
}
