package builder

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// What can be read is what Kinds lists, and each is read as itself, in capitals or not.
func TestKindsAreWhatCanBeDecoded(t *testing.T) {
	seen := make(map[string]bool)
	for _, kind := range Kinds() {
		if seen[kind] {
			t.Errorf("%s is registered twice", kind)
		}
		seen[kind] = true
		for _, text := range []string{kind, strings.ToLower(kind), strings.ToUpper(kind) + ": {}",
			kind + ":", "{kind: " + kind + "}", `{"kind": "` + kind + `", "layer": {}}`} {
			var document yaml.Node
			if err := yaml.Unmarshal([]byte(text), &document); err != nil {
				t.Fatal(err)
			}
			read, err := new(reading).layer(document.Content[0], nil)
			if err != nil {
				t.Errorf("%s: %v", text, err)
			} else if read.layer.Kind() != kind {
				t.Errorf("%s is read as %s", text, read.layer.Kind())
			}
		}
	}
}
