//go:build gpu && linux && amd64

package cuda

import "unsafe"

// ledger mirrors the kernels' Ledger (kernels/ledger.h), which says what the
// fields are.
type ledger struct {
	LossSum      float64
	DataSum      float64
	DivergedLoss float64
	LargestNorm  float64
	Step         uint64
	Steps        uint64
	Images       uint64
	Correct      uint64
	Position     uint64
	LastLoss     float32
	Diverged     int32
	Norm         float64
	First        uint64
	Clip         float32
	Average      float32
	Stopped      uint64
}

// What the ledger's Diverged says: divergedGradients is the kernels' DIVERGED_GRADIENTS.
const divergedGradients = 2

const ledgerBytes = int64(unsafe.Sizeof(ledger{}))
