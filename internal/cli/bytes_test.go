package cli

import "testing"

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "500MB": 500_000_000, "2GB": 2_000_000_000, "2gb": 2_000_000_000, "1.5 GiB": 3 << 29,
		"64k": 64000, "1TiB": 1 << 40,
	} {
		if got, err := ParseBytes(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "GB", "0", "-1GB", "1XB", "1e300GB", "NaN", "1 2", "InfGB"} {
		if got, err := ParseBytes(text); err == nil {
			t.Errorf("%q: %d, want an error", text, got)
		}
	}
}
