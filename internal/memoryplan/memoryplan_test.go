package memoryplan

import (
	"math/rand/v2"
	"testing"
)

// No two values that live at the same time may overlap, and what never does shares memory.
func TestPlacedLivesDoNotOverlap(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var all []*Life
		total := 0
		for range 1 + source.IntN(40) {
			begin := source.IntN(50)
			l := &Life{Elements: 1 + source.IntN(400), Begin: begin, End: begin + source.IntN(10)}
			all = append(all, l)
			total += l.Elements + lineElements
		}
		elements := Place(all)
		if elements > total {
			t.Fatalf("%d elements for values of %d", elements, total)
		}
		for i, a := range all {
			if a.Offset < 0 || a.Offset%lineElements != 0 || a.Offset+a.Elements > elements {
				t.Fatalf("a value of %d lies at %d of %d", a.Elements, a.Offset, elements)
			}
			for _, b := range all[i+1:] {
				apart := a.End < b.Begin || b.End < a.Begin
				if !apart && a.Offset < b.Offset+b.Elements && b.Offset < a.Offset+a.Elements {
					t.Fatalf("%+v and %+v overlap", a, b)
				}
			}
		}
	}
	one, two := &Life{Elements: 100, Begin: 0, End: 3}, &Life{Elements: 90, Begin: 4, End: 5}
	if elements := Place([]*Life{one, two}); elements != 112 {
		t.Errorf("two values that follow each other take %d elements, want 112", elements)
	}
}
