package study

import (
	"fmt"
	"io"
	"strings"
	"time"

	"slipway/train"
)

// Reporter prints a study as it goes: on a terminal a table that is redrawn in
// place, elsewhere one line for each run that finished.
type Reporter struct {
	out io.Writer
	// terminal says that out can be redrawn; height and width are its size.
	terminal      bool
	height, width int
	now           func() time.Time

	runs     []Run
	total    int // that there will be
	finished map[int]Result
	// found counts the finished runs that were there before.
	found     int
	foundSaid bool
	active    map[int]*activity
	order     []int // of the active runs, as they began
	// worked is the time since the first run began; epochs counts those done since.
	began  time.Time
	epochs float64
	drawn  time.Time
	lines  int // of the table drawn last
}

// activity is how far a run under way has come.
type activity struct {
	epochs int
	share  float64 // of the epoch under way
	loss   float64
	last   train.Epoch
}

// NewReporter returns a reporter. The height and width of a terminal bound the
// table.
func NewReporter(out io.Writer, terminal bool, height, width int) *Reporter {
	return &Reporter{out: out, terminal: terminal, height: height, width: width, now: time.Now,
		active: make(map[int]*activity)}
}

// Planned implements Progress.
func (r *Reporter) Planned(runs []Run, finished map[int]Result, total int) {
	r.found += len(finished) - len(r.finished)
	r.runs, r.finished, r.total = runs, finished, total
	if len(runs) == total && r.began.IsZero() {
		r.sayFound()
	}
}

// sayFound says how many runs were finished before, once: when all are planned, or at
// the first run that begins.
func (r *Reporter) sayFound() {
	if r.found > 0 && !r.foundSaid {
		r.line("%d of %d runs are finished already", r.found, r.total)
		r.foundSaid = true
	}
}

// Began implements Progress.
func (r *Reporter) Began(index, done int) {
	if r.began.IsZero() {
		r.began = r.now()
		r.sayFound()
	}
	if r.active[index] == nil { // else it begins again, since another process had it meanwhile
		r.order = append(r.order, index)
	}
	r.active[index] = &activity{epochs: done}
	if done > 0 && !r.terminal {
		r.line("%s goes on after %s", r.name(index), epochs(done))
	}
}

func epochs(n int) string {
	if n == 1 {
		return "1 epoch"
	}
	return fmt.Sprintf("%d epochs", n)
}

// Step implements Progress.
func (r *Reporter) Step(index int, report train.StepReport) {
	a := r.active[index]
	share := float64(report.Step) / float64(report.Steps)
	r.epochs += share - a.share
	a.share, a.loss = share, report.Loss
	if r.terminal && r.now().Sub(r.drawn) > 200*time.Millisecond {
		r.draw()
	}
}

// Epoch implements Progress.
func (r *Reporter) Epoch(index int, epoch train.Epoch) {
	a := r.active[index]
	a.epochs, a.share, a.last = epoch.Epoch, 0, epoch
}

// Finished implements Progress.
func (r *Reporter) Finished(index int, result Result) {
	r.finished[index] = result
	delete(r.active, index)
	for i, active := range r.order {
		if active == index {
			r.order = append(r.order[:i], r.order[i+1:]...)
			break
		}
	}
	r.line("[%d/%d] %s: test accuracy %.2f %%, training accuracy %.2f %%, %s in %.1f s (%s); %s",
		len(r.finished), r.total, r.name(index), 100*result.TestAccuracy, 100*result.TrainAccuracy,
		epochs(len(result.History)), result.TrainSeconds, result.Stopped, r.left())
	if r.terminal {
		r.draw()
	}
}

// Evaluating implements Progress.
func (r *Reporter) Evaluating(corruption string, runs int) {
	r.line("evaluating %d runs under %s", runs, corruption)
}

func (r *Reporter) name(index int) string {
	return fmt.Sprintf("%s, seed %d", r.runs[index].Setting, r.runs[index].Seed)
}

// line prints a line above the table.
func (r *Reporter) line(format string, args ...any) {
	r.erase()
	fmt.Fprintf(r.out, format+"\n", args...)
}

// Close takes the table away.
func (r *Reporter) Close() { r.erase() }

func (r *Reporter) erase() {
	if r.lines > 0 {
		fmt.Fprintf(r.out, "\x1b[%dA\x1b[J", r.lines)
		r.lines = 0
	}
}

// left says how long the study will take from here.
func (r *Reporter) left() string {
	missing := r.total - len(r.finished)
	if missing == 0 {
		return "all are done"
	}
	missingEpochs := 0.0
	for i := range r.runs {
		if _, done := r.finished[i]; done {
			continue
		}
		expected := r.expected(i)
		if a, active := r.active[i]; active {
			expected = max(expected-float64(a.epochs)-a.share, 0.5)
		}
		missingEpochs += expected
	}
	if planned := len(r.runs); planned > 0 {
		// What is not planned yet takes as long as what is, on average.
		mean := 0.0
		for i := range r.runs {
			mean += r.expected(i) / float64(planned)
		}
		missingEpochs += mean * float64(r.total-planned)
	}
	worked := r.now().Sub(r.began).Seconds()
	if r.epochs == 0 || worked == 0 {
		return fmt.Sprintf("%d left", missing)
	}
	left := time.Duration(missingEpochs / r.epochs * worked * float64(time.Second))
	return fmt.Sprintf("%d left, about %v", missing, left.Round(time.Second))
}

// expected is how many epochs a run will take: as many as the finished runs of its
// setting on average, its cap if there are none.
func (r *Reporter) expected(index int) float64 {
	sum, n := 0, 0
	for i, result := range r.finished {
		if r.runs[i].Setting == r.runs[index].Setting {
			sum += len(result.History)
			n++
		}
	}
	if n == 0 {
		return float64(r.runs[index].Spec.Config.Epochs)
	}
	return float64(sum) / float64(n)
}

// draw draws the table: settings with what they came to, the runs under way, and
// a bar.
func (r *Reporter) draw() {
	r.drawn = r.now()
	var lines []string
	for _, index := range r.order {
		a := r.active[index]
		line := fmt.Sprintf("  %s: epoch %d of at most %d %s loss %.4f", r.name(index), a.epochs+1,
			r.runs[index].Spec.Config.Epochs, bar(a.share, 10), a.loss)
		if a.last.TestAccuracy != nil {
			line += fmt.Sprintf(", mean loss %.4f, test accuracy %.2f %%", a.last.MeanLoss,
				100**a.last.TestAccuracy)
		}
		lines = append(lines, line)
	}
	total := r.total
	lines = append(lines, fmt.Sprintf("%s %d of %d runs, %s",
		bar(float64(len(r.finished))/float64(max(total, 1)), 30), len(r.finished), total, r.left()))
	lines = append(r.table(r.height-len(lines)-2), lines...)
	r.erase()
	for _, line := range lines {
		if runes := []rune(line); r.width > 1 && len(runes) >= r.width {
			line = string(runes[:r.width-1])
		}
		fmt.Fprintln(r.out, line)
	}
	r.lines = len(lines)
}

func bar(share float64, width int) string {
	full := min(int(share*float64(width)), width)
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", width-full) + "]"
}

// table lists the settings that have finished runs, the last ones if there is no
// room for all.
func (r *Reporter) table(room int) []string {
	var results []Result
	for i := range r.runs {
		if result, done := r.finished[i]; done {
			result.Setting = r.runs[i].Setting
			results = append(results, result)
		}
	}
	var text strings.Builder
	if len(results) == 0 || room < 3 || WriteTable(&text, Summarize(results)) != nil {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	if len(lines) > room {
		lines = append(lines[:1], lines[len(lines)-room+1:]...)
	}
	return lines
}
