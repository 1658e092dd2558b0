//go:build gpu && linux && amd64

package cuda

// addSoftmaxLoss appends a loss of softmax(logits) with smoothed labels, class weights or the
// focal factor, and the sums
// of what is classified right.
func (m *Machine) addSoftmaxLoss(o operation) (err error) {
	rows, classes := o.nodes[0].Shape()[0], o.nodes[0].Shape()[1]
	var perRow [3]*buffer // losses, answers, weights
	for i, what := range []string{"the rows' losses", "the rows' answers", "the rows' weights"} {
		if perRow[i], err = m.memory.allocate(what, int64(rows)*8); err != nil {
			return err
		}
	}
	if m.classWeights, err = m.weightsOfClasses(o.Loss.Weights); err != nil {
		return err
	}
	if err := m.launch("softmax_loss_forward", rows, 1, o.inputs[0], o.inputs[1], m.classWeights, perRow[0], perRow[1], perRow[2],
		rows, int32(classes), o.Loss.Smoothing, o.Loss.Gamma); err != nil {
		return err
	}
	m.correct, m.sums = perRow[1], min(rows, maxSums)
	for i := range perRow {
		if perRow[i], err = m.addRowSums(perRow[i], rows); err != nil {
			return err
		}
	}
	m.correctSums = perRow[1]
	divisor, err := m.save(o.node, "the sum of the rows' weights", 8)
	if err != nil {
		return err
	}
	return m.launch("weighted_mean", 1, 1, perRow[0], perRow[2], m.sums, divisor, o.output)
}

// weightsOfClasses brings them to the device; nil where all are 1.
func (m *Machine) weightsOfClasses(weights []float64) (*buffer, error) {
	if weights == nil {
		return nil, nil
	}
	b, err := m.memory.allocate("the classes' weights", int64(len(weights))*8)
	if err != nil {
		return nil, err
	}
	return b, upload(m.gpu, b, weights)
}

func (m *Machine) addSoftmaxLossGradient(o operation) error {
	divisor, err := m.savedBy(o.nodes[3])
	if err != nil {
		return err
	}
	rows, classes := o.nodes[0].Shape()[0], o.nodes[0].Shape()[1]
	return m.launch("softmax_loss_gradient", rows, 1, o.inputs[0], o.inputs[1], m.classWeights, divisor, o.inputs[2], o.output,
		rows, int32(classes), o.Loss.Smoothing, o.Loss.Gamma)
}
