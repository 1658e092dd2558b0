package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestBorder: positions lie where counting them one by one puts them, and Clear writes zeros to all
// that lies around them and to nothing else.
func TestBorder(t *testing.T) {
	for _, f := range []struct {
		border                          Border
		images, height, width, channels int
	}{
		{Border{1, 1}, 3, 9, 7, 16}, {Border{0, 2}, 1, 5, 5, 3}, {Border{3, 0}, 2, 1, 4, 5},
		{Border{2, 1}, 2, 1, 1, 1}, {Border{}, 2, 3, 4, 5},
	} {
		b := f.border
		first := b.first(f.width, f.channels)
		y := random(rand.New(rand.NewPCG(1, 2)), f.images*b.stride(f.height, f.width, f.channels))
		if span := b.span(f.images, f.height, f.width, f.channels); span != len(y)-2*first {
			t.Errorf("%+v: the span is %d", f, span)
		}
		want := make([]float32, len(y))
		offsets := b.offsets(f.images, f.height, f.width, f.channels)
		for k := range f.images * f.height * f.width {
			image, row, column := k/(f.height*f.width), k/f.width%f.height, k%f.width
			at := (image*(f.height+2*b.Vertical)+row+b.Vertical)*(f.width+2*b.Horizontal) + column +
				b.Horizontal
			at *= f.channels
			copy(want[at:at+f.channels], y[at:])
			if offsets[k] != int64(4*(at-first)) {
				t.Fatalf("%+v: position %d lies at %d, want %d", f, k, offsets[k], 4*(at-first))
			}
		}
		b.Clear(y, f.height, f.width, f.channels)
		if !slices.Equal(y, want) {
			t.Errorf("%+v: not the border alone is cleared", f)
		}
	}
}
