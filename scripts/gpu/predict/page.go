package main

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

// predictedStep is a step of a network with its launches' predictions.
type predictedStep struct {
	network  string
	batch    int
	launches []prediction
	passed   []string // loops that no thread comes to
}

func (s predictedStep) name() string { return fmt.Sprintf("%s at %d", s.network, s.batch) }

// introduction is what the page says before its figures, confirmation what a GPU has to show, and
// assumptions where the figures of device.go come from.
var (
	//go:embed introduction.md
	introduction string
	//go:embed confirmation.md
	confirmation string
	//go:embed assumptions.md
	assumptions string
)

// madeOf says which kernels the page is of: a page of others is older than they are.
func madeOf(ptx []byte) string {
	return fmt.Sprintf(
		"The kernels are those of `internal/cuda/kernels/kernels.ptx` with the SHA-256\n`%x`.\n",
		sha256.Sum256(ptx))
}

// page writes the document, of the kernels with that PTX.
func page(steps []predictedStep, ptx []byte) string {
	var b strings.Builder
	b.WriteString(introduction)
	b.WriteString("\n" + madeOf(ptx))
	b.WriteString("\n## The steps\n\n")
	b.WriteString("Time is that of one step, predicted; lower is better. " +
		"An image's is the same divided by the batch.\n\n")
	b.WriteString("| step | launches | µs a step | µs an image | " +
		"of them decided by launch, bytes, arithmetic, chain, issue |\n")
	b.WriteString("| --- | ---: | ---: | ---: | --- |\n")
	for _, s := range steps {
		total := sum(s.launches)
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s |\n", s.name(), len(s.launches), figure(total),
			figure(total.times(1/float64(s.batch))), deciders(s.launches))
	}
	b.WriteString("\n## What costs most\n\n")
	b.WriteString("Launches that are the same in all but their place count as one line. " +
		"The five costliest of each step:\n\n")
	b.WriteString("| step | launch | node | times | µs together | share | decided by | " +
		"what would mend it |\n| --- | --- | --- | ---: | ---: | ---: | --- | --- |\n")
	for _, s := range steps {
		rows := grouped(s.launches)
		slices.SortStableFunc(rows, func(a, b row) int {
			return cmp.Compare(b.together().middle(), a.together().middle())
		})
		for _, r := range rows[:min(5, len(rows))] {
			fmt.Fprintf(&b, "| %s | %s | %s | %d | %s | %.0f %% | %s | %s |\n",
				s.name(), r.title(), r.node(), r.times, figure(r.together()),
				100*r.together().shareOf(sum(s.launches)), r.decides, mend(r.prediction))
		}
	}
	b.WriteString("\n" + confirmation)
	b.WriteString("\n## What is assumed\n\n" + assumptions)
	b.WriteString(passedLoops(steps))
	b.WriteString("\n## Every launch\n\n")
	b.WriteString(
		"In the order of the step. Work is the device's alone, what ncu calls duration but for " +
			"a kernel's start and end; in the graph is from the end of the launch before to the end of this one. " +
			"Blocks have 256 threads; a library's grid is not known.\n")
	for _, s := range steps {
		fmt.Fprintf(&b, "\n### %s\n\n", s.name())
		b.WriteString("| launch | node | times | grid | read, kB | written, kB | kFLOP | decided by | " +
			"work, µs | in the graph, µs |\n" +
			"| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: |\n")
		for _, r := range grouped(s.launches) {
			read, written := r.Bytes()
			fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %s | %s | %s | %s | %s |\n",
				r.title(), r.node(), r.times, r.grid(),
				digits(float64(read)/1000), digits(float64(written)/1000), digits(r.operations/1000), r.decides,
				figure(r.work), figure(r.total))
		}
		fmt.Fprintf(&b, "\n%d launches, predicted %s µs together.\n",
			len(s.launches), figure(sum(s.launches)))
	}
	return b.String()
}

// row is launches whose figures are the same.
type row struct {
	prediction
	times int
}

func (r row) together() span { return r.total.times(float64(r.times)) }

func (r row) title() string {
	title := "`" + r.Name + "`"
	if r.what != "" {
		title += " " + r.what
	}
	return title
}

func (r row) node() string {
	if r.Node == "" {
		return "—"
	}
	return strings.ReplaceAll(r.Node, "|", "/")
}

func (r row) grid() string {
	if !r.Kernel() {
		return "—"
	}
	if r.Grid[1] == 1 {
		return fmt.Sprint(r.Grid[0])
	}
	return fmt.Sprintf("%d × %d", r.Grid[0], r.Grid[1])
}

// grouped puts launches together that nobody could tell apart by their figures.
func grouped(all []prediction) []row {
	places := make(map[string]int)
	var rows []row
	for _, p := range all {
		r := row{p, 1}
		read, written := p.Bytes()
		key := fmt.Sprint(r.title(), r.node(), r.grid(), read, written,
			figure(p.work), figure(p.total), p.decides)
		if at, known := places[key]; known {
			rows[at].times++
			continue
		}
		places[key] = len(rows)
		rows = append(rows, r)
	}
	return rows
}

// deciders counts what decides.
func deciders(all []prediction) string {
	counts := make(map[string]int)
	for _, p := range all {
		counts[p.decides]++
	}
	var parts []string
	for _, by := range []string{byLaunch, byBytes, byArithmetic, byChain, byIssue} {
		parts = append(parts, fmt.Sprint(counts[by]))
	}
	return strings.Join(parts, ", ")
}

// mend says what would make a launch cheaper.
func mend(p prediction) string {
	switch p.decides {
	case byLaunch:
		return "one launch in the place of several: what it computes, done by the one before or behind it"
	case byChain:
		if p.serial < 2 {
			return "fewer instructions that wait for each other, such as divisions; or done by a launch beside it"
		}
		return fmt.Sprintf("more threads for the same sum, and a tree behind them: its longest loop "+
			"goes round %s times in one thread", digits(p.serial))
	case byBytes:
		return "fewer bytes: what reads its values next, done in the same launch"
	case byIssue:
		return "fewer instructions a value: several values a thread, and indices without divisions"
	default:
		return fmt.Sprintf(
			"a kernel with blocks for all %d multiprocessors, another algorithm or divided "+
				"sums: its arithmetic alone is %s µs. Beyond that TF32, which rounds otherwise", multiprocessors,
			digits(p.operations/floatRate*1e6))
	}
}

// figure writes a span with two digits, in plain numbers.
func figure(s span) string {
	low, high := digits(s.low), digits(s.high)
	if low == high {
		return low
	}
	return low + "–" + high
}

// digits writes a number with two or three digits that count.
func digits(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f < 0.095:
		return fmt.Sprintf("%.2g", f)
	case f < 9.95:
		return fmt.Sprintf("%.1f", f)
	default:
		return fmt.Sprintf("%.0f", f)
	}
}

// passedLoops says which loops count as nothing.
func passedLoops(steps []predictedStep) string {
	var all []string
	for _, s := range steps {
		for _, at := range s.passed {
			if at = s.name() + ": " + at; !slices.Contains(all, at) {
				all = append(all, at)
			}
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "\nLoops that no thread came to, by the simulator's count of their accesses, and that count as nothing:\n\n- " +
		strings.Join(all, "\n- ") + "\n"
}
