package study

import (
	"fmt"
	"path/filepath"
	"strings"

	"slipway/internal/tensorboard"
	"slipway/train"
)

// curves are a run's event files for TensorBoard, none until they are opened.
type curves struct{ writer *tensorboard.Writer }

// open begins the file of a run with so many epochs done.
func (c *curves) open(dir string, t *task, epochs int) (err error) {
	name := fmt.Sprintf("%s, seed %d", strings.ReplaceAll(t.Setting, string(filepath.Separator), "_"), t.Seed)
	c.writer, err = tensorboard.Create(filepath.Join(dir, name), epochs)
	return err
}

func (c *curves) epoch(epoch train.Epoch) error {
	if c.writer == nil {
		return nil
	}
	return c.writer.Epoch(epoch)
}

func (c *curves) close() error {
	if c.writer == nil {
		return nil
	}
	return c.writer.Close()
}
