//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"math"
	"testing"
)

// A row is classified right where its label is that of the first of its largest logits, as the CPU
// engines have it: of equal ones the first, and NaN only where it comes first.
func TestRightAnswers(t *testing.T) {
	const classes = 3
	nan := float32(math.NaN())
	rows := [][classes]float32{
		{1, 2, 0}, {2, 2, 1}, {1, 2, 2}, {2, 1, 2}, {0, 0, 0}, {nan, 1, 2}, {1, nan, 0}, {1, 2, nan}, {nan, nan, nan}, {-1, -2, -2},
	}
	for label := range int32(classes) {
		for _, row := range rows {
			best := int32(0)
			for k := range int32(classes) {
				if row[k] > row[best] {
					best = k
				}
			}
			want := uint64(0)
			if best == label {
				want = 1
			}
			if got := rightAnswers(t, row[:], label); got != want {
				t.Errorf("logits %v, label %d: %d right, want %d", row, label, got, want)
			}
		}
	}
}

// rightAnswers has the loss of one row computed, and returns how many answers are right.
func rightAnswers(t *testing.T, logits []float32, label int32) uint64 {
	t.Helper()
	g := openDevice(t)
	got := make([]uint64, 1)
	if err := g.thread.do(func() error {
		memory := pool{gpu: g}
		var buffers [6]*buffer
		for i, bytes := range []int{4 * len(logits), 4, 16, 4, 4, 8} {
			var err error
			if buffers[i], err = memory.allocate("a test", int64(bytes)); err != nil {
				return errors.Join(err, memory.free())
			}
		}
		x, labels, perRow, ticket, value, correct := buffers[0], buffers[1], buffers[2], buffers[3], buffers[4], buffers[5]
		var none *buffer
		l, err := g.kernel("softmax_loss", 1, 1, x, none, labels, none, none, none, none, perRow, ticket, value, correct,
			word(1), int32(len(logits)), word(4), 0.0, 0.0)
		return errors.Join(err, upload(g, x, logits), upload(g, labels, []int32{label}), upload(g, ticket, []int32{0}),
			runAll(g, []launch{l}), waitFor(g.stream), download(g, got, correct), memory.free())
	}); err != nil {
		t.Fatal(err)
	}
	return got[0]
}
