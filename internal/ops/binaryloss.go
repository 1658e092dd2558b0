package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
	"slipway/internal/reference"
)

// BinaryLossConfig says what a binary loss is beside the plain one.
type BinaryLossConfig struct {
	// Smoothing ε spreads that share of an image's target over all classes.
	Smoothing float64
	// Weights are of a class's own images, against the others; nil for 1.
	Weights []float64
}

// BinaryLoss applies the mean binary cross-entropy of σ(logits), one question a class, against
// targets that are the labels' own as SoftmaxLoss has them, with weights w of the targets by class:
//
//	L = 1/(N·K) · Σₙ Σₖ (wₖ·tₙₖ·(−log σ(xₙₖ)) + (1−tₙₖ)·(−log(1−σ(xₙₖ))))
//	tₙ = (1−ε)·(s·onehot(a) + (1−s)·onehot(b)) + ε/K
//
// With Targets.Combinations a and b are 1 at each label of an image, and ε/K is ε/2. It is
// PyTorch's BCEWithLogitsLoss(pos_weight=w) of such targets, and timm's BinaryCrossEntropy. The
// gradient by xₙₖ is ((1 − tₙₖ + wₖ·tₙₖ)·σ(xₙₖ) − wₖ·tₙₖ) / (N·K). The mean is one over images
// alike, so that Targets.Divisor has no part in it.
func BinaryLoss(logits, labels *gorgonia.Node, targets *Targets, config BinaryLossConfig) (
	*gorgonia.Node, error,
) {
	shape, err := lossShape(logits, labels, targets, SoftmaxLossConfig{Weights: config.Weights})
	if err != nil {
		return nil, err
	}
	classes, dense := shape[1], make([]float32, shape.TotalSize())
	var gradient []float32 // of the last run: the logits' memory may be another's on the way back
	forward := func(x []float32, classOf []int32) (float32, error) {
		if err := targets.dense(dense, classOf, classes, config.Smoothing); err != nil {
			return 0, err
		}
		gradient = reference.BinaryLossBackward(classes, 1, x, dense, config.Weights)
		return reference.BinaryLossForward(classes, x, dense, config.Weights), nil
	}
	backward := func(dx []float32, dloss float32) error {
		for i, g := range gradient {
			dx[i] = dloss * g
		}
		return nil
	}
	most := func() int { return targets.most(classes) }
	described := Description{Kind: BinaryLossForward, Targets: targets,
		Loss: SoftmaxLossConfig{Smoothing: config.Smoothing, Weights: config.Weights}}
	return lossOfPlans("BinaryLoss", described, logits, labels, most, 1,
		func(int, int) (lossPlan, error) { return lossPlan{forward, backward}, nil })
}

// NativeBinaryLoss is BinaryLoss on the kernels. Where the batch lies in several shards, each has a
// loss of its own (ShardLossesOf).
func NativeBinaryLoss(kernels kernel.Engine, logits, labels *gorgonia.Node, targets *Targets,
	config BinaryLossConfig, shards int) (*gorgonia.Node, error) {
	shape, err := lossShape(logits, labels, targets, SoftmaxLossConfig{Weights: config.Weights})
	if err != nil {
		return nil, err
	}
	most := func() int { return targets.most(shape[1]) }
	return lossOfPlans("BinaryLoss", Description{}, logits, labels, most, shards,
		func(shard, images int) (l lossPlan, err error) {
			plan, err := kernel.NewBinaryLoss(kernels, images, shape[1], config.Weights)
			if err != nil {
				return l, err
			}
			dense, own := make([]float32, images*shape[1]), targets.share(shard, shards)
			return lossPlan{func(x []float32, classOf []int32) (float32, error) {
				own.Combinations = targets.Combinations
				if err := own.dense(dense, classOf, shape[1], config.Smoothing); err != nil {
					return 0, err
				}
				return plan.Forward(x, dense)
			}, plan.Backward}, nil
		})
}

// share is what the targets say of a shard of the batch.
func (t *Targets) share(shard, shards int) *Targets {
	shards = max(shards, 1)
	return &Targets{Others: kernel.ShareOf(t.Others, shard, shards),
		Shares: kernel.ShareOf(t.Shares, shard, shards)}
}

// most is what labels are below.
func (t *Targets) most(classes int) int {
	if t.Combinations != nil {
		return len(t.Combinations)
	}
	return classes
}

// dense writes the targets of each image and class, N×K.
func (t *Targets) dense(into []float32, labels []int32, classes int, smoothing float64) error {
	if t.Combinations != nil {
		return t.denseSets(into, labels, classes, smoothing)
	}
	for i := range into {
		into[i] = float32(smoothing / float64(classes))
	}
	for n, label := range labels {
		row, share := into[n*classes:(n+1)*classes], 1.0
		if t.Others != nil {
			other := t.Others[n]
			if other < 0 || int(other) >= classes {
				return fmt.Errorf("the other label of image %d is %d, outside 0…%d",
					n, other, classes-1)
			}
			share = float64(t.Shares[n])
			row[other] += float32((1 - smoothing) * (1 - share))
		}
		row[label] += float32((1 - smoothing) * share)
	}
	return nil
}

// denseSets writes those of images with any number of labels. Each label is a question of two
// answers, so that smoothing is half of ε of either: tₙₖ = (1−ε)·(s·aₙₖ + (1−s)·bₙₖ) + ε/2.
func (t *Targets) denseSets(into []float32, labels []int32, classes int, smoothing float64) error {
	for i := range into {
		into[i] = float32(smoothing / 2)
	}
	for n, label := range labels {
		row, share := into[n*classes:(n+1)*classes], 1.0
		if t.Others != nil {
			other := t.Others[n]
			if other < 0 || int(other) >= len(t.Combinations) {
				return fmt.Errorf("the other labels of image %d are combination %d, outside 0…%d",
					n, other, len(t.Combinations)-1)
			}
			share = float64(t.Shares[n])
			if err := addLabels(row, t.Combinations[other], (1-smoothing)*(1-share)); err != nil {
				return fmt.Errorf("the other labels of image %d: %w", n, err)
			}
		}
		if err := addLabels(row, t.Combinations[label], (1-smoothing)*share); err != nil {
			return fmt.Errorf("the labels of image %d: %w", n, err)
		}
	}
	return nil
}

// addLabels adds a share to the targets of some labels, which are 1 at most.
func addLabels(row []float32, labels []int32, share float64) error {
	for _, label := range labels {
		if label < 0 || int(label) >= len(row) {
			return fmt.Errorf("%d is outside 0…%d", label, len(row)-1)
		}
		row[label] = min(row[label]+float32(share), 1)
	}
	return nil
}
