package train

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"

	"slipway/internal/collective"
	"slipway/internal/kernel"
	"slipway/internal/lockstep"
)

// A batch that is dealt has statistics of all its images: each shard takes those of its own, and at
// each normalisation, forward and back, all shards meet and go on with what is the batch's. What
// they give meets in the tree of the gradients, over the shards of a rank and then over the ranks,
// so that the statistics are the same to the bit whoever computes which shard.

// batchSync brings together what the shards of a rank, and those of all ranks, have summed.
type batchSync struct {
	ranks *together // nil where there is one
	slots []*syncSlot
	empty *syncSlot // of the pass of a rank that has no image of a batch

	met     int       // meetings of the pass under way
	lengths []int     // of a pass's messages, in their order; known once one was gone through
	result  []float64 // of the last meeting: not a slot's, whose next may come before all have read it
	other   []float64 // what is received
	known   bool      // whether all ranks know that the step has failed
	broken  error     // of an exchange, after which there is none
}

// syncSlot is the place of one of a rank's shards.
type syncSlot struct {
	sync  *batchSync
	wait  func() error // until all have given theirs
	given bool
	node  []float64
}

// A message is these words, and two numbers of each channel.
const (
	syncMark   = iota // which normalisation, forward or back
	syncFailed        // not 0: a rank gives the step up
	syncRows          // how many there are
	syncWords
)

// Values of syncFailed.
const (
	syncGivenUp = 1
	syncUneven  = 2
)

// errElsewhere says that another rank has given the step up.
var errElsewhere = errors.New("another rank has given the step up")

// errUnlike says that shards, or ranks, do not meet at the same normalisation.
var errUnlike = errors.New("the shards of a batch do not normalise in one order")

func newBatchSync(shards int, ranks *together) *batchSync {
	b := &batchSync{ranks: ranks}
	for range shards {
		b.slots = append(b.slots, &syncSlot{sync: b})
	}
	b.empty = &syncSlot{sync: b}
	return b
}

// layersOf returns what the normalisations of a program ask: of the rank's shard of that number, or
// behind them of that without images, or of all the rank's shards, where it joins them.
func (b *batchSync) layersOf(slot int, joined bool) func(layer string) kernel.BatchSync {
	slots := []*syncSlot{b.slot(slot)}
	if joined {
		slots = b.slots
	}
	return func(layer string) kernel.BatchSync {
		mark := fnv.New32()
		_, _ = mark.Write([]byte(layer))
		return &syncedLayer{slots, float64(mark.Sum32())}
	}
}

// slot returns the place of the rank's shard of that number, or behind them that without images.
func (b *batchSync) slot(i int) *syncSlot {
	if i < len(b.slots) {
		return b.slots[i]
	}
	return b.empty
}

// syncedLayer is one normalisation of a shard, or of several that go forward and back together.
type syncedLayer struct {
	slots []*syncSlot
	mark  float64
}

// Moments implements kernel.BatchSync.
func (l *syncedLayer) Moments(rows int, mean, variance []float64) (int, error) {
	channels := len(mean) / len(l.slots)
	for k, slot := range l.slots {
		first, second := slot.give(l.mark, rows, channels)
		copy(first, mean[k*channels:])
		for i, v := range variance[k*channels:][:channels] {
			second[i] = v * float64(rows) // Σ (x − mean)²
		}
	}
	first, second, all, err := l.slots[0].meet()
	if err != nil {
		return 0, err
	}
	copy(mean, first)
	for i, squares := range second {
		variance[i] = squares / all
	}
	return int(all), nil
}

// Sums implements kernel.BatchSync.
func (l *syncedLayer) Sums(rows int, first, second []float64) error {
	channels, n := len(first)/len(l.slots), float64(rows)
	for k, slot := range l.slots {
		given, other := slot.give(-1-l.mark, rows, channels)
		for i := range given {
			given[i], other[i] = n*first[k*channels+i], n*second[k*channels+i]
		}
	}
	given, other, _, err := l.slots[0].meet()
	if err != nil {
		return err
	}
	for i := range given {
		first[i], second[i] = given[i]/n, other[i]/n
	}
	return nil
}

// give prepares the slot's message, and returns the places of its two numbers of each channel.
func (s *syncSlot) give(mark float64, rows, channels int) (first, second []float64) {
	s.prepare(mark, syncWords+2*channels)
	s.node[syncRows], s.given = float64(rows), true
	return halves(s.node)
}

func (s *syncSlot) prepare(mark float64, length int) {
	s.node = ofLength(s.node, length)
	s.node[syncMark], s.node[syncFailed], s.node[syncRows] = mark, 0, 0
}

// meet waits for the others, and returns what all came to.
func (s *syncSlot) meet() (first, second []float64, rows float64, err error) {
	if err := s.wait(); err != nil {
		return nil, nil, 0, err
	}
	first, second = halves(s.sync.result)
	return first, second, s.sync.result[syncRows], nil
}

func halves(node []float64) (first, second []float64) {
	channels := (len(node) - syncWords) / 2
	return node[syncWords : syncWords+channels], node[syncWords+channels:]
}

func ofLength(x []float64, n int) []float64 {
	if cap(x) < n {
		return make([]float64, n)
	}
	return x[:n]
}

// begin says that no meeting of the next pass has been.
func (b *batchSync) begin() { b.met, b.known, b.empty.given = 0, false, false }

// run takes the parts of a batch through a pass, in which they meet. Part i is that of slot of[i];
// a rank that has none runs the one without images, whose sums do not count.
func (b *batchSync) run(ctx context.Context, of []int, do func(slot int) error) error {
	b.begin()
	for _, slot := range b.slots {
		slot.given = false // of a pass that was given up
	}
	if len(of) == 0 {
		of = []int{len(b.slots)}
	}
	return lockstep.Run(len(of), func(i int, wait func() error) error {
		b.slot(of[i]).wait = wait
		return do(of[i])
	}, func() error { return b.meet(ctx) })
}

// rehearse goes through a pass whose parts meet nobody, to learn which messages there will be. A
// rank that fails has to know, since the others wait for the next.
func (b *batchSync) rehearse(do func(slot int) error) error {
	b.lengths = b.lengths[:0]
	err := lockstep.Run(1, func(_ int, wait func() error) error {
		b.empty.wait = wait
		return do(len(b.slots))
	}, func() error {
		b.lengths = append(b.lengths, len(b.empty.node))
		b.result = append(b.result[:0], b.empty.node...)
		b.empty.given = false
		return nil
	})
	if err != nil {
		return fmt.Errorf("go through the normalisations of a step: %w", err)
	}
	return nil
}

// meet brings together what the slots have given.
func (b *batchSync) meet(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return errStepInterrupted
	}
	some := b.empty
	for _, slot := range b.slots {
		if slot.given {
			some = slot
			break
		}
	}
	mark, length := some.node[syncMark], len(some.node)
	for _, slot := range b.slots {
		if !slot.given {
			slot.prepare(mark, length)
		} else if len(slot.node) != length {
			return errUnlike
		}
		slot.given = false
	}
	b.empty.given = false
	for step := 1; step < len(b.slots); step *= 2 {
		for i := 0; i < len(b.slots); i += 2 * step {
			mergeStatistics(b.slots[i].node, b.slots[i+step].node)
		}
	}
	b.result = append(b.result[:0], b.slots[0].node...)
	if err := b.exchange(ctx); err != nil {
		return err
	}
	b.met++
	b.known = b.result[syncFailed] != 0
	switch b.result[syncFailed] {
	case 0:
		return nil
	case syncUneven:
		return errUnlike
	default:
		return errElsewhere
	}
}

// exchange makes the rank's result that of all ranks.
func (b *batchSync) exchange(ctx context.Context) error {
	if b.ranks == nil {
		return nil
	}
	b.other = ofLength(b.other, len(b.result))
	result, err := collective.Merge(ctx, b.ranks, b.result, b.other, mergeStatistics)
	if err != nil {
		b.broken = err
		return err
	}
	if &result[0] == &b.other[0] {
		b.result, b.other = b.other, b.result
	}
	return nil
}

// giveUp tells the other ranks, who wait at the next meeting of the pass, or of the step's next
// one, that this one does not come.
func (b *batchSync) giveUp(ctx context.Context, more bool) error {
	switch {
	case b.ranks == nil || b.broken != nil || b.known:
		return nil
	case b.met == len(b.lengths) && more && len(b.lengths) > 0:
		b.met = 0
	case b.met >= len(b.lengths):
		return nil // they meet at the step's end
	}
	b.result = ofLength(b.result, b.lengths[b.met])
	clear(b.result)
	b.result[syncFailed] = syncGivenUp
	return b.exchange(ctx)
}

// mergeStatistics makes of the left message that of both: of means and of sums of squares about
// them as Chan, Golub and LeVeque (1979) do, which loses nothing where a mean is far from zero, and
// of the sums of gradients their sum.
func mergeStatistics(left, right []float64) {
	failed := max(left[syncFailed], right[syncFailed])
	if failed == 0 && left[syncMark] != right[syncMark] {
		failed = syncUneven
	}
	switch l, r := left[syncRows], right[syncRows]; {
	case r == 0:
	case l == 0:
		copy(left, right)
	case left[syncMark] < 0: // of a gradient
		for i := syncWords; i < len(left); i++ {
			left[i] += right[i]
		}
		left[syncRows] = l + r
	default:
		mean, squares := halves(left)
		otherMean, otherSquares := halves(right)
		share := r / (l + r)
		for i, m := range mean {
			d := otherMean[i] - m
			mean[i] = m + d*share
			squares[i] += otherSquares[i] + d*d*(l*share)
		}
		left[syncRows] = l + r
	}
	left[syncFailed] = failed
}
