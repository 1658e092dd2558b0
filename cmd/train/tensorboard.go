package main

import (
	"path/filepath"

	"slipway/internal/tensorboard"
	"slipway/train"
)

// curves are a run's event files, none unless -tensorboard asks for them.
type curves struct{ writer *tensorboard.Writer }

func (o *options) openCurves(trainer *train.Trainer) (curves, error) {
	if o.tensorBoard == "" {
		return curves{}, nil
	}
	name := o.runName(trainer.Network())
	writer, err := tensorboard.Create(filepath.Join(o.tensorBoard, name), trainer.Progress().Epochs)
	return curves{writer}, err
}

func (c curves) epoch(epoch train.Epoch) error {
	if c.writer == nil {
		return nil
	}
	return c.writer.Epoch(epoch)
}

func (c curves) close() {
	if c.writer != nil {
		// Each point was written, and its error reported, by then.
		_ = c.writer.Close()
	}
}
