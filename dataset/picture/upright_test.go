package picture

import (
	"bytes"
	"testing"
)

// Turned and turned back, an image of more than one tile is the same again.
func TestUprightIsUndone(t *testing.T) {
	m := New(3, 70, 45)
	for i := range m.Pixels {
		m.Pixels[i] = uint8(i * i >> 3)
	}
	for orientation, back := range map[int]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6, 0: 0,
		9: 9} {
		turned := upright(m, orientation)
		if again := upright(turned, back); again.Height != m.Height ||
			!bytes.Equal(again.Pixels, m.Pixels) {
			t.Errorf("orientation %d", orientation)
		}
	}
}

func BenchmarkUpright(b *testing.B) {
	m := New(3, 3000, 4000)
	for b.Loop() {
		upright(m, 6)
	}
}
