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
	var logits, want []float32
	var labels []int32
	for _, row := range [][classes]float32{
		{1, 2, 0}, {2, 2, 1}, {1, 2, 2}, {2, 1, 2}, {0, 0, 0}, {nan, 1, 2},
		{1, nan, 0}, {1, 2, nan}, {nan, nan, nan}, {-1, -2, -2},
	} {
		for label := range int32(classes) {
			best, right := int32(0), float32(0)
			for k := range int32(classes) {
				if row[k] > row[best] {
					best = k
				}
			}
			if best == label {
				right = 1
			}
			logits, labels, want = append(logits, row[:]...), append(labels, label), append(want, right)
		}
	}
	for i, right := range rightAnswers(t, logits, labels) {
		if right != float64(want[i]) {
			row := logits[classes*i : classes*(i+1)]
			t.Errorf("logits %v, label %d: %v right, want %v", row, labels[i], right, want[i])
		}
	}
}

// rightAnswers has the loss of such rows computed, and returns whether each is right.
func rightAnswers(t *testing.T, logits []float32, labels []int32) []float64 {
	t.Helper()
	g := openDevice(t)
	rows := len(labels)
	perRow, correct := make([]float64, 2*rows), make([]uint64, 1)
	if err := g.thread.do(func() error {
		memory := pool{gpu: g}
		var buffers [6]*buffer
		for i, bytes := range []int{4 * len(logits), 4 * rows, 16 * rows, 4, 4, 8} {
			var err error
			if buffers[i], err = memory.allocate("a test", int64(bytes)); err != nil {
				return errors.Join(err, memory.free())
			}
		}
		x, of, each := buffers[0], buffers[1], buffers[2]
		ticket, value, right := buffers[3], buffers[4], buffers[5]
		var none *buffer
		l, err := g.kernel("softmax_loss", threadsPerBlock, 1, none, none, none, word(0), x, none, of,
			none, none, none, none, none, none, each, ticket, value, right,
			word(rows), int32(len(logits)/rows), word(4), 0.0, 0.0)
		return errors.Join(err, upload(g, x, logits), upload(g, of, labels),
			upload(g, ticket, []uint32{0}), runAll(g, []launch{l}), waitFor(g.stream),
			download(g, perRow, each), download(g, correct, right), memory.free())
	}); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, right := range perRow[rows:] {
		sum += right
	}
	if float64(correct[0]) != sum {
		t.Errorf("%d answers are right, their sum is %v", correct[0], sum)
	}
	return perRow[rows:]
}
