package train

import (
	"context"
	"encoding/binary"
	"errors"
	"math"

	"slipway/internal/collective"
)

// A step of several ranks has two meetings. First each says what its shards came to, whether it
// was asked to stop, and whether it failed: so all know the same before any of them changes a
// weight. Then the gradients are added up. Both are in an order that is the run's.

// report is what the ranks tell each other about a step, one block of words each: the figures of
// its shards, and what became of the rank.
type report struct {
	each   int // shards of a rank
	size   int // bytes of a block
	blocks []byte
}

// Words of a block behind the figures.
const (
	reportStop = iota
	reportFailed
	reportWords

	figureWords = 3
	wordBytes   = 8
)

func newReport(each, ranks int) *report {
	size := wordBytes * (figureWords*each + reportWords)
	return &report{each: each, size: size, blocks: make([]byte, size*ranks)}
}

// words returns the block of a rank from a word on.
func (r *report) words(rank, word int) []byte {
	return r.blocks[rank*r.size+wordBytes*word:]
}

func putWord(at []byte, word int, value float64) {
	binary.LittleEndian.PutUint64(at[wordBytes*word:], math.Float64bits(value))
}

func getWord(at []byte, word int) float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64(at[wordBytes*word:]))
}

// write puts down what a rank's shards came to.
func (r *report) write(rank int, sums []figures, stop, failed bool) {
	for k := range r.each {
		own := sums[rank*r.each+k]
		at := r.words(rank, figureWords*k)
		putWord(at, 0, own.total)
		putWord(at, 1, own.data)
		putWord(at, 2, own.correct)
	}
	at := r.words(rank, figureWords*r.each)
	putWord(at, reportStop, flagOf(stop))
	putWord(at, reportFailed, flagOf(failed))
}

func flagOf(set bool) float64 {
	if set {
		return 1
	}
	return 0
}

// read takes the figures of all shards, and says whether a rank is to stop, and has failed.
func (r *report) read(sums []figures) (stop, failed bool) {
	for rank := range len(r.blocks) / r.size {
		for k := range r.each {
			at := r.words(rank, figureWords*k)
			sums[rank*r.each+k] = figures{getWord(at, 0), getWord(at, 1), getWord(at, 2)}
		}
		at := r.words(rank, figureWords*r.each)
		stop = stop || getWord(at, reportStop) != 0
		failed = failed || getWord(at, reportFailed) != 0
	}
	return stop, failed
}

// meet makes this rank's sums those of all, unless it or another has failed.
func (t *Trainer) meet(ctx context.Context, failure error) error {
	s, r := t.shards, t.together
	s.report.write(s.rank, s.sums, ctx.Err() != nil, failure != nil)
	if err := collective.Share(ctx, r, s.report.blocks); err != nil {
		if s.neighbours.reads() {
			t.tear(err) // others may know all, and change what they keep
		}
		return err
	}
	stop, failed := s.report.read(s.sums)
	r.stop = r.stop || stop
	if failed {
		return r.failed(ctx, failure)
	}
	return t.sumUp(ctx)
}

// addPart adds what other ranks' shards came to, and divides what is the sum over all.
func (s *shards) addPart(total, part []float32, all bool) error {
	after := float32(1)
	if all {
		after = s.after
	}
	return s.tree.merge(total, part, after)
}

// failed tells all ranks what became of those that failed.
func (r *together) failed(ctx context.Context, own error) error {
	message := ""
	if errors.Is(own, errElsewhere) {
		own = nil // of which that rank tells
	}
	if own != nil {
		message = own.Error()
	}
	all, err := collective.Gather(ctx, r, []byte(message))
	switch {
	case err != nil:
		return err
	case own != nil:
		return &OwnError{own}
	}
	for rank, message := range all {
		if len(message) > 0 {
			return &RankError{rank, string(message)}
		}
	}
	return errors.New("a rank has failed, and does not say why")
}
