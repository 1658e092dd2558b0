package main

import (
	"cmp"
	"math"
	"slices"

	"slipway/internal/cuda/trace"
)

// loop is a part of a kernel's instructions that a branch back runs again.
type loop struct {
	first, last int // instructions
	// most is how often the thread that comes round most often does, all how often all threads
	// together do.
	most, all float64
	counted   bool
	passed    bool // no thread comes there
	// fresh is which part of its loads read another line of memory than the load before.
	fresh float64
}

// loopsOf finds the loops among a kernel's instructions, inner ones first.
func loopsOf(f *function, end int) []*loop {
	var loops []*loop
	for at, i := range f.instructions[:end] {
		first, known := f.labels[i.target]
		if !known || i.call || first >= at { // a branch to itself is behind the end
			continue
		}
		loops = append(loops, &loop{first: first, last: at, fresh: 1})
	}
	slices.SortStableFunc(loops, func(a, b *loop) int {
		return cmp.Compare(a.last-a.first, b.last-b.first)
	})
	return loops
}

// innermost returns the smallest loop that an instruction is in, nil for none.
func innermost(loops []*loop, at int) *loop {
	for _, l := range loops {
		if l.first <= at && at <= l.last {
			return l
		}
	}
	return nil
}

// visits is what the simulator counted for a line of source.
type visits struct{ most, all, lines float64 }

// visitsOf adds up a launch's accesses by the line that they are of.
func visitsOf(l trace.Launch) map[string]visits {
	seen := make(map[string]visits)
	for _, a := range l.Accesses {
		v := seen[a.Source]
		seen[a.Source] = visits{
			v.most + float64(a.Most), v.all + float64(a.All), v.lines + float64(a.Lines),
		}
	}
	return seen
}

// count gives each loop its rounds, by how often the lines were come to that its loads and stores
// are of.
//
// The compiler makes several loops of one: a main one with several loads for each round of the
// source, and one for the rest; or copies, of which each has a part of what was counted.
func count(f *function, end int, loops []*loop, seen map[string]visits, threads float64) {
	accesses := make(map[string]map[*loop]float64) // by line; outside of loops under nil
	for at, i := range f.instructions[:end] {
		if i.class == load || i.class == shared || i.class == store {
			if accesses[i.source] == nil {
				accesses[i.source] = make(map[*loop]float64)
			}
			accesses[i.source][innermost(loops, at)]++
		}
	}
	for source, by := range accesses {
		v, known := seen[source]
		if !known {
			continue
		}
		outside := by[nil]
		delete(by, nil)
		if len(by) == 0 {
			continue
		}
		rest, all := max(v.most-outside, 0), max(v.all-outside*threads, 0)
		for l, rounds := range share(by, rest) {
			if l.counted = true; rounds > l.most {
				l.most, l.fresh = rounds, v.lines/max(v.all, 1)
			}
		}
		for l, rounds := range share(by, all) {
			l.all = max(l.all, min(rounds, l.most*threads))
		}
	}
	// No thread comes to a loop that reads or writes the device's memory where none was counted. One
	// without such an access is as often as those within it are begun, at least once.
	for _, l := range loops {
		switch {
		case l.counted:
		case touches(f, loops, l):
			l.most, l.all, l.counted, l.passed = 0, 0, true, true
		default:
			l.most, l.all = 1, threads
		}
	}
}

// touches reports whether a loop's own instructions read or write the device's memory.
func touches(f *function, loops []*loop, l *loop) bool {
	for at := l.first; at <= l.last; at++ {
		class := f.instructions[at].class
		if (class == load || class == store) && innermost(loops, at) == l {
			return true
		}
	}
	return false
}

// share divides so many accesses among loops that have some in each round.
func share(by map[*loop]float64, accesses float64) map[*loop]float64 {
	total, most := 0.0, 0.0
	equal := true
	for _, n := range by {
		equal = equal && (most == 0 || n == most)
		total, most = total+n, max(most, n)
	}
	rounds := make(map[*loop]float64)
	if equal { // copies
		for l := range by {
			rounds[l] = accesses / total
		}
		return rounds
	}
	mains, others := 0.0, 0.0
	for _, n := range by {
		if n == most {
			mains += n
		} else {
			others += n
		}
	}
	main := math.Floor(accesses / mains)
	for l, n := range by {
		if rounds[l] = main; n != most {
			rounds[l] = (accesses - main*mains) / others
		}
	}
	return rounds
}
