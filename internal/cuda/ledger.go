//go:build gpu && linux && amd64

package cuda

import "unsafe"

// ledger mirrors the kernels' Ledger (kernels/ledger.h), which says what the
// fields are.
type ledger struct {
	LossSum        float64
	DataSum        float64
	DivergedLoss   float64
	Step           uint64
	Steps          uint64
	Images         uint64
	Correct        uint64
	Position       uint64
	LastLoss       float32
	Diverged       int32
	StepSize       float32
	RootCorrection float32
	Number         uint64
	Stopped        uint64
}

const ledgerBytes = int64(unsafe.Sizeof(ledger{}))
