package kernel

import "sync"

// scratch is memory that a plan needs during a call alone: it is taken and given back, so that the
// plans of a network, of which one computes at a time, share what the most demanding one needs.
// What is taken holds whatever was written there last.
type scratch struct {
	mutex sync.Mutex
	free  [][]float32
}

// take returns n elements that start on a cache line and may be read slack elements past the end:
// the smallest piece that is large enough. Where there is none, a new piece takes the place of the
// largest.
func (s *scratch) take(n int) []float32 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	best := -1
	for i, piece := range s.free {
		if best < 0 || s.better(len(piece), len(s.free[best]), n) {
			best = i
		}
	}
	if best < 0 {
		return aligned(n)
	}
	piece := s.free[best]
	last := len(s.free) - 1
	s.free[best], s.free[last] = s.free[last], nil
	s.free = s.free[:last]
	if len(piece) < n {
		return aligned(n)
	}
	return piece
}

// better reports whether a piece of the first size serves n elements better than one of the second:
// the smaller of those that are large enough, else the larger.
func (*scratch) better(size, than, n int) bool {
	if size >= n && than >= n {
		return size < than
	}
	return size > than
}

// give hands back what take returned.
func (s *scratch) give(piece []float32) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.free = append(s.free, piece)
}

// line rounds a number of elements up to whole cache lines, so that what follows them in a piece
// starts on one.
func line(n int) int { return (n + 15) &^ 15 }

// oddLines rounds a position's channels up to an odd number of cache lines: otherwise those of one
// channel would share a few sets of the first-level cache.
func oddLines(channels int) int { return line(channels) | 16 }
