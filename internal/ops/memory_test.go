package ops

import (
	"math/rand/v2"
	"testing"
)

// No two buffers that live at the same time may overlap, and what never does shares memory.
func TestPlacedLivesDoNotOverlap(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var all []*life
		total := 0
		for range 1 + source.IntN(40) {
			begin := source.IntN(50)
			l := &life{buffer: newBuffer(1 + source.IntN(400)), begin: begin, end: begin + source.IntN(10)}
			all = append(all, l)
			total += l.buffer.elements() + lineElements
		}
		elements := place(all)
		if elements > total {
			t.Fatalf("%d elements for buffers of %d", elements, total)
		}
		for i, a := range all {
			if a.offset < 0 || a.offset%lineElements != 0 || a.offset+a.buffer.elements() > elements {
				t.Fatalf("buffer of %d lies at %d of %d", a.buffer.elements(), a.offset, elements)
			}
			for _, b := range all[i+1:] {
				apart := a.end < b.begin || b.end < a.begin
				if !apart && a.offset < b.offset+b.buffer.elements() && b.offset < a.offset+a.buffer.elements() {
					t.Fatalf("%d…%d at %d+%d and %d…%d at %d+%d overlap", a.begin, a.end, a.offset, a.buffer.elements(),
						b.begin, b.end, b.offset, b.buffer.elements())
				}
			}
		}
	}
	one, two := &life{buffer: newBuffer(100), begin: 0, end: 3}, &life{buffer: newBuffer(90), begin: 4, end: 5}
	if elements := place([]*life{one, two}); elements != 112 {
		t.Errorf("two buffers that follow each other take %d elements, want 112", elements)
	}
}
