package kernel

// Lerp moves y towards x by a share of what lies between them: y ← y + share·(x − y), with the
// difference and the sum rounded once each. A share of 1 copies.
//
// It is a step of SGD on y with the gradient x − y, which that kernel computes from x with a decay
// of −1, and with the rate −share.
func (e *Elementwise) Lerp(y, x []float32, share float32) error {
	if err := lengths("linear interpolation", size{"x", len(x), len(y)}); err != nil {
		return err
	}
	if share == 1 {
		copy(y, x) // a sum would round
		return nil
	}
	e.run(job{kind: opSGD, n: len(y), z: y, x: x, sgd: sgdConstants{decay: -1, decayed: flag(true),
		rate: -share}})
	return nil
}
