package main

import (
	"fmt"
	"regexp"

	"slipway/internal/cuda/trace"
)

// powers are functions that a kernel calls behind a condition of its source's, and not of its
// operands' size, as those of divisions are.
var powers = regexp.MustCompile(`accurate_pow`)

// powersOf is how many threads of a kernel call them, in the steps that are predicted: the one that
// notes Adam's corrections, and none of a loss that is not focal.
var powersOf = map[string]float64{"begin_step": 1, "softmax_loss": 0}

// What decides how long a launch takes.
const (
	byLaunch     = "launch"
	byBytes      = "bytes"
	byArithmetic = "arithmetic"
	byChain      = "chain"
	byIssue      = "issue"
)

// prediction is of one launch. All spans are in µs.
type prediction struct {
	trace.Launch
	what       string // a library's algorithm
	operations float64
	work       span // of the device, without the launch
	total      span // from the end of the launch before to the end of this one
	decides    string
	serial     float64 // rounds of the longest loop of a kernel of ours
}

// predict predicts each launch of a step.
func predict(functions map[string]*function, step trace.Step) ([]prediction, error) {
	distances := reuse(step.Launches)
	var all []prediction
	for n, l := range step.Launches {
		p, err := predictLaunch(functions, l, distances[n])
		if err != nil {
			return nil, fmt.Errorf("%s at %d, launch %d: %w", step.Network, step.Batch, n, err)
		}
		all = append(all, p)
	}
	return all, nil
}

func predictLaunch(functions map[string]*function, l trace.Launch,
	distances []float64) (prediction, error) {
	p := prediction{Launch: l}
	bytes, uncached := bytesTime(l, distances)
	kernels := span{1, 1}
	parts := map[string]span{byBytes: bytes}
	if l.Kernel() {
		t, err := timingOf(functions, l, uncached)
		if err != nil {
			return p, err
		}
		blocks := l.Grid[0] * l.Grid[1]
		busy := min(1, float64(blocks)/multiprocessors)
		cycle := 1e6 / clock
		parts[byBytes] = bytes.times(1 / busy)
		parts[byIssue] = t.issue.times(cycle / (multiprocessors * busy))
		parts[byChain] = span{t.chain.low, t.chain.high * waves(blocks, t.resident)}.times(cycle)
		arithmetic := t.operations / (floatRate * busy) * 1e6
		parts[byArithmetic] = span{arithmetic, arithmetic}
		p.operations, p.serial = t.operations, t.serial
	} else {
		called, err := libraryOf(l)
		if err != nil {
			return p, err
		}
		kernels, p.what, p.operations = called.kernels, called.what, called.operations
		parts[byArithmetic] = called.arithmetic
	}
	p.decides = byLaunch
	longest := launchFloor
	for _, part := range []string{byBytes, byArithmetic, byIssue, byChain} {
		p.work = p.work.atLeast(parts[part])
		if parts[part].middle() > longest.middle() {
			p.decides, longest = part, parts[part]
		}
	}
	if p.work.low <= 0 || p.work.high < p.work.low {
		return p, fmt.Errorf("%s: its work is predicted as %g to %g µs", l.Name, p.work.low, p.work.high)
	}
	p.total = span{
		max(launchFloor.low*kernels.low, p.work.low), launchFloor.high*kernels.high + p.work.high,
	}
	return p, nil
}

// reuse returns for each touch of each launch how many bytes others have touched since the same
// allocation was touched last. The steps follow each other: before the first launch comes the last.
func reuse(launches []trace.Launch) [][]float64 {
	type visit struct {
		allocation uint64
		bytes      float64
	}
	var order []visit // twice, so that the second time has a step before it
	var begins []int
	for range 2 {
		for _, l := range launches {
			begins = append(begins, len(order))
			for _, t := range l.Touches {
				order = append(order, visit{t.Allocation, float64(t.Size)})
			}
		}
	}
	all := make([][]float64, len(launches))
	for n, l := range launches {
		begin := begins[len(launches)+n]
		for _, t := range l.Touches {
			between := make(map[uint64]float64)
			at := begin - 1
			for ; at >= 0 && order[at].allocation != t.Allocation; at-- {
				between[order[at].allocation] = max(between[order[at].allocation], order[at].bytes)
			}
			distance := 0.0
			for _, bytes := range between {
				distance += bytes
			}
			all[n] = append(all[n], distance)
		}
	}
	return all
}

// bytesTime returns the µs to move what a launch touches, and whether something that it reads
// comes from memory, at the low end and at the high one.
func bytesTime(l trace.Launch, distances []float64) (t span, uncached [2]bool) {
	for n, touch := range l.Touches {
		size := float64(touch.Size)
		low, high := cacheRate.high, cacheRate.low
		if distances[n]+size > cacheSize.high {
			low = memoryRate.high
			uncached[0] = uncached[0] || !touch.Written
		}
		if distances[n]+size > cacheSize.low {
			high = memoryRate.low
			uncached[1] = uncached[1] || !touch.Written
		}
		t = t.plus(span{size / low * 1e6, size / high * 1e6})
	}
	return t, uncached
}

// sum adds up a step's launches.
func sum(all []prediction) (total span) {
	for _, p := range all {
		total = total.plus(p.total)
	}
	return total
}
