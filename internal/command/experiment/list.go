package experiment

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"slipway/internal/cli"
	"slipway/internal/display"
	"slipway/internal/tracking"
	"slipway/metrics"
)

const listUsage = `experiment list shows the runs in a folder: what was trained on what, and what it is worth.

  experiment list                            # the runs of train, in runs/, newest first
  experiment list -sort accuracy             # the best on its test set first
  experiment list -runs runs/studies         # those of all studies

Accuracies are of each run's own test set: those of different sets do not compare. A figure that
is not known is empty; docs/metrics.md says what each means.

Flags:
`

// Orders of the list.
const (
	byDate     = "date"
	byName     = "name"
	byAccuracy = "accuracy"
)

// listRuns is the subcommand list.
func listRuns(_ context.Context, args []string, to console) int {
	const command = "experiment list"
	flags := cli.NewFlagSet(command, listUsage, to.out)
	root := flags.String("runs", "runs", "`folder` of the runs")
	var order string
	cli.Choice(flags, &order, "sort", byDate, []string{byDate, byName, byAccuracy},
		"date (newest first), name, or accuracy (highest first)")
	asJSON := flags.Bool("json", false, "print JSON instead of text")
	version := flags.Bool("version", false, "print the version")
	err := cli.Parse(flags, args)
	if code, done := cli.Parsed(command, err, err == nil && *version, to.out, to.err); done {
		return code
	}
	records, damaged, err := tracking.List(*root)
	if err != nil {
		return cli.Fail(to.err, command, err)
	}
	for _, problem := range damaged {
		fmt.Fprintf(to.err, "%s: warning: left out: %v\n", command, problem)
	}
	sortRuns(records, order)
	text, err := runsTable(records), error(nil)
	if *asJSON {
		text, err = runsJSON(records)
	}
	if err == nil {
		_, err = to.out.Write(text)
	}
	if err != nil {
		return cli.Fail(to.err, command, err)
	}
	return cli.ExitOK
}

func sortRuns(records []*tracking.Record, order string) {
	slices.SortStableFunc(records, func(a, b *tracking.Record) int {
		switch order {
		case byName:
			return strings.Compare(a.Name, b.Name)
		case byAccuracy:
			// A run without one comes last.
			return cmp.Compare(accuracyOr(b, -1), accuracyOr(a, -1))
		}
		return b.Changed.Compare(a.Changed)
	})
}

func accuracyOr(r *tracking.Record, otherwise float64) float64 {
	if r.TestAccuracy == nil {
		return otherwise
	}
	return *r.TestAccuracy
}

// runRow is a line of the list.
type runRow struct {
	Name       string   `json:"name"`
	Folder     string   `json:"folder"`
	Network    string   `json:"network"`
	Trained    string   `json:"training_set,omitempty"`
	Tested     string   `json:"test_set,omitempty"`
	TestSHA256 string   `json:"test_set_sha256,omitempty"`
	Epochs     int      `json:"epochs"`
	Seed       uint64   `json:"seed"`
	Validation *float64 `json:"validation_accuracy,omitempty"`
	Accuracy   *float64 `json:"test_accuracy,omitempty"`

	Metrics *metrics.Metrics `json:"metrics,omitempty"`

	Changed time.Time `json:"changed"`
}

func rowOf(r *tracking.Record) runRow {
	row := runRow{Name: r.Name, Folder: r.Dir, Network: r.Network,
		Trained: r.Sets.Training.ShortName(), Epochs: len(r.History),
		Seed: r.Config.Seed, Accuracy: r.TestAccuracy, Metrics: r.Metrics, Changed: r.Changed.UTC().
			Truncate(time.Second)}
	if test := r.Sets.Test; test != nil {
		row.Tested, row.TestSHA256 = test.ShortName(), test.SHA256
	}
	if len(r.History) > 0 {
		row.Validation = r.History[len(r.History)-1].ValidationAccuracy
	}
	return row
}

func runsJSON(records []*tracking.Record) ([]byte, error) {
	rows := []runRow{}
	for _, r := range records {
		rows = append(rows, rowOf(r))
	}
	raw, err := json.MarshalIndent(rows, "", "  ")
	return append(raw, '\n'), err
}

func runsTable(records []*tracking.Record) []byte {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t,
		"name\tnetwork\ttrained on\tepochs\tvalidation\ttested on\taccuracy\tbalanced\tROC AUC\tECE\tdate")
	share := func(x *float64) string {
		if x == nil {
			return ""
		}
		return strconv.FormatFloat(100**x, 'f', 2, 64) + " %"
	}
	figure := func(x *float64) string {
		if x == nil {
			return ""
		}
		return strconv.FormatFloat(*x, 'f', 4, 64)
	}
	for _, r := range records {
		row, m := rowOf(r), r.Metrics
		if m == nil {
			m = new(metrics.Metrics)
		}
		fmt.Fprintln(t, strings.Join([]string{display.Printable(row.Name), display.Printable(row.Network),
			display.Printable(row.Trained),
			strconv.Itoa(row.Epochs), share(row.Validation), display.Printable(row.Tested),
			share(row.Accuracy), share(m.BalancedAccuracy),
			figure(m.ROCAUC), figure(m.ECE), r.Changed.Format("2006-01-02 15:04")}, "\t"))
	}
	t.Flush()
	return b.Bytes()
}
