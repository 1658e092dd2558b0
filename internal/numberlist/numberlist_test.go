package numberlist_test

import (
	"slices"
	"testing"

	"slipway/internal/numberlist"
)

func TestParse(t *testing.T) {
	for text, want := range map[string][]float64{"1": {1}, "0.5,-2,3e4": {0.5, -2, 3e4}} {
		if got, err := numberlist.Parse(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", ",", "1,", "one", "1 2", "1, 2"} {
		if got, err := numberlist.Parse(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
