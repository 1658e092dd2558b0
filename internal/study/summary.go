package study

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// Summary is what the runs of one setting came to.
type Summary struct {
	Setting string
	Runs    int
	// TestAccuracy and TrainAccuracy are means over the seeds, Deviation is the
	// sample's standard deviation of the test accuracy, NaN of a single run.
	TestAccuracy, Deviation, TrainAccuracy float64
	// Epochs and Seconds are means of how long the training took.
	Epochs, Seconds float64
	// Stopped counts the runs by why they ended.
	Stopped map[string]int
}

// Summarize puts the results of each setting together, in the order in which
// settings first come up.
func Summarize(results []Result) []Summary {
	var summaries []Summary
	place := make(map[string]int)
	for _, r := range results {
		i, ok := place[r.Setting]
		if !ok {
			i = len(summaries)
			place[r.Setting] = i
			summaries = append(summaries, Summary{Setting: r.Setting, Stopped: make(map[string]int)})
		}
		s := &summaries[i]
		s.Runs++
		s.TestAccuracy += r.TestAccuracy
		s.TrainAccuracy += r.TrainAccuracy
		s.Epochs += float64(len(r.History))
		s.Seconds += r.TrainSeconds
		s.Stopped[r.Stopped]++
	}
	for i := range summaries {
		s := &summaries[i]
		n := float64(s.Runs)
		s.TestAccuracy, s.TrainAccuracy, s.Epochs, s.Seconds = s.TestAccuracy/n, s.TrainAccuracy/n,
			s.Epochs/n, s.Seconds/n
		squares := 0.0
		for _, r := range results {
			if r.Setting == s.Setting {
				d := r.TestAccuracy - s.TestAccuracy
				squares += d * d
			}
		}
		s.Deviation = math.NaN()
		if s.Runs > 1 {
			s.Deviation = math.Sqrt(squares / (n - 1))
		}
	}
	return summaries
}

// WriteTable prints the summaries as a table. Seconds are not in it: all that is
// comes out the same when the study is run again.
func WriteTable(w io.Writer, summaries []Summary) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "runs\ttest accuracy\t± deviation\ttraining accuracy\tepochs\t  setting")
	for _, s := range summaries {
		deviation := "–"
		if !math.IsNaN(s.Deviation) {
			deviation = fmt.Sprintf("%.2f %%", 100*s.Deviation)
		}
		fmt.Fprintf(table, "%d\t%.2f %%\t%s\t%.2f %%\t%.1f\t  %s\n", s.Runs, 100*s.TestAccuracy,
			deviation, 100*s.TrainAccuracy, s.Epochs, s.Setting)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return nil
}
