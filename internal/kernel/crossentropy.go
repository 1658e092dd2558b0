package kernel

import (
	"fmt"
	"math"
)

// CrossEntropy is a plan for softmax cross-entropy of logits N×K with integer labels, averaged over
// the batch. Its methods must not run at the same time as each other; Backward belongs to the last
// Forward.
type CrossEntropy struct {
	engine         Engine
	batch, classes int
	probabilities  []float32
	labels         []int32
	losses         []float64 // by row

	logits, dlogits []float32
	scale           float32

	forwardTask, backwardTask func(worker, item int)
}

// lossRows is how many rows are one item of work.
const lossRows = 64

// NewCrossEntropy returns a plan, or an error that says what is wrong with the sizes.
func NewCrossEntropy(engine Engine, batch, classes int) (*CrossEntropy, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	if batch < 1 || classes < 1 || batch > math.MaxInt32/classes {
		return nil, fmt.Errorf(
			"kernel: cross-entropy of %d×%d logits: sizes must be positive and not too large", batch,
			classes)
	}
	c := &CrossEntropy{
		engine: engine, batch: batch, classes: classes,
		probabilities: aligned(batch * classes), labels: make([]int32, batch),
		losses: make([]float64, batch),
	}
	c.forwardTask, c.backwardTask = c.forwardItem, c.backwardItem
	return c, nil
}

// Forward returns the mean over the batch of log Σ_k exp(z[n,k]) − z[n,label[n]], computed with
// each row's maximum taken off first. A label outside [0, K) is an error.
func (c *CrossEntropy) Forward(logits []float32, labels []int32) (float32, error) {
	if err := lengths("cross-entropy", size{"logits", len(logits), c.batch * c.classes},
		size{"labels", len(labels), c.batch}); err != nil {
		return 0, err
	}
	for n, label := range labels {
		if label < 0 || int(label) >= c.classes {
			return 0, fmt.Errorf("kernel: cross-entropy: label %d of row %d is not in [0, %d)", label, n,
				c.classes)
		}
	}
	c.logits = logits
	copy(c.labels, labels)
	c.engine.Pool.Run(ceil(c.batch, lossRows), c.forwardTask)
	c.logits = nil
	total := 0.0
	for _, loss := range c.losses {
		total += loss
	}
	return float32(total / float64(c.batch)), nil
}

func (c *CrossEntropy) forwardItem(_, item int) {
	for n := item * lossRows; n < min((item+1)*lossRows, c.batch); n++ {
		row, p := c.logits[n*c.classes:(n+1)*c.classes], c.probabilities[n*c.classes:(n+1)*c.classes]
		top := row[0]
		for _, z := range row[1:] {
			if z > top || z != z {
				top = z
			}
		}
		sum := 0.0
		for k, z := range row {
			e := math.Exp(float64(z - top))
			p[k] = float32(e)
			sum += e
		}
		for k := range p {
			p[k] = float32(float64(p[k]) / sum)
		}
		c.losses[n] = math.Log(sum) + float64(top) - float64(row[c.labels[n]])
	}
}

// Backward computes dlogits = dloss·(softmax(z) − onehot(label))/N.
func (c *CrossEntropy) Backward(dlogits []float32, dloss float32) error {
	if err := lengths("gradient of cross-entropy",
		size{"dlogits", len(dlogits), c.batch * c.classes}); err != nil {
		return err
	}
	c.dlogits, c.scale = dlogits, dloss/float32(c.batch)
	c.engine.Pool.Run(ceil(c.batch, lossRows), c.backwardTask)
	c.dlogits = nil
	return nil
}

func (c *CrossEntropy) backwardItem(_, item int) {
	for n := item * lossRows; n < min((item+1)*lossRows, c.batch); n++ {
		d, p := c.dlogits[n*c.classes:(n+1)*c.classes], c.probabilities[n*c.classes:(n+1)*c.classes]
		for k := range d {
			d[k] = c.scale * p[k]
		}
		label := c.labels[n]
		d[label] = c.scale * (p[label] - 1)
	}
}

// Probabilities copies the softmax of the last Forward's logits to p, N×K.
func (c *CrossEntropy) Probabilities(p []float32) error {
	if err := lengths("softmax", size{"p", len(p), c.batch * c.classes}); err != nil {
		return err
	}
	copy(p, c.probabilities)
	return nil
}
