package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The text that a bug replaces is in its file, once, and no two bugs have a name.
func TestPlantsFit(t *testing.T) {
	names := make(map[string]bool)
	for _, p := range plants() {
		if names[p.name] {
			t.Errorf("two are called %s", p.name)
		}
		names[p.name] = true
		text, err := os.ReadFile(filepath.Join("..", "..", "..", "internal", "cuda", p.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), p.from); n != 1 {
			t.Errorf("%s: %s has the text %d times, want once: %q", p.name, p.file, n, p.from)
		}
	}
	t.Logf("%d bugs", len(names))
}
