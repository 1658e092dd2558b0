package train

import (
	"context"
	"fmt"

	"slipway/dataset"
)

// Ways of choosing an epoch's images.
const (
	// SamplingShuffled takes each image once, in another order in each epoch.
	SamplingShuffled = "shuffled"
	// SamplingBalanced draws as many images with replacement, each class as often as another, as
	// PyTorch's WeightedRandomSampler does with weights of 1/n_c for a class of n_c images.
	SamplingBalanced = "balanced"
)

// SamplingNames lists the ways there are.
func SamplingNames() []string { return []string{SamplingShuffled, SamplingBalanced} }

// checkSampling reports a way that there is not, and takes the default's name away, of which a
// run's record says nothing.
func (c *Config) checkSampling() error {
	switch c.Sampling {
	case SamplingShuffled:
		c.Sampling = ""
	case "", SamplingBalanced:
	default:
		return wrongSetting("sampling", "unknown sampling %q; there are %s and %s",
			c.Sampling, SamplingShuffled, SamplingBalanced)
	}
	return nil
}

// newBatches deals the images that are trained on.
func (t *Trainer) newBatches() (*dataset.Batches, error) {
	if t.config.Sampling != SamplingBalanced {
		return dataset.NewBatches(t.training.Len(), t.config.stepImages(), t.config.Seed)
	}
	labels, err := t.trainingLabels()
	if err != nil {
		return nil, err
	}
	return dataset.NewBalancedBatches(labels, t.config.stepImages(), t.config.Seed)
}

// trainingLabels returns the labels of the images that are trained on, reading them once.
func (t *Trainer) trainingLabels() (_ []int32, err error) {
	if t.labels == nil {
		if t.labels, err = dataset.AllLabels(context.Background(), t.training); err != nil {
			return nil, fmt.Errorf("labels of the training set: %w", err)
		}
	}
	return t.labels, nil
}

// drawn is what the steps see of a source whose images are drawn with replacement: each image as it
// is in an epoch of its own, so that one that comes again is augmented anew. The epoch of a Read is
// that of its first image, and each further image is of the next one.
type drawn struct {
	dataset.Source
	size int // bytes of an image
}

func (d drawn) Read(ctx context.Context, images []uint8, labels []int32, indices []int,
	epoch int) error {
	for k := range indices {
		err := d.Source.Read(ctx, images[k*d.size:], labels[k:], indices[k:k+1], epoch+k)
		if err != nil {
			return err
		}
	}
	return nil
}

// asDrawn wraps the source of the steps where images are drawn. Those of a Set are the same in each
// epoch.
func (t *Trainer) asDrawn(source dataset.Source) dataset.Source {
	if _, same := source.(*dataset.Set); same || t.config.Sampling != SamplingBalanced {
		return source
	}
	info := t.trainingInfo
	return drawn{source, info.Channels * info.Height * info.Width}
}

// epochOf is the epoch as which the next step reads its first image: of drawn images, how many were
// drawn before.
func (t *Trainer) epochOf() int {
	if _, ok := t.augmented.(drawn); ok {
		return t.progress.Epochs*t.training.Len() + t.progress.EpochStep*t.batches.Size()
	}
	return t.progress.Epochs
}
