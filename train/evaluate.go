package train

import (
	"context"
	"fmt"

	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/dataset"
)

// evaluationMost is the number of images evaluated at a time, where memory allows it.
const evaluationMost = 250

// evaluationBytes is what the values between the layers may take meanwhile.
const evaluationBytes = 128 << 20

// evaluationBatch returns the number of images evaluated at a time: evaluationMost, or fewer where
// the values between the layers that are needed at the same time would take more than
// evaluationBytes. An image's logits do not depend on it.
func evaluationBatch(network *builder.Network) int {
	nodes := network.Nodes()
	last := make([]int, len(nodes)) // by node: the last that takes its output
	for i, node := range nodes {
		last[i] = i
		for _, input := range node.Inputs {
			if input >= 0 {
				last[input] = i
			}
		}
	}
	input := network.Input().Elements()
	fullest := input
	for i := range nodes {
		live := 0
		for k := range i + 1 {
			if last[k] >= i {
				live += nodes[k].Output.Elements()
			}
		}
		fullest = max(fullest, live)
	}
	// The input is there twice: in the engine's layout and in the public one.
	return min(evaluationMost, max(1, evaluationBytes/4/(fullest+2*input)))
}

// Evaluation is the trainer's own answer on a data set, with dropout off.
type Evaluation struct {
	// Logits is N×Classes, row after row.
	Logits  []float32
	Classes int
	// Loss is the mean cross-entropy, without penalties, or the plain binary one of a network with
	// that loss.
	Loss float64
	// Correct of the N images are classified right; Accuracy is their share. Of images with any
	// number of labels all must be right: a label is told where its logit is above 0.
	Correct  int
	Accuracy float64
}

// Evaluate classifies every image of the source with the weights that Weights returns. With a
// Communicator each rank that calls it does so by itself, and it does not end with ctx before a run
// has: the others would wait for a step that this rank does not take.
func (t *Trainer) Evaluate(ctx context.Context, source dataset.Source) (*Evaluation, error) {
	ctx, done := t.beginEvaluation(ctx)
	defer done()
	return t.evaluate(ctx, source, evaluationBatch(t.network))
}

// beginEvaluation has the variables hold the weights that are evaluated, until done is called.
func (t *Trainer) beginEvaluation(ctx context.Context) (_ context.Context, done func()) {
	if t.progress.Finished == "" {
		ctx = t.working(ctx)
	}
	if !t.averages() {
		return ctx, func() {}
	}
	if t.config.Device != nil { // which has both
		t.device.averaged = true
		return ctx, func() { t.device.averaged = false }
	}
	t.average.swap(t.variables)
	return ctx, func() { t.average.swap(t.variables) }
}

func (t *Trainer) evaluate(ctx context.Context, source dataset.Source, batch int) (*Evaluation,
	error) {
	evaluation, all, err := t.newEvaluation(source, batch)
	if err != nil {
		return nil, err
	}
	own := new(evaluated)
	if err := t.evaluateBatches(ctx, source, all, own); err != nil {
		return nil, err
	}
	evaluation.take(own, source.Len())
	return evaluation, nil
}

// newEvaluation returns an evaluation of no image yet, and the batches of the source's.
func (t *Trainer) newEvaluation(source dataset.Source, batch int) (*Evaluation, [][]int, error) {
	if err := fits(t.network, source); err != nil {
		return nil, nil, err
	}
	classes, err := t.network.Classes()
	if err != nil {
		return nil, nil, err
	}
	batches, err := dataset.Sequential(source.Len(), batch)
	if err != nil {
		return nil, nil, err
	}
	if err := t.sameLabels(source.Info()); err != nil {
		return nil, nil, err
	}
	var all [][]int
	for _, indices := range batches.Epoch(0, 0) {
		all = append(all, indices)
	}
	return &Evaluation{Classes: classes}, all, nil
}

// evaluated is what some batches came to, one after the other.
type evaluated struct {
	logits  []float32
	losses  []float64 // by batch: the sum over its images
	correct int
}

// evaluateBatches evaluates some batches.
func (t *Trainer) evaluateBatches(ctx context.Context, source dataset.Source, batches [][]int,
	into *evaluated) error {
	info := source.Info()
	for _, indices := range batches {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("evaluate %s: %w", info.Name, err)
		}
		if err := t.evaluateBatch(ctx, source, info, indices, into); err != nil {
			return fmt.Errorf("evaluate %s: %w", info.Name, err)
		}
	}
	return nil
}

func (t *Trainer) evaluateBatch(ctx context.Context, source dataset.Source, info dataset.Info,
	indices []int, into *evaluated) error {
	images := float64(len(indices))
	if t.config.Device != nil {
		loss, err := t.evaluateOnDevice(ctx, into, feed{source, info, indices, 0})
		into.losses = append(into.losses, loss*images)
		return err
	}
	p, result, err := t.pass(ctx, programKey{}, feed{source, info, indices, 0}, 0, 0, nil)
	if err != nil {
		return err
	}
	logits, err := p.logits()
	if err != nil {
		return err
	}
	into.logits = append(into.logits, logits...)
	into.losses = append(into.losses, result.data*images)
	into.correct += result.correct
	return nil
}

// take makes the evaluation that of all images.
func (e *Evaluation) take(all *evaluated, images int) {
	sum := 0.0
	for _, loss := range all.losses {
		sum += loss
	}
	e.Logits, e.Correct = all.logits, all.correct
	e.Loss = sum / float64(images)
	e.Accuracy = float64(e.Correct) / float64(images)
}

// losses returns the batch's loss with and without penalties.
func (p *program) losses() (total, data float64, err error) {
	if total, err = scalarValue(p.graph.Total); err != nil {
		return 0, 0, err
	}
	data, err = scalarValue(p.graph.Data)
	return total, data, err
}

// logits returns the batch's logits, valid until the next run.
func (p *program) logits() ([]float32, error) {
	dense, ok := p.graph.Logits.Value().(*tensor.Dense)
	if !ok {
		return nil, fmt.Errorf("logits are a %T", p.graph.Logits.Value())
	}
	return dense.Float32s(), nil
}

// correct counts the images whose largest logit is that of their label; of
// equal logits the first counts. With combinations it counts the images whose labels are all right.
func (p *program) correct(combinations dataset.Combinations) (int, error) {
	return p.correctOf(span{0, len(p.labels)}, combinations)
}

// correctOf counts those of some images of the batch.
func (p *program) correctOf(images span, combinations dataset.Combinations) (int, error) {
	logits, err := p.logits()
	if err != nil {
		return 0, err
	}
	classes := len(logits) / len(p.labels)
	count := 0
	for n := images.first; n < images.end; n++ {
		label := p.labels[n]
		if combinations != nil {
			if tells(logits[n*classes:(n+1)*classes], combinations[label]) {
				count++
			}
			continue
		}
		if argmax(logits[n*classes:(n+1)*classes]) == int(label) {
			count++
		}
	}
	return count, nil
}

func argmax(row []float32) int {
	best := 0
	for i, x := range row {
		if x > row[best] {
			best = i
		}
	}
	return best
}
