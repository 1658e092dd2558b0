package train

import (
	"strings"
	"testing"
)

// A model's record has the factor and the summand of Config.Pixels, and leads
// back to it.
func TestPixelsAndTheirRecord(t *testing.T) {
	for _, pixels := range []string{PixelsRaw, PixelsUnit, "0.1307,0.3081", "0.5,0.5", "0,0.25"} {
		scale, offset, err := Config{Pixels: pixels}.PixelTransform()
		if err != nil {
			t.Fatal(err)
		}
		if got := PixelsFor(scale, offset); got != pixels {
			t.Errorf("%s is recorded as x·%v + %v, which is read as %s", pixels, scale, offset, got)
		}
	}
	for _, offset := range []float64{0, -127.5} {
		if got, want := PixelsFor(0, offset), PixelsFor(1, offset); got != want || strings.Contains(got, "Inf") {
			t.Errorf("a factor of 0 and %v are read as %s, a factor of 1 as %s", offset, got, want)
		}
	}
	if scale, offset, err := (Config{}).PixelTransform(); scale != 1 || offset != 0 || err != nil {
		t.Errorf("no pixels: x·%v + %v, %v; want x", scale, offset, err)
	}
	for _, bad := range []string{"0-2", "1", "a,b", "0.1,0", "0.1,-1", "NaN,1"} {
		if _, _, err := (Config{Pixels: bad}).PixelTransform(); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
