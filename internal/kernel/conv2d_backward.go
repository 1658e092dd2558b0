package kernel

// BackwardParameters computes dw and, unless it is nil, db from dy and the x of Forward. y is
// Forward's output; only a plan with ReLU and without pooling reads it.
func (c *Conv2D) BackwardParameters(dw, db, dy, y, x []float32) error {
	if err := lengths("gradient of convolution parameters",
		size{"dw", len(dw), c.config.Filters * c.depth},
		optional("db", db, c.config.Filters), size{"dy", len(dy), c.sizeY()}, size{"x", len(x),
			c.sizeX()}); err != nil {
		return err
	}
	if err := c.checkMask(y); err != nil {
		return err
	}
	c.dw, c.db, c.dy, c.y, c.x = dw, db, dy, y, x
	defer c.release()
	if c.tiledWeights != nil {
		c.tiledWeights.backward()
		return nil
	}
	if c.filteredWeights != nil && db == nil {
		if c.filteredWeights.backward() {
			return nil
		}
		c.asItReads = false // done
	}
	if c.sparse != nil {
		c.sparse.backwardParameters()
	} else {
		c.dense.backwardParameters()
	}
	return nil
}

// BackwardInput computes dx from dy and w. y is as in BackwardParameters.
func (c *Conv2D) BackwardInput(dx, dy, y, w []float32) error {
	if err := lengths("gradient of convolution input", size{"dx", len(dx), c.sizeX()},
		size{"dy", len(dy), c.sizeY()}, size{"w", len(w), c.config.Filters * c.depth}); err != nil {
		return err
	}
	if err := c.checkMask(y); err != nil {
		return err
	}
	c.dx, c.dy, c.y, c.w = dx, dy, y, w
	defer c.release()
	if c.tiledInput != nil {
		c.tiledInput.compute(dx)
		return nil
	}
	if c.filtered != nil {
		return c.filtered.backwardInput()
	}
	if c.sparse != nil {
		return c.sparse.backwardInput()
	}
	c.dense.backwardInput()
	return nil
}

func (c *Conv2D) checkMask(y []float32) error {
	if c.config.ReLU && c.config.MaxPool == nil {
		return lengths("gradient of convolution", size{"y", len(y), c.sizeY()})
	}
	return nil
}
