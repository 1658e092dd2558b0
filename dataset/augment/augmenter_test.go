package augment

import (
	"slices"
	"testing"
)

func augmenter(t testing.TB, list List, seed uint64, s Shape) *Augmenter {
	t.Helper()
	a, err := New(list, seed, s.Channels, s.Height, s.Width)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// applied is what becomes of the image, which must not be changed itself.
func applied(t testing.TB, a *Augmenter, image []uint8, epoch, index int) []uint8 {
	t.Helper()
	before, out := slices.Clone(image), make([]uint8, len(image))
	if err := a.Apply(out, image, epoch, index); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, image) {
		t.Fatal("the image itself was changed")
	}
	return out
}
