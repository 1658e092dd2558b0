package train

import (
	"context"
	"fmt"
	"reflect"

	"slipway/dataset"
	"slipway/internal/device"
	"slipway/internal/ops"
)

// held reports whether the device holds the images of a source as a whole. One that cannot be told
// from others would be brought there again and again.
func (t *Trainer) held(source dataset.Source, info dataset.Info) bool {
	bytes := int64(info.Images) * int64(info.Channels*info.Height*info.Width)
	return bytes <= t.config.Device.SetBytes() && reflect.ValueOf(source).Comparable()
}

// feedsSteps reports whether the steps' batches are made here and fed to the device: of images that
// are not the same in each step, or of a set that the device does not hold.
func (t *Trainer) feedsSteps() bool {
	return t.config.sameImages() != "" || !t.held(t.training, t.trainingInfo)
}

// makeStep makes the batch of a step here, as a step on the CPU has it, to be fed to the device. That
// may still compute the step before meanwhile.
func (t *Trainer) makeStep(ctx context.Context, indices []int) error {
	batch, err := t.device.session.Batch(len(indices))
	if err != nil {
		return t.deviceError(err)
	}
	images := feed{t.augmented, t.trainingInfo, indices, t.epochOf()}
	if t.mixer != nil {
		images.indices = t.mixer.begin(t.progress.Step, indices)
	}
	if err := t.fillFed(ctx, batch, images); err != nil {
		return err
	}
	if t.mixer != nil {
		t.mixer.apply(batch.Images, batch.Labels,
			&ops.Targets{Others: batch.Others, Shares: batch.Shares})
	}
	return nil
}

// fillFed writes the images and the labels of a batch that is fed. It reports a label that the loss
// has no class for, as a graph on the CPU does: a device goes by labels unseen.
func (t *Trainer) fillFed(ctx context.Context, batch *device.Batch, images feed) error {
	if err := t.feeder.fill(ctx, batch.Images, batch.Labels, images); err != nil {
		return &ReadError{err}
	}
	most, err := t.network.Classes()
	if err != nil {
		return err
	}
	if images.info.Combinations != nil {
		most = len(images.info.Combinations)
	}
	for n, label := range batch.Labels {
		if label < 0 || int(label) >= most {
			return fmt.Errorf("label %d of the batch is %d, outside 0…%d", n, label, most-1)
		}
	}
	return nil
}

// evaluateOnDevice evaluates one batch, consecutive indices, and returns its loss.
func (t *Trainer) evaluateOnDevice(ctx context.Context, into *evaluated, images feed) (
	float64, error) {
	if err := t.openSession(ctx); err != nil {
		return 0, err
	}
	classes, err := t.network.Classes()
	if err != nil {
		return 0, err
	}
	done := len(into.logits)
	into.logits = append(into.logits, make([]float32, len(images.indices)*classes)...)
	loss, correct, err := t.answersOfDevice(ctx, into.logits[done:], images)
	into.correct += correct
	return loss, err
}

// answersOfDevice evaluates a batch of a set that the device holds, or one that is fed, and writes
// its logits.
func (t *Trainer) answersOfDevice(ctx context.Context, logits []float32, images feed) (loss float64,
	correct int, err error) {
	session := t.device.session
	if t.held(images.source, images.info) {
		set, err := t.device.inMemory(ctx, images.source)
		if err != nil {
			return 0, 0, err
		}
		loss, correct, err = session.Evaluate(set, images.indices[0], len(images.indices),
			t.device.averaged, logits)
		if err != nil {
			return 0, 0, t.deviceError(err)
		}
		return loss, correct, nil
	}
	batch, err := session.Batch(len(images.indices))
	if err != nil {
		return 0, 0, t.deviceError(err)
	}
	if err := t.fillFed(ctx, batch, images); err != nil {
		return 0, 0, err
	}
	if loss, correct, err = session.EvaluateFed(images.info.Combinations, t.device.averaged,
		logits); err != nil {
		return 0, 0, t.deviceError(err)
	}
	return loss, correct, nil
}
