package train

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"slipway/dataset"
	"slipway/internal/collective"
)

// EvaluateTogether is Evaluate by all ranks of a Communicator, each of which has the source and
// computes a share of its batches. All get the same evaluation, which is that of one rank to the
// bit. An error of one rank is an error on all. Without other ranks it is Evaluate.
func (t *Trainer) EvaluateTogether(ctx context.Context, source dataset.Source) (*Evaluation,
	error) {
	ctx, done := t.beginEvaluation(ctx)
	defer done()
	return t.evaluateShares(ctx, source, evaluationBatch(t.network))
}

// evaluateShares evaluates a rank's share of the batches, and takes the others' from them.
func (t *Trainer) evaluateShares(ctx context.Context, source dataset.Source, batch int) (
	*Evaluation, error) {
	if t.together == nil {
		return t.evaluate(ctx, source, batch)
	}
	var own evaluated
	evaluation, batches, err := t.newEvaluation(source, batch)
	if err == nil {
		rank, ranks := t.together.Rank(), t.together.Size()
		first, end := rank*len(batches)/ranks, (rank+1)*len(batches)/ranks
		err = t.evaluateBatches(ctx, source, batches[first:end], &own)
	}
	all, failure := t.gatherEvaluated(ctx, &own, err)
	if failure != nil {
		return nil, failure
	}
	if images := len(all.logits) / evaluation.Classes; images != source.Len() {
		return nil, fmt.Errorf("evaluate %s: the ranks have evaluated %d images, and it has %d",
			source.Info().Name, images, source.Len())
	}
	evaluation.take(all, source.Len())
	return evaluation, nil
}

// A rank's message is a word that says how many batches it has, or that it has failed and why in
// words; then how many images are right, the losses, and the logits.
const evaluationFailed = math.MaxUint64

// gatherEvaluated brings what the ranks have evaluated together, or the failure of one of them.
func (t *Trainer) gatherEvaluated(ctx context.Context, own *evaluated, failure error) (
	*evaluated, error) {
	messages, err := collective.Gather(ctx, t.together, own.encode(failure))
	switch {
	case err != nil:
		return nil, err
	case failure != nil:
		return nil, &OwnError{failure}
	}
	all := new(evaluated)
	for rank, message := range messages {
		if err := all.decode(rank, message); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (e *evaluated) encode(failure error) []byte {
	if failure != nil {
		return append(binary.LittleEndian.AppendUint64(nil, evaluationFailed), failure.Error()...)
	}
	message := binary.LittleEndian.AppendUint64(nil, uint64(len(e.losses)))
	message = binary.LittleEndian.AppendUint64(message, uint64(e.correct))
	for _, loss := range e.losses {
		message = binary.LittleEndian.AppendUint64(message, math.Float64bits(loss))
	}
	for _, logit := range e.logits {
		message = binary.LittleEndian.AppendUint32(message, math.Float32bits(logit))
	}
	return message
}

// decode adds what a rank says.
func (e *evaluated) decode(rank int, message []byte) error {
	word := func() uint64 {
		value := binary.LittleEndian.Uint64(message)
		message = message[wordBytes:]
		return value
	}
	if len(message) < wordBytes {
		return fmt.Errorf("rank %d says %d bytes of an evaluation", rank, len(message))
	}
	batches := word()
	if batches == evaluationFailed {
		return &RankError{rank, string(message)}
	}
	if left := uint64(len(message)) / wordBytes; batches >= left {
		return fmt.Errorf("rank %d says %d batches of an evaluation in %d words", rank, batches, left)
	}
	e.correct += int(word())
	for range batches {
		e.losses = append(e.losses, math.Float64frombits(word()))
	}
	for ; len(message) >= 4; message = message[4:] {
		e.logits = append(e.logits, math.Float32frombits(binary.LittleEndian.Uint32(message)))
	}
	return nil
}
