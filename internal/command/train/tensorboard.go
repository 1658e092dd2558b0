package train

import (
	"path/filepath"

	"slipway/internal/tensorboard"
	"slipway/train"
)

// curves are a run's event files, none unless -tensorboard asks for them, and none after an
// error.
type curves struct {
	writer   *tensorboard.Writer
	warnings *warnings
}

func (o *options) openCurves(trainer *train.Trainer, warnings *warnings) *curves {
	c := &curves{warnings: warnings}
	if o.tensorBoard == "" {
		return c
	}
	var err error
	name := o.runName(trainer.Network())
	c.writer, err = tensorboard.Create(filepath.Join(o.tensorBoard, name), trainer.Progress().
		Reported())
	c.warn(err)
	return c
}

func (c *curves) epoch(epoch train.Epoch) {
	if c.writer == nil {
		return
	}
	if err := c.writer.Epoch(epoch); err != nil {
		c.warn(err)
		c.close()
	}
}

func (c *curves) warn(err error) {
	c.warnings.about("TensorBoard's curves", err, "training goes on without them")
}

func (c *curves) close() {
	if c.writer != nil {
		// Each point was written, and its error reported, by then.
		_ = c.writer.Close()
		c.writer = nil
	}
}
