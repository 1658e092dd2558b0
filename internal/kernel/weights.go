package kernel

// Weights says whether calls are given the weights of calls before, so that a plan need not bring
// them into its own form again: within a step that goes through the same plans several times. It is
// used by one goroutine at a time.
type Weights struct {
	now  uint64 // which weights, 0 where nobody says
	last uint64
}

// Hold says that from now on, until Release, all weights stay what they are.
func (w *Weights) Hold() {
	w.last++
	w.now = w.last
}

// Release says that they may be others at each call.
func (w *Weights) Release() { w.now = 0 }

// holds reports whether weights are held.
func (e Engine) holds() bool { return e.Weights != nil && e.Weights.now != 0 }

// held reports whether what a plan keeps is of the weights of this call, and takes down that it
// will be.
func (e Engine) held(at *uint64) bool {
	if !e.holds() {
		*at = 0
		return false
	}
	same := *at == e.Weights.now
	*at = e.Weights.now
	return same
}
