package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// table is the page; of the sides that were left out it says why.
func table(p plan, set images, sides []*side, missing []leftOut) string {
	title, from := "One image at a time in a Go program", "an image.Gray to names and probabilities"
	if p.data != "" {
		title = "One picture in colour at a time in a Go program"
		from = "an image.RGBA to names and scores"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n<!-- made by make bench-classify; not by hand -->\n\n", title)
	fmt.Fprintf(&b, "- CPU: %s, %d processors; %s/%s, %s\n", processor(), runtime.NumCPU(),
		runtime.GOOS, runtime.GOARCH, runtime.Version())
	fmt.Fprintf(&b, "- %s; load average %s\n", time.Now().UTC().Format(time.DateOnly), load())
	fmt.Fprintf(&b, "- %s, %s in each of %d rounds, the sides taking turns; "+
		"all give the same labels\n", filepath.ToSlash(p.model), set.what, p.rounds)
	fmt.Fprintf(&b, "- from %s, one image after the other, one thread\n\n", from)
	b.WriteString("| | µs an image, min | median | median by the first's | " +
		"processors' µs an image, median | allocations an image |\n" +
		"| --- | ---: | ---: | ---: | ---: | ---: |\n")
	base := median(sides[0].of(micros))
	for _, s := range sides {
		clock := s.of(micros)
		fmt.Fprintf(&b, "| %s | %.1f | %.1f | %.2f | %.1f | %.1f |\n", s.name, slices.Min(clock),
			median(clock), median(clock)/base, median(s.of(computed)),
			s.samples[len(s.samples)-1].Allocations)
	}
	b.WriteString("\nLower is better. Where others use the processors, " +
		"their time says more than the clock.\n\n")
	for _, s := range sides {
		fmt.Fprintf(&b, "- %s: %s.\n", s.name, s.note)
	}
	for _, l := range missing {
		fmt.Fprintf(&b, "- %s: left out, because %s.\n", l.name, l.why)
	}
	return b.String()
}

func micros(s sample) float64   { return s.Micros }
func computed(s sample) float64 { return s.Computed }

// of is one measure of a side, by round.
func (s *side) of(measure func(sample) float64) []float64 {
	values := make([]float64, len(s.samples))
	for i, taken := range s.samples {
		values[i] = measure(taken)
	}
	return values
}

func median(values []float64) float64 {
	sorted := slices.SortedFunc(slices.Values(values), cmp.Compare)
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// processor is what the system calls the CPU.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok &&
			strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	return cmp.Or(strings.Join(fields[:min(3, len(fields))], " "), "unknown")
}
