//go:build gpu && linux && amd64

package cuda

import (
	"errors"
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
