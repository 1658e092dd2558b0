package study

import (
	"fmt"
	"path/filepath"

	"slipway/internal/tensorboard"
	"slipway/train"
)

// curves are a run's event files for TensorBoard, none until they are opened, and none
// after an error.
type curves struct{ writer *tensorboard.Writer }

// open begins the file of a run with so many epochs done.
func (c *curves) open(dir string, t *task, epochs int) (err error) {
	c.writer, err = tensorboard.Create(filepath.Join(dir, curveName(t.Setting, t.Seed)), epochs)
	return err
}

// curveName is the name of a run's folder. Characters that some system has no file names
// with are replaced.
func curveName(setting string, seed uint64) string {
	return fmt.Sprintf("%s, seed %d", train.PlainName(setting), seed)
}

func (c *curves) epoch(epoch train.Epoch) error {
	if c.writer == nil {
		return nil
	}
	err := c.writer.Epoch(epoch)
	if err != nil {
		_ = c.close() // the first error is told
	}
	return err
}

func (c *curves) close() error {
	if c.writer == nil {
		return nil
	}
	writer := c.writer
	c.writer = nil
	return writer.Close()
}
