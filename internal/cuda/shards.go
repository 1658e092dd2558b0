//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"math/bits"
	"unsafe"
)

// figures mirrors the kernels' Figures (kernels/shards.cuh): what a shard's share of a step came
// to.
type figures struct {
	Total, Data float64
	Correct     uint64
}

const figuresBytes = int64(unsafe.Sizeof(figures{}))

// dealt is what the shards of a step come to, of those that this rank has and, behind its
// exchanges, of all. Package train deals alike on the CPU, with the same tree.
//
// A row has the gradients of a shard, or of a node of the tree, as they lie in the session, and
// behind them what it makes of the running statistics.
type dealt struct {
	first, each int // this rank's shards
	length      int // values of a row: halves of halves, one for each rank, are whole vectors
	statistics  int // how many of them are learned: all or none

	rows    []*buffer // one more than the tree has levels: those that wait for their neighbours
	other   *buffer   // half a row, which is received
	figures *buffer   // of all shards
	losses  *buffer   // sums, of which the step is booked
	kept    *buffer   // the running statistics as the shard under way has them
	learned *buffer   // those of the step, float64
	taken   *buffer   // for each of them how much the last launch takes it up: wholly, or not at all
}

// deals reports whether the steps are dealt to shards.
func (s *session) deals() bool { return s.job.Shards > 1 }

// ofShards allocates what steps that are dealt have in common, once.
func (s *session) ofShards() (*dealt, error) {
	if s.dealt != nil {
		return s.dealt, nil
	}
	ranks, rank := max(s.job.Ranks, 1), 0
	if ranks > 1 {
		if s.gpu.peers == nil || s.gpu.peers.size != ranks {
			return nil, fmt.Errorf("%d ranks train together, and their GPUs have not joined", ranks)
		}
		rank = s.gpu.peers.rank
	}
	each := s.job.Shards / ranks
	if each < 1 || each*ranks != s.job.Shards || bits.OnesCount(uint(s.job.Shards)) != 1 {
		return nil, fmt.Errorf("%d shards for %d ranks", s.job.Shards, ranks)
	}
	d := &dealt{first: rank * each, each: each}
	if err := d.findStatistics(s); err != nil {
		return nil, err
	}
	whole := alignment * ranks
	d.length = (s.total + d.statistics + whole - 1) / whole * whole
	for range bits.Len(uint(each)) {
		row, err := s.zeroed("the gradients of a shard", d.length)
		if err != nil {
			return nil, err
		}
		d.rows = append(d.rows, row)
	}
	if ranks > 1 {
		var err error
		if d.other, err = s.zeroed("the gradients of other ranks", d.length/2); err != nil {
			return nil, err
		}
	}
	var err error
	all := figuresBytes * int64(s.job.Shards)
	if d.figures, err = s.memory.allocate("what shards come to", all); err != nil {
		return nil, err
	}
	bytes := int64(unsafe.Sizeof(sums{}))
	if d.losses, err = s.memory.allocate("a step's losses", bytes); err != nil {
		return nil, err
	}
	s.dealt = d
	return d, nil
}

// findStatistics finds which running statistics are learned, of which each shard has its own. A
// pass says it, which a rank need not have yet: of a short batch it may be left without images.
func (d *dealt) findStatistics(s *session) error {
	if s.statistics.total == 0 {
		return nil
	}
	of, err := s.somePass()
	if err != nil || of.learned == 0 {
		return err
	}
	d.statistics = of.learned
	if d.kept, err = s.zeroed("a shard's statistics", d.statistics); err != nil {
		return err
	}
	if d.learned, err = s.zeroed("a step's statistics", 2*d.statistics); err != nil {
		return err
	}
	taken := s.statistics.momenta(of.graph.Statistics, of.machine.learned)
	for i, momentum := range taken {
		if momentum != 0 {
			taken[i] = 1 // the others stay, to the bit
		}
	}
	bytes := 8 * int64(len(taken))
	if d.taken, err = s.memory.allocate("which statistics are taken up", bytes); err != nil {
		return err
	}
	return upload(s.gpu, d.taken, taken)
}

// somePass returns a pass of training, whichever.
func (s *session) somePass() (*pass, error) {
	for _, of := range s.passes {
		return of, nil
	}
	return s.trainingPass(1)
}

// figuresOf is where what some shards come to is.
func (d *dealt) figuresOf(first, shards int) *buffer {
	return d.figures.part(figuresBytes*int64(first), figuresBytes*int64(shards))
}

// compileDealt appends the shards of a step that this rank has, one after the other, what makes one
// sum of those of all ranks, and what is learned from it.
func (s *session) compileDealt(p *program, images int) error {
	d, err := s.ofShards()
	if err != nil {
		return err
	}
	if s.job.Set == nil {
		values := newFedLayout(images, s.feeding.size).total
		if p.fed, err = p.memory.allocateFloats("a step that is fed", values); err != nil {
			return err
		}
	}
	// Every rank's first launch notes what the step goes by, also of one that has no image of it.
	begin, err := s.beginBatch(nil, nil, s.order, s.ledger, span{})
	if err != nil {
		return err
	}
	p.launches = append(p.launches, begin)
	after, even := float32(1), s.even(images)
	if even {
		// By a power of two: exact. Not before the sums, where tiny numbers would be rounded.
		after = 1 / float32(s.job.Shards)
	}
	tree := rowTree{free: append([]*buffer(nil), d.rows...), levels: make([]*buffer, len(d.rows))}
	for k := range d.each {
		row := tree.leaf()
		if err := s.shard(p, d, d.first+k, images, even, row); err != nil {
			return err
		}
		last := k+1 == d.each && s.job.Shards == d.each
		if err := s.carry(p, d, &tree, row, last, after); err != nil {
			return err
		}
	}
	root := tree.levels[len(tree.levels)-1]
	if s.job.Shards > d.each {
		if err := s.exchange(p, d, root, after); err != nil {
			return err
		}
	}
	book, err := s.gpu.kernel("book_shards", max(d.statistics, 1), 1, d.losses, d.figures,
		s.job.Shards, root, d.learned, d.statistics, s.total)
	if err != nil {
		return err
	}
	p.launches = append(p.launches, book)
	var at sums
	return s.learn(p, booking{
		total:   d.losses.from(int(unsafe.Offsetof(at.MeanTotal))),
		data:    d.losses.from(int(unsafe.Offsetof(at.MeanData))),
		correct: d.losses.from(int(unsafe.Offsetof(at.Correct))),
		images:  images, learned: d.learned, momenta: d.taken, statistics: d.statistics,
		gradients: root,
	})
}

// even reports whether all shards of a step have equally many images, in one span each: then their
// gradients are added as they are, and the sum is divided.
func (s *session) even(images int) bool {
	for shard := range s.job.Shards {
		spans := s.job.Deal(images, shard)
		if len(spans) != 1 || (spans[0].End-spans[0].First)*s.job.Shards != images {
			return false
		}
	}
	return true
}

// shard appends what brings a shard's gradients to a row, and what it came to beside those of the
// others.
func (s *session) shard(p *program, d *dealt, shard, images int, even bool,
	row *buffer) error {
	spans, own := s.job.Deal(images, shard), d.figuresOf(shard, 1)
	if len(spans) == 0 {
		for _, b := range []*buffer{row, own} {
			p.launches = append(p.launches, launch{name: "cuMemsetD32Async", run: func(on *lane) error {
				return zeroAsync(b.address, b.bytes, on.stream)
			}})
		}
		return nil
	}
	taken := 0.0
	for i, of := range spans {
		batch := span{of.First, of.End - of.First}
		b, err := s.shardBatch(p, images, batch)
		if err != nil {
			return err
		}
		share := float64(batch.length) / float64(images)
		taken += share
		weight, whole := float32(share), float32(taken)
		if even {
			weight, whole = 1, 1
		}
		take, err := s.gpu.kernel("take_shard", s.total+d.statistics, 1, own, b.total, b.data,
			b.correct, share, flag(i == 0), b.gradients, weight, row, s.statistics.running, d.kept,
			b.learned, b.momenta, whole, d.statistics, s.total)
		if err != nil {
			return err
		}
		p.launches = append(p.launches, take)
	}
	return nil
}

// shardBatch appends what takes some images of a step forward and back.
func (s *session) shardBatch(p *program, images int, batch span) (booking, error) {
	of, err := s.trainingPass(batch.length)
	if err != nil {
		return booking{}, err
	}
	begin, err := s.beginBatch(of, s.training, s.order, s.ledger, batch)
	if err != nil {
		return booking{}, err
	}
	p.launches = append(append(p.launches, begin), s.feedBatch(p, of, images, batch)...)
	p.launches = append(p.launches, of.machine.launches...)
	return s.booked(of, images), nil
}

// rowTree is the binary tree of a rank's shards, as a counter counts: at each level waits a node,
// or none.
type rowTree struct{ free, levels []*buffer }

// leaf returns the row of the next shard: the first one's is the root's, too.
func (t *rowTree) leaf() *buffer {
	row := t.free[0]
	t.free = t.free[1:]
	return row
}

// carry appends the sums of a leaf with the nodes that have waited for it. The last sum of all is
// multiplied by after.
func (s *session) carry(p *program, d *dealt, t *rowTree, row *buffer, last bool,
	after float32) error {
	level := 0
	for ; t.levels[level] != nil; level++ {
		left, factor := t.levels[level], float32(1)
		if last && level == len(t.levels)-2 {
			factor = after
		}
		sum, err := s.gpu.kernel("add_shards", d.length, 1, left, row, factor, d.length)
		if err != nil {
			return err
		}
		p.launches = append(p.launches, sum)
		t.free = append([]*buffer{row}, t.free...)
		t.levels[level], row = nil, left
	}
	t.levels[level] = row
	return nil
}
