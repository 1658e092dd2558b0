package kernel

import (
	"fmt"
	"math"
)

// Among makes Forward write its filters among as many channels of a position: y begins with the
// first position's first filter and ends with the last one's last, and what lies between those of
// two positions stays as it is. The plan is Direct or of ConstantWeights, without ReLU and pooling,
// and has no gradients then. It is set before the first Forward.
func (c *Conv2D) Among(channels int) error {
	f := &c.config
	positions := c.convHeight * c.convWidth
	if !f.Direct && !f.ConstantWeights || f.ReLU || f.MaxPool != nil || channels < f.Filters ||
		tooLarge(channels) || positions > math.MaxInt32/64/channels ||
		f.Batch > maxElements/(positions*channels) {
		return fmt.Errorf("kernel: convolution %+v: its filters cannot be among %d", *f, channels)
	}
	c.among = channels
	first := 0
	for i := range c.blocks {
		to := c.blocks[i].cOffsets
		for k := range to {
			to[k] = int64(4 * (first + k) * channels)
		}
		first += len(to)
	}
	if c.winograd != nil {
		for i, to := range c.winograd.output {
			c.winograd.output[i] = to / int64(f.Filters) * int64(channels)
		}
	}
	return nil
}

// spanY is how many elements y has, with those of others between its positions.
func (c *Conv2D) spanY() int {
	others := c.among - c.config.Filters
	return c.sizeY() + (c.config.Batch*c.outHeight*c.outWidth-1)*others
}
