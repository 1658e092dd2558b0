package infer

import (
	"bytes"
	"strings"
	"testing"

	"slipway/infer"
)

// TestClassNamesDoNotMoveTheCursor: they are out of the model's file.
func TestClassNamesDoNotMoveTheCursor(t *testing.T) {
	r := &report{
		names:  []string{"\x1b[2Jzero", "o\tn\re"},
		result: &infer.Result{Classes: 2, Confusion: [][]int{{3, 1}, {0, 2}}},
	}
	for name, write := range map[string]func(*bytes.Buffer){
		"classes":   func(b *bytes.Buffer) { r.writeClasses(b) },
		"confusion": func(b *bytes.Buffer) { r.writeConfusion(b) },
	} {
		var text bytes.Buffer
		write(&text)
		if strings.ContainsAny(text.String(), "\x1b\t\r") || !strings.Contains(text.String(),
			"\uFFFD[2Jzero") || !strings.Contains(text.String(), "o\uFFFDn\uFFFDe") {
			t.Errorf("%s: %q", name, text.String())
		}
	}
}
