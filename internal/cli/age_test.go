package cli

import (
	"testing"
	"time"
)

func TestParseAge(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"12h": 12 * time.Hour, "30d": 30 * day, "4W": 28 * day, "1.5d": 36 * time.Hour,
	} {
		if got, err := ParseAge(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "30", "0d", "-1d", "NaNd", "Infd", "1e300w", "30 d", "30m",
		"3d4h"} {
		if got, err := ParseAge(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}
