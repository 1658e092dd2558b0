package main

import (
	"fmt"
	"math"
	"slices"

	"slipway/internal/cuda/trace"
)

// timing is what a kernel's instructions say of a launch of it.
type timing struct {
	chain      span    // cycles of the thread that takes longest, alone
	issue      span    // cycles that a scheduler issues the warps' instructions, all warps together
	operations float64 // of floating-point arithmetic, all threads
	resident   int     // blocks that a multiprocessor has room for
	serial     float64 // rounds of the longest loop
}

// warp walks through a kernel's instructions in their order, as a warp does: each waits for what
// it reads.
type warp struct {
	now   float64
	ready map[string]float64
	// latency says how many cycles an instruction's result takes.
	latency func(instruction) float64
}

func (w *warp) walk(instructions []instruction) {
	for _, i := range instructions {
		at := w.now + 1
		for _, name := range i.reads {
			at = max(at, w.ready[name])
		}
		w.now = at
		cycles := w.latency(i)
		if i.class == control || i.class == barrier || i.class == fence {
			w.now += cycles
			continue
		}
		for _, name := range i.writes {
			w.ready[name] = at + cycles
		}
	}
}

// cyclesOf returns how long one thread takes: once through all, and each loop's further rounds.
// A round's cycles are those that one more takes when several have been made.
func cyclesOf(f *function, end int, loops []*loop,
	latency func(instruction, *loop) float64) float64 {
	straight := &warp{ready: make(map[string]float64)}
	within := make(map[*loop][]instruction)
	for at, i := range f.instructions[:end] {
		l := innermost(loops, at)
		if l != nil {
			within[l] = append(within[l], i)
			if l.most == 0 {
				continue // the thread does not come there
			}
		}
		straight.latency = func(i instruction) float64 { return latency(i, l) }
		straight.walk([]instruction{i})
	}
	// What was begun last has to end.
	cycles := straight.now
	for _, ready := range straight.ready {
		cycles = max(cycles, ready)
	}
	for l, body := range within {
		w := &warp{ready: make(map[string]float64)}
		w.latency = func(i instruction) float64 { return latency(i, l) }
		w.walk(body)
		w.walk(body)
		before := w.now
		w.walk(body)
		cycles += max(l.most-1, 0) * (w.now - before)
	}
	return cycles
}

// timingOf returns the timing of a launch of a kernel. uncached says that what it reads comes from
// memory, at the low end and at the high one.
func timingOf(functions map[string]*function, l trace.Launch, uncached [2]bool) (timing, error) {
	f := functions[l.Name]
	if f == nil {
		return timing{}, fmt.Errorf("kernel %s has no instructions in the listing", l.Name)
	}
	if len(l.Accesses) == 0 {
		return timing{}, fmt.Errorf("kernel %s: the simulator counted no accesses", l.Name)
	}
	end := endOf(f)
	loops := loopsOf(f, end)
	threads := float64(l.Grid[0] * l.Grid[1] * l.Block)
	count(f, end, loops, visitsOf(l), threads)

	var t timing
	by := func(high bool) func(instruction, *loop) float64 {
		return func(i instruction, l *loop) float64 { return cyclesUntil(i, l, high, uncached) }
	}
	t.chain = span{cyclesOf(f, end, loops, by(false)), cyclesOf(f, end, loops, by(true))}
	called, err := calledBy(functions, f, end)
	if err != nil {
		return timing{}, err
	}
	for _, c := range called {
		t.chain = t.chain.plus(span{cyclesOf(c, len(c.instructions), nil, by(false)),
			cyclesOf(c, len(c.instructions), nil, by(true))})
		callers := powersOf[l.Name]
		for _, i := range c.instructions {
			t.add(i, span{callers, callers}, callers)
		}
	}
	for at, i := range f.instructions[:end] {
		often, all := span{threads, threads}, threads
		if in := innermost(loops, at); in != nil {
			often, all = span{in.all, in.most * threads}, in.all
			t.serial = max(t.serial, in.most)
		}
		t.add(i, often, all)
	}
	t.issue = t.issue.times(1 / float64(warpThreads*schedulers))
	t.resident = residentBlocks(f.registers, l.Block)
	return t, nil
}

// add books an instruction that is executed so often, by all threads.
func (t *timing) add(i instruction, often span, all float64) {
	cycles := occupancies[i.class]
	t.issue = t.issue.plus(span{often.low * cycles.low, often.high * cycles.high})
	t.operations += float64(i.operations) * all
}

// cyclesUntil returns an instruction's latency. A loop's loads are of the line before but for the
// part that is fresh.
func cyclesUntil(i instruction, l *loop, high bool, uncached [2]bool) float64 {
	pick := func(s span) float64 {
		if high {
			return s.high
		}
		return s.low
	}
	if i.class != load {
		return pick(latencies[i.class])
	}
	far, fresh := secondLevel, 1.0
	if high && uncached[1] || !high && uncached[0] {
		far = fromMemory
	}
	if l != nil {
		fresh = l.fresh
	}
	return fresh*pick(far) + (1-fresh)*pick(firstLevel)
}

// endOf returns where a kernel's own instructions end: behind lie what it calls, and a branch to
// itself.
func endOf(f *function) int {
	end := len(f.instructions)
	for label, at := range f.labels {
		if label[0] == '$' {
			end = min(end, at)
		}
	}
	for at := end - 1; at >= 0; at-- {
		if f.instructions[at].end {
			return at + 1
		}
	}
	return end
}

// calledBy returns the functions that some thread of a kernel calls, one for each call. Those of
// divisions and roots are called for rare operands alone: the common way lies beside the call.
func calledBy(functions map[string]*function, f *function, end int) ([]*function, error) {
	var called []*function
	for _, i := range f.instructions[:end] {
		if !i.call || !powers.MatchString(i.target) {
			continue
		}
		if callers, known := powersOf[f.name]; !known {
			return nil, fmt.Errorf("kernel %s calls %s: how many threads do is not in the table", f.name,
				i.target)
		} else if callers == 0 {
			continue
		}
		first, known := f.labels[i.target]
		if !known {
			return nil, fmt.Errorf("kernel %s calls %s, which is not in the listing", f.name, i.target)
		}
		after := len(f.instructions)
		for label, at := range f.labels {
			if label[0] == '$' && at > first {
				after = min(after, at)
			}
		}
		called = append(called, &function{name: i.target, instructions: f.instructions[first:after]})
	}
	return called, nil
}

// residentBlocks is how many blocks a multiprocessor has room for at a time.
func residentBlocks(used, block int) int {
	const granule = 8
	each := (used + granule - 1) / granule * granule
	return max(1, min(mostThreads/block, registers/(max(each, granule)*block)))
}

// waves is how often the multiprocessors are filled with a grid's blocks.
func waves(blocks, resident int) float64 {
	return math.Ceil(float64(blocks) / float64(resident*multiprocessors))
}

// loopsWithout lists the loops of which the simulator counted nothing: those that no thread comes
// to, and those of which it cannot know how often they are run.
func loopsWithout(functions map[string]*function, l trace.Launch) (passed, unknown []string) {
	f := functions[l.Name]
	end := endOf(f)
	loops := loopsOf(f, end)
	count(f, end, loops, visitsOf(l), float64(l.Grid[0]*l.Grid[1]*l.Block))
	for _, in := range loops {
		inner := slices.ContainsFunc(loops, func(o *loop) bool {
			return o != in && o.first >= in.first && o.last <= in.last && o.counted
		})
		source := f.instructions[in.last].source
		switch {
		case in.passed:
			passed = append(passed, fmt.Sprintf("`%s` %s", l.Name, source))
		case !in.counted && !inner:
			unknown = append(unknown, source)
		}
	}
	return passed, unknown
}
