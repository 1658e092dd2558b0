package kernel

import "math"

// normal returns the normal distribution function Φ at x, to about 2e-9 of itself, and its
// density's factor e^(−x²/2).
//
// Φ(−a) = e^(−a²/2)·t·p(t) for a ≥ 0, where t = 3/(3 + a) and p is a polynomial that normal.py
// fits up to a = 15, beyond which a·Φ(−a) is less than the smallest float32; and Φ(a) = 1 − Φ(−a).
func normal(x float32) (share, density float64) {
	a := math.Abs(float64(x))
	density = math.Exp(-a * a / 2)
	t := 3 / (3 + a)
	u := t * t
	v := u * u
	// Short chains of sums, of which a CPU computes several at a time.
	low := 0.13298267836474845 + 0.13292247236460747*t + u*(0.11898419525255376+0.082617958659676582*t)
	middle := 0.079282404249751401 + -0.090345642260742348*t +
		u*(0.20871392606452027+-0.36123885283956531*t)
	high := 0.29459971546527414 + -0.11746007989786769*t + u*0.018941225076510061
	below := density * t * (low + v*(middle+v*high))
	if x < 0 {
		return below, density
	}
	return 1 - below, density
}
