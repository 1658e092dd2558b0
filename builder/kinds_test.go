package builder

import (
	"maps"
	"slices"
	"testing"
)

// What can be read is what Kinds lists, and each is read as itself.
func TestKindsAreWhatCanBeDecoded(t *testing.T) {
	decode := decoders()
	if got, want := slices.Sorted(maps.Keys(decode)), slices.Sorted(slices.Values(Kinds())); !slices.Equal(got, want) {
		t.Errorf("decoders are for %v, Kinds lists %v", got, want)
	}
	for kind, read := range decode {
		layer, err := read([]byte("{}"))
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		} else if layer.Kind() != kind {
			t.Errorf("the decoder of %s reads a %s", kind, layer.Kind())
		}
	}
}
