//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"slipway/internal/datasettest"
)

// BenchmarkLaunch is each launch of a step by itself: b.N of it behind each other in one CUDA graph,
// after a step has filled what it reads. Its name says which launch, of which node, in how many
// blocks by rows; a library's call has its own, and 0 stands for them. gpu-check reads its output.
func BenchmarkLaunch(b *testing.B) {
	for _, step := range []struct {
		name  string
		batch int
	}{{"e1", 32}, {"e1", 128}, {"e2", 32}} {
		b.Run(fmt.Sprintf("%s/batch=%d", step.name, step.batch), func(b *testing.B) {
			g := openDevice(b)
			s, launches := launchesOf(b, g, step.name, step.batch)
			for i, l := range launches {
				b.Run(launchLabel(i, l), func(b *testing.B) { benchmarkLaunch(b, s, l) })
			}
		})
	}
}

func benchmarkLaunch(b *testing.B, s *session, l launch) {
	again := repeated(b, s, l, b.N)
	again() // the first time a graph is also brought to the device
	b.ResetTimer()
	again()
	b.StopTimer()
}

// launchesOf returns the launches of a training step that was made once, with its session.
func launchesOf(t testing.TB, g *gpu, name string, batch int) (*session, []launch) {
	t.Helper()
	network, config := experiment(t, name)
	set := datasettest.Digits(t, batch)
	s := openSession(t, g, network, config, set).(*session)
	stepper(t, s, batch, batch)()
	return s, s.programs[batch].launches
}

// repeated returns a function that launches a graph of a launch so many times, and waits for it. It
// begins with the ledger of an epoch's start and with rates of 0, by which an optimizer computes all
// it does and moves no weight.
func repeated(t testing.TB, s *session, l launch, times int) func() {
	t.Helper()
	order := inTurn(s.job.Set.Len())
	p := &program{gpu: s.gpu, launches: slices.Repeat([]launch{l}, times), ran: true, capture: true}
	t.Cleanup(func() {
		if err := s.gpu.thread.do(p.close); err != nil {
			t.Error(err)
		}
		p.launches = nil // which have descriptors that finalizers free
	})
	if err := s.BeginEpoch(order, 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.gpu.thread.do(func() error {
		keep := []float32{2: 1, ratesBytes/4 - 1: 0} // the kernels' Rates: weights shrink to all of them
		return upload(s.gpu, s.groups.rates, keep)
	}); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := s.gpu.thread.do(func() error {
			if err := p.run(); err != nil {
				return err
			}
			return waitFor(s.gpu.stream)
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// launchLabel is a launch's place, name, node and grid as the parts of a benchmark's name.
func launchLabel(place int, l launch) string {
	of := l.of
	if of == "" {
		of = "-"
	}
	return fmt.Sprintf("%02d/%s/%s/%dx%d", place, l.name, of, l.blocks, l.rows)
}

// Each launch can be repeated in a graph by itself: it breaks no rule, leaves nothing behind, and
// leaves the weights as they are; the last one books each of its steps.
func TestLaunchesCanBeRepeated(t *testing.T) {
	g := openDevice(t)
	s, launches := launchesOf(t, g, "e2", 4)
	before, err := s.State()
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range launches {
		again, graphs := repeated(t, s, l, 3), g.count.Graphs
		for range 2 {
			again()
		}
		if g.count.Graphs != graphs+2 {
			t.Errorf("%s: %d graphs were launched, want 2", launchLabel(i, l), g.count.Graphs-graphs)
		}
	}
	after, err := s.State()
	if err != nil || !reflect.DeepEqual(after.Weights, before.Weights) {
		t.Errorf("the weights are others, %v", err)
	}
	if account, err := s.Account(); err != nil || account.Steps != 6 {
		t.Errorf("%d steps are booked, %v; want 6", account.Steps, err)
	}
	if got := launchLabel(0, launches[0]); got != "00/begin_step/-/13x1" {
		t.Errorf("the first launch is %s", got)
	}
}
