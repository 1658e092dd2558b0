package kernel

// lossRun is what plans of losses share whose gradient is known as soon as the loss is: rows are
// dealt out to the threads, and the way back only scales what the way forward kept.
type lossRun struct {
	engine         Engine
	batch, classes int
	gradients      []float32 // by the logits, N×K, of the sum over the rows
	losses         []float64 // by row

	dlogits []float32
	scale   float32

	forwardTask, backwardTask func(worker, item int)
}

func newLossRun(engine Engine, batch, classes int) lossRun {
	return lossRun{engine: engine, batch: batch, classes: classes,
		gradients: aligned(batch * classes), losses: make([]float64, batch)}
}

// forward runs the forward task and returns the sum of the rows' losses, in their order.
func (l *lossRun) forward() float64 {
	l.engine.Pool.Run(ceil(l.batch, lossRows), l.forwardTask)
	total := 0.0
	for _, loss := range l.losses {
		total += loss
	}
	return total
}

// backward writes the kept gradients times the scale.
func (l *lossRun) backward(dlogits []float32, scale float32) error {
	err := lengths("gradient of a loss", size{"dlogits", len(dlogits), l.batch * l.classes})
	if err != nil {
		return err
	}
	l.dlogits, l.scale = dlogits, scale
	l.engine.Pool.Run(ceil(l.batch, lossRows), l.backwardTask)
	l.dlogits = nil
	return nil
}

func (l *lossRun) backwardItem(_, item int) {
	first, end := item*lossRows*l.classes, min((item+1)*lossRows, l.batch)*l.classes
	for i, g := range l.gradients[first:end] {
		l.dlogits[first+i] = l.scale * g
	}
}
