package main

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// launchPattern reads a line of BenchmarkLaunch: the step, the launch's place in it, the kernel's or
// the call's name, the node, the grid of a kernel of Slipway's, and the time.
var launchPattern = regexp.MustCompile(`^BenchmarkLaunch/(e[12])/batch=(\d+)/(\d+)/([^/\s]+)/` +
	`([^/\s]+)/(\d+x\d+)-?\d*\s+\d+\s+([\d.]+) ns/op`)

// launchTime is a launch of a step, with its times in microseconds.
type launchTime struct {
	place, what string
	times       []float64
}

// stepLaunches are those of a step.
type stepLaunches struct {
	step     string
	launches []*launchTime
}

// mostLaunches is how many of a step's launches the report names. The files beside it have all.
const mostLaunches = 6

// checkLaunches times each launch of a step by itself: which of them a step's time is made of.
func checkLaunches(ctx context.Context, c *checker) {
	if !c.needsGPU(rowLaunch) {
		return
	}
	var steps []*stepLaunches
	r := c.run(ctx, observed{part: "steps", see: func(line string) {
		if found := launchPattern.FindStringSubmatch(line); found != nil {
			steps = booked(steps, found)
			c.add(rowLaunch, passed, toldLaunches(steps))
		}
	}}, "bin/cuda.test", "-test.run=^$", "-test.bench=Launch", "-test.benchtime=200x",
		"-test.count=3", "-test.timeout=3m")
	switch {
	case len(steps) == 0 && ctx.Err() != nil:
		c.missing(rowLaunch, r.reason())
	case len(steps) == 0:
		c.add(rowLaunch, failed, "the benchmark told no time: "+r.reason())
	case ctx.Err() != nil:
		c.add(rowLaunch, passed, toldLaunches(steps)+"; not measured: the rest: "+r.reason())
	case r.err != nil:
		c.add(rowLaunch, failed, toldLaunches(steps)+"; then "+r.reason())
	}
}

// booked adds a time of a launch to those of its step.
func booked(steps []*stepLaunches, found []string) []*stepLaunches {
	name := found[1] + " batch " + found[2]
	i := slices.IndexFunc(steps, func(s *stepLaunches) bool { return s.step == name })
	if i < 0 {
		i, steps = len(steps), append(steps, &stepLaunches{step: name})
	}
	s := steps[i]
	j := slices.IndexFunc(s.launches, func(l *launchTime) bool { return l.place == found[3] })
	if j < 0 {
		what := found[4]
		if found[5] != "-" {
			what += " of " + strings.ReplaceAll(found[5], "_", " ")
		}
		if found[6] != "0x0" {
			what += " in " + strings.Replace(found[6], "x", "×", 1) + " blocks"
		}
		j, s.launches = len(s.launches), append(s.launches, &launchTime{place: found[3], what: what})
	}
	s.launches[j].times = append(s.launches[j].times, microseconds(found[7]))
	return steps
}

// toldLaunches says of each step what its launches take together, and the costliest of them.
func toldLaunches(steps []*stepLaunches) string {
	var told []string
	for _, s := range steps {
		costly := slices.SortedStableFunc(slices.Values(s.launches), func(a, b *launchTime) int {
			return cmp.Compare(median(b.times), median(a.times))
		})
		var sum float64
		var named []string
		for i, l := range costly {
			sum += median(l.times)
			if i < mostLaunches {
				named = append(named, fmt.Sprintf("%s %.2f", l.what, median(l.times)))
			}
		}
		told = append(told, fmt.Sprintf("%s: launches %d, %.1f together: %s", s.step, len(costly), sum,
			strings.Join(named, ", ")))
	}
	return strings.Join(told, "; ")
}
