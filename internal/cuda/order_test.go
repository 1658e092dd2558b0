//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"gorgonia.org/cu"
)

// The simulator sees work on two streams that touches the same memory, unless an event or the host
// puts one before the other.
func TestTheSimulatorSeesWorkOutOfOrder(t *testing.T) {
	needSimulator(t)
	for _, test := range []struct {
		name    string
		between func(first, second cu.Stream) error
		seen    bool
	}{
		{"nothing", func(cu.Stream, cu.Stream) error { return nil }, true},
		{"the host waits for the first", func(first, _ cu.Stream) error { return waitFor(first) }, false},
		{"the host waits for the second", func(_, second cu.Stream) error { return waitFor(second) }, true},
		{"an event", func(first, second cu.Stream) error {
			event, err := cu.MakeEvent(cu.DisableTiming)
			if err != nil {
				return err
			}
			return errors.Join(event.Record(first), second.Wait(event, 0), cu.DestroyEvent(&event))
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := openDevice(t)
			if err := g.thread.do(func() error {
				memory := pool{gpu: g}
				b, err := memory.allocateFloats("a value", 1)
				if err != nil {
					return err
				}
				second, err := cu.MakeStream(cu.NonBlocking)
				if err != nil {
					return err
				}
				return errors.Join(zeroAsync(b.address, 4, g.stream), test.between(g.stream, second),
					zeroAsync(b.address, 4, second), waitFor(g.stream), waitFor(second), memory.free(), second.Destroy())
			}); err != nil {
				t.Fatal(err)
			}
			if seen := strings.Contains(simulated.Violations(), "work of another stream"); seen != test.seen {
				t.Errorf("seen: %v, want %v:\n%s", seen, test.seen, simulated.Violations())
			}
			simulated.Reset()
		})
	}
}

// The simulator sees that two branches of a graph touch the same memory, unless an event puts one
// before the other; and that a capture ends while one of its branches is not waited for.
func TestTheSimulatorSeesBranchesOutOfOrder(t *testing.T) {
	needSimulator(t)
	const joins, races = 1, 2 // where the first branch goes on: behind the second, or beside it
	for _, test := range []struct {
		name string
		does int
		seen bool
		err  string
	}{
		{"in order", joins, false, ""},
		{"beside", races | joins, true, ""},
		{"a branch that is not waited for", 0, false, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := openDevice(t)
			var ended error
			if err := g.thread.do(func() (err error) {
				memory, second := pool{gpu: g}, &secondStream{memory: pool{gpu: g}}
				if err := second.open(); err != nil {
					return err
				}
				b, err := memory.allocateFloats("a value", 1)
				if err != nil {
					return err
				}
				zero := func(on *lane) error { return zeroAsync(b.address, 4, on.stream) }
				all := []error{beginCapture(g.stream), second.fork(g.stream), zero(&second.lane)}
				if test.does&races != 0 {
					all = append(all, zero(&g.lane))
				}
				if test.does&joins != 0 {
					all = append(all, second.join(g.stream), zero(&g.lane))
				}
				captured, err := endCapture(g.stream)
				if ended = err; err == nil {
					all = append(all, captured.launch(g.stream), captured.launch(g.stream), waitFor(g.stream),
						captured.destroy())
				}
				return errors.Join(append(all, memory.free(), second.close())...)
			}); err != nil {
				t.Fatal(err)
			}
			if (ended == nil) != (test.err == "") ||
				ended != nil && !strings.Contains(ended.Error(), test.err) {
				t.Errorf("the capture ended in %v, want %q", ended, test.err)
			}
			if seen := strings.Contains(simulated.Violations(), "work of another stream"); seen != test.seen {
				t.Errorf("seen: %v, want %v:\n%s", seen, test.seen, simulated.Violations())
			}
			simulated.Reset()
		})
	}
}

// The simulator sees that products in two streams have one workspace.
func TestTheSimulatorSeesAWorkspaceOfTwoStreams(t *testing.T) {
	needSimulator(t)
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprint(shared), func(t *testing.T) {
			g := openDevice(t)
			if err := g.thread.do(func() error { return productsInTwoStreams(g, shared) }); err != nil {
				t.Fatal(err)
			}
			const want = "its handle's workspace: its bytes are written by work of another stream"
			if seen := strings.Contains(simulated.Violations(), want); seen != shared {
				t.Errorf("seen: %v:\n%s", seen, simulated.Violations())
			}
			simulated.Reset()
		})
	}
}

// productsInTwoStreams computes two products that share what they read, and perhaps the workspace.
func productsInTwoStreams(g *gpu, shared bool) error {
	memory, second := pool{gpu: g}, &secondStream{memory: pool{gpu: g}}
	if err := second.open(); err != nil {
		return err
	}
	b, err := memory.allocateFloats("numbers", 3*alignment)
	if err != nil {
		return err
	}
	all := []error{upload(g, b, make([]float32, 3*alignment))}
	if shared {
		all = append(all, setBLASWorkspace(second.blas, g.memory.owned[0]))
	}
	for i, on := range []*lane{&g.lane, &second.lane} {
		to := b.from(4 * alignment * (i + 1))
		all = append(all, product(on.blas, float32s, plain, plain, 1, 1, 1, b, 1, b, 1, to, 1))
	}
	all = append(all, waitFor(g.stream), waitFor(second.stream), memory.free(), second.close())
	return errors.Join(all...)
}

// Bytes of images are counted beyond what 32 bits hold.
func TestImagesBehindTwoGiB(t *testing.T) {
	const size, count = 3 * 224 * 224, 15_000
	g := openDevice(t)
	table := make([]float32, 256)
	for i := range table {
		table[i] = float32(i) / 255
	}
	last := make([]byte, size)
	for i := range last {
		last[i] = byte(i % 251)
	}
	got := make([]float32, size)
	if err := g.thread.do(func() error {
		memory := pool{gpu: g}
		var buffers [7]*buffer
		for i, bytes := range []int64{size * count, 4, ledgerBytes, 4 * 256, 4 * size, 4 * count, 4} {
			var err error
			if buffers[i], err = memory.allocate("a test", bytes); err != nil {
				return errors.Join(err, memory.free())
			}
		}
		images, order, at, values := buffers[0], buffers[1], buffers[2], buffers[3]
		x, labels, label := buffers[4], buffers[5], buffers[6]
		l, err := g.kernel("begin_step", size, 1, images, labels, order, at, values, x, label,
			size, size, 1, 0, (*buffer)(nil), (*buffer)(nil), word(0), (*buffer)(nil), 0.0, 0.0)
		return errors.Join(err, upload(g, images.part(size*(count-1), size), last), upload(g, order, []int32{count - 1}),
			upload(g, at, []ledger{{}}), upload(g, values, table), runAll(g, []launch{l}), waitFor(g.stream),
			download(g, got, x), memory.free())
	}); err != nil {
		t.Fatal(err)
	}
	for i, value := range got {
		if want := table[last[i]]; value != want {
			t.Fatalf("value %d of the last image is %v, want %v", i, value, want)
		}
	}
}
