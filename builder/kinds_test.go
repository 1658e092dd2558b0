package builder

import "testing"

// What can be read is what Kinds lists, and each is read as itself.
func TestKindsAreWhatCanBeDecoded(t *testing.T) {
	seen := make(map[string]bool)
	for _, kind := range Kinds() {
		if seen[kind] {
			t.Errorf("%s is registered twice", kind)
		}
		seen[kind] = true
		for _, raw := range []string{"", "{}"} {
			layer, err := decodeLayer(kind, []byte(raw), nil)
			if err != nil {
				t.Errorf("%s: %v", kind, err)
			} else if layer.Kind() != kind {
				t.Errorf("%s is read as %s", kind, layer.Kind())
			}
		}
	}
}
