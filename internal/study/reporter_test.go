package study

import (
	"strings"
	"testing"
)

// A search that goes on plans by the batch, and says once how many of its runs are
// finished; those that finish on the way are none of them.
func TestTheReporterSaysOnceWhatIsFinished(t *testing.T) {
	runs := make([]Run, 6)
	upTo := func(n int) map[int]Result {
		finished := make(map[int]Result)
		for i := range n {
			finished[i] = Result{}
		}
		return finished
	}
	for _, c := range []struct {
		what string
		do   func(r *Reporter)
		want string // the line, none if empty
	}{
		{"goes on", func(r *Reporter) {
			r.Planned(runs[:2], upTo(2), 6)
			r.Planned(runs[:4], upTo(3), 6)
			r.Began(3, 0)
			r.Finished(3, Result{})
			r.Planned(runs, upTo(4), 6)
		}, "3 of 6 runs are finished already"},
		{"finished", func(r *Reporter) {
			r.Planned(runs[:3], upTo(3), 6)
			r.Planned(runs, upTo(6), 6)
		}, "6 of 6 runs are finished already"},
		{"new", func(r *Reporter) {
			r.Planned(runs[:3], upTo(0), 6)
			for i := range 3 {
				r.Began(i, 0)
				r.Finished(i, Result{})
			}
			r.Planned(runs, upTo(3), 6)
		}, ""},
	} {
		var out strings.Builder
		c.do(NewReporter(&out, false, 0, 0))
		lines := strings.Count(out.String(), "finished already")
		if c.want == "" && lines > 0 || c.want != "" &&
			(lines != 1 || !strings.Contains(out.String(), c.want)) {
			t.Errorf("%s: %q, want %q once", c.what, out.String(), c.want)
		}
	}
}
