package infer

import (
	"math"
	"strings"
	"testing"

	"slipway/infer/bisect"
)

// What a reader is told of a node's inputs has a figure only where there is one.
func TestWhatIsSaidOfInputs(t *testing.T) {
	for _, test := range []struct {
		differ float64
		want   string
	}{
		{0, "its inputs are equal to the last bit"},
		{1e-6, "its inputs agree, within 1e-06 of their range"},
		{0.5, "its inputs differ by 0.5 of their range; the tolerance is 1e-05"},
		{math.Inf(1), "its inputs differ"},
	} {
		var text strings.Builder
		writeInputs(&text, &bisect.Node{Inputs: 2, InputsDiffer: test.differ}, 1e-5)
		if got := strings.TrimSpace(text.String()); got != test.want {
			t.Errorf("%v: %q, want %q", test.differ, got, test.want)
		}
	}
}
