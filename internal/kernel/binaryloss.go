package kernel

import (
	"fmt"
	"math"
)

// BinaryLoss is a plan for the mean binary cross-entropy of σ(z) for logits z, N×K, and targets t,
// N×K, 0 ≤ t ≤ 1, with the weights w of a target by class, as PyTorch has it in
// BCEWithLogitsLoss(pos_weight):
//
//	L = 1/(N·K) · Σ_n Σ_k ( w[k]·t[n,k]·(−log σ(z[n,k])) + (1−t[n,k])·(−log(1−σ(z[n,k]))) )
//
// Its methods must not run at the same time as each other; Backward belongs to the last Forward.
type BinaryLoss struct {
	lossRun
	weights []float64 // by class; nil for 1

	logits, targets []float32
}

// NewBinaryLoss returns a plan, or an error that says what is wrong with the sizes. Weights are nil
// for 1.
func NewBinaryLoss(engine Engine, batch, classes int, weights []float64) (*BinaryLoss, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	if batch < 1 || classes < 1 || batch > math.MaxInt32/classes {
		return nil, fmt.Errorf("kernel: binary loss of %d×%d logits: sizes must be positive "+
			"and not too large", batch, classes)
	}
	if weights != nil && len(weights) != classes {
		return nil, fmt.Errorf("kernel: binary loss of %d classes: %d class weights",
			classes, len(weights))
	}
	l := &BinaryLoss{lossRun: newLossRun(engine, batch, classes), weights: weights}
	l.forwardTask, l.backwardTask = l.forwardItem, l.backwardItem
	return l, nil
}

// Forward returns the loss.
func (l *BinaryLoss) Forward(logits, targets []float32) (float32, error) {
	if err := lengths("binary loss", size{"logits", len(logits), l.batch * l.classes},
		size{"targets", len(targets), l.batch * l.classes}); err != nil {
		return 0, err
	}
	l.logits, l.targets = logits, targets
	total := l.forward()
	l.logits, l.targets = nil, nil
	return float32(total / float64(l.batch*l.classes)), nil
}

func (l *BinaryLoss) forwardItem(_, item int) {
	for n := item * lossRows; n < min((item+1)*lossRows, l.batch); n++ {
		first, loss := n*l.classes, 0.0
		for k, x := range l.logits[first : first+l.classes] {
			z, t, positive := float64(x), float64(l.targets[first+k]), 1.0
			if l.weights != nil {
				positive = l.weights[k]
			}
			// log(1 + exp(−|z|)) is of both sides, σ from the exponential that does not overflow.
			e := math.Exp(-math.Abs(z))
			both, sigmoid := math.Log1p(e), 1/(1+e)
			if z < 0 {
				sigmoid = e / (1 + e)
			}
			loss += positive*t*(max(-z, 0)+both) + (1-t)*(max(z, 0)+both)
			l.gradients[first+k] = float32((1-t+positive*t)*sigmoid - positive*t)
		}
		l.losses[n] = loss
	}
}

// Backward computes the gradient by the logits, N×K, of a loss whose own is dloss:
//
//	dloss/(N·K) · ((1 − t + w·t)·σ(z) − w·t)
func (l *BinaryLoss) Backward(dlogits []float32, dloss float32) error {
	return l.backward(dlogits, float32(float64(dloss)/float64(l.batch*l.classes)))
}
