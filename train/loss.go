package train

import (
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"

	"slipway/builder"
	"slipway/internal/ops"
)

// Names of losses. Cross-entropy is what a loss without a name is.
const (
	LossCrossEntropy = "cross-entropy"
	LossFocal        = "focal"
	LossBinary       = "binary"
)

// LossNames lists the losses there are.
func LossNames() []string { return []string{LossCrossEntropy, LossFocal, LossBinary} }

// Loss is what training makes small, beside the penalties. The zero value is the mean
// cross-entropy of softmax(logits). Evaluation reports that one, and of the binary loss the plain
// binary cross-entropy, so that runs with different settings can be compared.
//
// With p = softmax(logits) of an image, the class weights w, K classes and the smoothing ε, a
// batch of images n with labels a has the loss
//
//	L = 1/Σₙ w_a · Σₙ Σₖ tₙₖ·wₖ·(1−pₙₖ)^γ·(−log pₙₖ)     tₙ = (1−ε)·onehot(a) + ε/K
//
// The binary loss asks of each class alone whether the image is of it, by σ(logits):
//
//	L = 1/(N·K) · Σₙ Σₖ (wₖ·tₙₖ·(−log σ(xₙₖ)) + (1−tₙₖ)·(−log(1−σ(xₙₖ))))
//
// Images with any number of labels have this loss alone (Config.For), with tₙ = (1−ε)·labels + ε/2.
//
// Mix makes two labels of one.
type Loss struct {
	// Name is cross-entropy, for which γ is 0 and which is PyTorch's CrossEntropyLoss with
	// weight and label_smoothing; or focal, after Lin et al., "Focal Loss for Dense Object
	// Detection" (2017), in which images that are answered well count less; or binary, which is
	// PyTorch's BCEWithLogitsLoss with pos_weight of targets with one 1, as timm's
	// BinaryCrossEntropy has it.
	Name string `json:"name,omitempty"`
	// Smoothing is ε, 0 ≤ ε ≤ 1: what of the target is spread over all classes.
	Smoothing float64 `json:"smoothing,omitempty"`
	// Gamma is focal loss's γ > 0, 2 if zero.
	Gamma float64 `json:"gamma,omitempty"`
	// ClassWeights say how much the images of each class count, alike if zero.
	ClassWeights ClassWeights `json:"class_weights,omitzero"`
}

// IsZero reports whether the loss is the plain cross-entropy.
func (l Loss) IsZero() bool {
	return (l.Name == "" || l.Name == LossCrossEntropy) &&
		l.Smoothing == 0 && l.Gamma == 0 && l.ClassWeights.IsZero()
}

// withDefaults fills in what is zero, and reports what is out of range or does not belong to
// the loss.
func (l Loss) withDefaults() (Loss, error) {
	if l.Name == LossCrossEntropy {
		l.Name = "" // the default, of which a run's record says nothing
	}
	if l.Name != "" && !slices.Contains(LossNames(), l.Name) {
		return l, wrongSetting("loss.name", "unknown loss %q; there are %s", l.Name,
			strings.Join(LossNames(), ", "))
	}
	focal := l.Name == LossFocal
	if focal {
		setDefault(&l.Gamma, 2)
	}
	switch {
	case !(l.Smoothing >= 0 && l.Smoothing <= 1):
		return l, wrongSetting("loss.smoothing", "label smoothing %v is outside 0 ≤ ε ≤ 1", l.Smoothing)
	case !focal && l.Gamma != 0:
		return l, wrongSetting("loss.gamma", "γ = %v is of the %s loss alone", l.Gamma, LossFocal)
	case focal && !(l.Gamma > 0 && finite(l.Gamma)):
		return l, wrongSetting("loss.gamma", "focal loss: γ = %v; it is a number above 0", l.Gamma)
	}
	return l, l.ClassWeights.checkValues()
}

// String says what the loss is, for people.
func (l Loss) String() string {
	text := l.Name
	setDefault(&text, LossCrossEntropy)
	if l.Gamma != 0 {
		text += fmt.Sprintf(" with γ = %v", l.Gamma)
	}
	if l.Smoothing != 0 {
		text += fmt.Sprintf(", labels smoothed by %v", l.Smoothing)
	}
	if !l.ClassWeights.IsZero() {
		text += ", class weights " + l.ClassWeights.String()
	}
	return text
}

// add adds the loss of the logits to the graph.
func (l *lossGraph) add(engine *builder.Engine, config Config, key programKey) (*gorgonia.Node,
	error) {
	kernels, native := engine.Kernels()
	if native {
		l.kernels = &kernels
	}
	if config.Loss.Name == LossBinary {
		return l.addBinary(engine, config, key)
	}
	if !key.training || config.Loss.IsZero() && config.Mix.IsZero() {
		if native {
			return ops.NativeSoftmaxCrossEntropy(kernels, l.Logits, l.Labels, key.shards)
		}
		return ops.SoftmaxCrossEntropy(l.Logits, l.Labels)
	}
	l.targets = newTargets(config, key.batch)
	settings := ops.SoftmaxLossConfig{
		Smoothing: config.Loss.Smoothing, Gamma: config.Loss.Gamma,
		Weights: config.Loss.ClassWeights.Values,
	}
	if native {
		return ops.NativeSoftmaxLoss(kernels, l.Logits, l.Labels, l.targets, settings, key.shards)
	}
	return ops.SoftmaxLoss(l.Logits, l.Labels, l.targets, settings)
}

// addBinary adds the binary loss, the plain one unless it trains.
func (l *lossGraph) addBinary(engine *builder.Engine, config Config,
	key programKey) (*gorgonia.Node, error) {
	var settings ops.BinaryLossConfig
	l.targets = new(ops.Targets)
	if key.training {
		settings = ops.BinaryLossConfig{
			Smoothing: config.Loss.Smoothing, Weights: config.Loss.ClassWeights.Values,
		}
		l.targets = newTargets(config, key.batch)
	}
	if kernels, native := engine.Kernels(); native {
		return ops.NativeBinaryLoss(kernels, l.Logits, l.Labels, l.targets, settings, key.shards)
	}
	return ops.BinaryLoss(l.Logits, l.Labels, l.targets, settings)
}

// newTargets are those of a batch, with room for second labels where images are mixed.
func newTargets(config Config, batch int) *ops.Targets {
	targets := new(ops.Targets)
	if !config.Mix.IsZero() {
		targets.Others, targets.Shares = make([]int32, batch), make([]float32, batch)
	}
	return targets
}
