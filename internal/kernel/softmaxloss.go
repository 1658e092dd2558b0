package kernel

import (
	"fmt"
	"math"
)

// SoftmaxLossConfig says what a SoftmaxLoss is beside cross-entropy.
type SoftmaxLossConfig struct {
	// Smoothing ε moves that share of a row's target to all classes alike.
	Smoothing float64
	// Gamma γ is focal loss's; 0 is cross-entropy.
	Gamma float64
	// Weights are by class; nil for 1.
	Weights []float64
}

// SoftmaxTargets are what N rows should be.
type SoftmaxTargets struct {
	// Labels are by row, 0 ≤ label < K.
	Labels []int32
	// Others and Shares mix a second label in: row n belongs to Labels[n] with Shares[n] and to
	// Others[n] with the rest. Both are nil where a row has one label.
	Others []int32
	Shares []float32
	// Divisor is what the sum over the rows is divided by, the sum of the rows' weights if 0.
	Divisor float64
}

// SoftmaxLoss is a plan for losses of softmax(z), with p = softmax(z) of logits z, N×K, the weights
// w by class and the targets t of a row with the labels a and b and the share s of a:
//
//	L = 1/D · Σ_n Σ_k t[n,k]·w[k] · (1 − p[n,k])^γ · (−log p[n,k])
//	t[n] = (1−ε)·(s·onehot(a) + (1−s)·onehot(b)) + ε/K
//	D = Σ_n (s·w[a] + (1−s)·w[b])
//
// For γ = 0 and one label this is PyTorch's CrossEntropyLoss(weight, label_smoothing). Its methods
// must not run at the same time as each other; Backward belongs to the last Forward.
type SoftmaxLoss struct {
	lossRun
	config        SoftmaxLossConfig
	probabilities []float32 // not yet divided by their sum
	divisor       float64

	logits  []float32
	targets SoftmaxTargets
}

// NewSoftmaxLoss returns a plan, or an error that says what is wrong with the sizes.
func NewSoftmaxLoss(engine Engine, batch, classes int, config SoftmaxLossConfig) (
	*SoftmaxLoss, error,
) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	if batch < 1 || classes < 1 || batch > math.MaxInt32/classes {
		return nil, fmt.Errorf("kernel: loss of %d×%d logits: sizes must be positive and not "+
			"too large", batch, classes)
	}
	if config.Weights != nil && len(config.Weights) != classes {
		return nil, fmt.Errorf("kernel: loss of %d classes: %d class weights",
			classes, len(config.Weights))
	}
	l := &SoftmaxLoss{
		lossRun: newLossRun(engine, batch, classes), config: config,
		probabilities: aligned(batch * classes),
	}
	l.forwardTask, l.backwardTask = l.forwardItem, l.backwardItem
	return l, nil
}

// Forward returns the loss. A label outside [0, K) is an error.
func (l *SoftmaxLoss) Forward(logits []float32, targets SoftmaxTargets) (float32, error) {
	if err := l.check(logits, targets); err != nil {
		return 0, err
	}
	l.divisor = targets.Divisor
	if l.divisor == 0 {
		for n, label := range targets.Labels {
			share, other := targets.at(n)
			l.divisor += share*l.weight(label) + (1-share)*l.weight(other)
		}
	}
	l.logits, l.targets = logits, targets
	total := l.forward()
	l.logits, l.targets = nil, SoftmaxTargets{}
	return float32(total / l.divisor), nil
}

func (l *SoftmaxLoss) check(logits []float32, targets SoftmaxTargets) error {
	if err := lengths("loss", size{"logits", len(logits), l.batch * l.classes},
		size{"labels", len(targets.Labels), l.batch}); err != nil {
		return err
	}
	labels := [][]int32{targets.Labels}
	if targets.Others != nil {
		if err := lengths("loss", size{"other labels", len(targets.Others), l.batch},
			size{"shares", len(targets.Shares), l.batch}); err != nil {
			return err
		}
		labels = append(labels, targets.Others)
	}
	for _, some := range labels {
		for n, label := range some {
			if label < 0 || int(label) >= l.classes {
				return fmt.Errorf("kernel: loss: label %d of row %d is not in [0, %d)",
					label, n, l.classes)
			}
		}
	}
	return nil
}

// at returns the share of row n's label, and the other one.
func (t *SoftmaxTargets) at(n int) (share float64, other int32) {
	if t.Others == nil {
		return 1, t.Labels[n]
	}
	return float64(t.Shares[n]), t.Others[n]
}

func (l *SoftmaxLoss) weight(class int32) float64 {
	if l.config.Weights == nil {
		return 1
	}
	return l.config.Weights[class]
}

func (l *SoftmaxLoss) forwardItem(_, item int) {
	for n := item * lossRows; n < min((item+1)*lossRows, l.batch); n++ {
		l.row(n)
	}
}

// row computes the loss and the gradients of a row: with the derivative g of each term by log p,
// the gradient by logit j is g[j] − p[j]·Σ_k g[k].
func (l *SoftmaxLoss) row(n int) {
	logits := l.logits[n*l.classes : (n+1)*l.classes]
	p, gradients := l.probabilities[n*l.classes:][:l.classes], l.gradients[n*l.classes:][:l.classes]
	top := logits[0]
	for _, z := range logits[1:] {
		if z > top || z != z {
			top = z
		}
	}
	exponentials := 0.0
	for k, z := range logits {
		e := math.Exp(float64(z) - float64(top))
		p[k] = float32(e)
		exponentials += e
	}
	offset := float64(top) + math.Log(exponentials)

	label, ofAll := l.targets.Labels[n], l.config.Smoothing/float64(l.classes)
	share, other := l.targets.at(n)
	loss, sum := 0.0, 0.0
	for k, z := range logits {
		target := ofAll
		if int32(k) == label {
			target += (1 - l.config.Smoothing) * share
		}
		if int32(k) == other {
			target += (1 - l.config.Smoothing) * (1 - share)
		}
		gradients[k] = 0
		if target == 0 {
			continue
		}
		c := target * l.weight(int32(k))
		term, derivative := l.term(float64(z) - offset)
		loss += c * term
		sum += c * derivative
		gradients[k] = float32(c * derivative)
	}
	l.losses[n] = loss
	for k := range gradients {
		gradients[k] -= float32(float64(p[k]) / exponentials * sum)
	}
}

// term returns (1−p)^γ·(−log p) and its derivative by log p, which is 0 at p = 1 unless γ is.
func (l *SoftmaxLoss) term(logP float64) (value, derivative float64) {
	gamma := l.config.Gamma
	if gamma == 0 {
		return -logP, -1
	}
	p, rest := math.Exp(logP), -math.Expm1(logP)
	if rest == 0 {
		return 0, 0
	}
	factor := math.Pow(rest, gamma)
	if p == 0 {
		return -logP * factor, -factor
	}
	return -logP * factor, gamma*factor/rest*p*logP - factor
}

// Backward computes the gradient by the logits, N×K, of a loss whose own is dloss.
func (l *SoftmaxLoss) Backward(dlogits []float32, dloss float32) error {
	return l.backward(dlogits, float32(float64(dloss)/l.divisor))
}
