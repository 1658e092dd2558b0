package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Pieces are handed out again: the smallest that is large enough; and a larger one takes the place
// of one that is not.
func TestScratchIsUsedAgain(t *testing.T) {
	var s scratch
	first, second := s.take(100), s.take(300)
	if &first[0] == &second[0] || len(first) < 100 || len(second) < 300 {
		t.Fatalf("pieces of %d and %d", len(first), len(second))
	}
	s.give(first)
	s.give(second)
	if again := s.take(90); &again[0] != &first[0] {
		t.Error("not the smallest piece that is large enough")
	} else {
		s.give(again)
	}
	if again := s.take(200); &again[0] != &second[0] {
		t.Error("not the piece that is large enough")
	} else {
		s.give(again)
	}
	s.give(s.take(1000))
	if len(s.free) != 2 || len(s.free[0])+len(s.free[1]) != 1100 {
		t.Errorf("%d pieces are kept, want the one of 100 and the one of 1000", len(s.free))
	}
}

// What another convolution left in the scratch does not reach a result, also if it is no number.
func TestConv2DDoesNotReadWhatScratchHeld(t *testing.T) {
	for _, name := range Available() {
		for i, f := range convolutions {
			if f.Height*f.Width*f.Filters > 2000 && (raceDetector || name == "portable") {
				continue // slow; the plans are the same for all shapes and sets
			}
			r := rand.New(rand.NewPCG(uint64(i), 5))
			x, w, b := random(r, f.Batch*f.Height*f.Width*f.Channels), random(r,
				f.Filters*f.KernelHeight*f.KernelWidth*f.Channels), random(r, f.Filters)
			var dy []float32
			compute := func(poison bool) (results [][]float32) {
				engine := newEngine(t, name, 1)
				c, err := NewConv2D(engine, f)
				must(t, err)
				if poison {
					// More than any of the shapes takes: every call gets this piece.
					piece := aligned(1 << 22)
					for k := range piece {
						piece[k] = float32(math.NaN())
					}
					engine.Pool.scratch.give(piece)
				}
				y := make([]float32, c.sizeY())
				if dy == nil {
					dy = random(r, len(y))
				}
				dw, db, dx := make([]float32, len(w)), make([]float32, len(b)), make([]float32, len(x))
				must(t, c.Forward(y, x, w, b))
				must(t, c.BackwardParameters(dw, db, dy, y, x))
				must(t, c.BackwardInput(dx, dy, y, w))
				return [][]float32{y, dw, db, dx}
			}
			clean, poisoned := compute(false), compute(true)
			for k, what := range []string{"y", "dw", "db", "dx"} {
				if !slices.Equal(clean[k], poisoned[k]) {
					t.Errorf("%s, %+v: %s is another one where the scratch held NaN", name, f, what)
				}
			}
		}
	}
}
