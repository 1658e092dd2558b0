package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	rowContact = "first contact"
	rowSteps   = "µs a step, in CUDA graphs"
	rowSingle  = "µs a step, launch by launch"
	rowLaunch  = "µs a launch, 200 of it in one graph"
)

const contactTest = "TestFirstContact"

var (
	contactPattern = regexp.MustCompile(`first contact: (.*)`)
	benchPattern   = regexp.MustCompile(
		`^BenchmarkStep/(e[12])/batch=(\d+)(/loss=each|/tf32|/bf16|/fed|/one-step|/one-stream)?-?\d*\s+\d+\s+([\d.]+) ns/op(?:.*?([\d.]+) host-ns/op)?`)
)

// checkSteps times the first steps of a process, and then steady ones: E1 and E2 at three batch
// sizes, each with the host's own time.
func checkSteps(ctx context.Context, c *checker) {
	if !c.needsGPU(rowContact, rowSteps) {
		return
	}
	said := ""
	t := c.runTest(ctx, "steps", contactTest, func(line string) {
		if found := contactPattern.FindStringSubmatch(line); found != nil {
			said = found[1]
		}
	})
	if t.verdict == "PASS" && said != "" {
		c.add(rowContact, passed, said)
	} else {
		c.add(rowContact, failed, said+" "+t.verdict+": "+t.reason)
	}
	c.bench(ctx, rowSteps, "Step", nil)
}

// checkSingleLaunches times the same steps without CUDA graphs: what those gain.
func checkSingleLaunches(ctx context.Context, c *checker) {
	if c.needsGPU(rowSingle) {
		c.bench(ctx, rowSingle, "Step/e1/batch=(32|128)$", []string{"SLIPWAY_CUDA_GRAPHS=0"})
	}
}

// bench runs the benchmark and fills the row in with each line that comes.
func (c *checker) bench(ctx context.Context, row, which string, environment []string) {
	var order []string
	times, hosts := map[string][]float64{}, map[string][]float64{}
	tell := func(verdict, more string) {
		var figures []string
		for _, key := range order {
			text := fmt.Sprintf("%s: %.1f", key, median(times[key]))
			if host := hosts[key]; len(host) > 0 {
				text += fmt.Sprintf(" (host %.1f)", median(host))
			}
			figures = append(figures, text)
		}
		c.add(row, verdict, strings.Join(figures, "; ")+more)
	}
	r := c.run(ctx, observed{part: "steps", environment: environment, see: func(line string) {
		found := benchPattern.FindStringSubmatch(line)
		if found == nil {
			return
		}
		key := found[1] + " batch " + found[2]
		switch found[3] {
		case "/loss=each":
			key += ", its loss read each step"
		case "/tf32":
			key += " in TF32"
		case "/bf16":
			key += " in bf16"
		case "/fed":
			key += ", fed"
		case "/one-step":
			key += ", a graph a step"
		case "/one-stream":
			key += ", in one stream"
		}
		if times[key] == nil {
			order = append(order, key)
		}
		times[key] = append(times[key], microseconds(found[4]))
		if found[5] != "" {
			hosts[key] = append(hosts[key], microseconds(found[5]))
		}
		tell(passed, "")
	}}, "bin/cuda.test", "-test.run=^$", "-test.bench="+which, "-test.benchtime=500x", "-test.count=3",
		"-test.timeout=5m")
	switch {
	case ctx.Err() != nil && len(order) == 0:
		c.missing(row, r.reason())
	case ctx.Err() != nil:
		tell(passed, "; not measured: the rest: "+r.reason())
	case r.err != nil:
		// What was measured before stays in the row.
		tell(failed, "; then "+r.reason())
	case len(order) == 0:
		c.add(row, failed, "the benchmark told no time: "+r.reason())
	default:
		tell(passed, fmt.Sprintf(" (medians of %d rounds of 500 steps)", len(times[order[0]])))
	}
}

func microseconds(nanoseconds string) float64 {
	value, err := strconv.ParseFloat(nanoseconds, 64)
	if err != nil {
		return 0 // the pattern lets numbers through alone
	}
	return value / 1000
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
