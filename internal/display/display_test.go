package display

import "testing"

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1 kB", 1500: "1.5 kB", 9949: "9.9 kB",
		9950:       "10 kB",
		47_040_016: "47 MB", 999_499_999: "999 MB", 999_500_000: "1 GB", 2_000_000_000: "2 GB",
		1 << 62: "4.6 EB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestThousandsAndCount(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := Thousands(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if one, two := Count(1, "epoch"), Count(2, "epoch"); one != "1 epoch" || two != "2 epochs" {
		t.Errorf("%q, %q", one, two)
	}
}

// What moves a terminal's cursor is shown as what it is: nothing printable.
func TestPrintable(t *testing.T) {
	if got := Printable("a\x1b[2Jü\n"); got != "a\uFFFD[2Jü\uFFFD" {
		t.Errorf("%q", got)
	}
}

// No cell is a formula, and numbers stay numbers.
func TestCell(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "conv1": "conv1", "-0.5": "-0.5", "+3e-4": "+3e-4", "-Inf": "-Inf", "=1+1": "'=1+1",
		`=HYPERLINK("http://x")`: `'=HYPERLINK("http://x")`, "+cmd|' /C calc'!A0": "'+cmd|' /C calc'!A0",
		"@SUM(A1)": "'@SUM(A1)", "-2+3": "'-2+3", "\t=1": "'\uFFFD=1", "a\x1b[2J": "a\uFFFD[2J",
		"a=1": "a=1",
	} {
		if got := Cell(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
