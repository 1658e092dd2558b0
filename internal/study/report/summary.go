package report

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"slipway/internal/document"
	"slipway/internal/statistics"
)

// mostRows is the most settings in the table of the summary.
const mostRows = 30

func (s *Study) addSummary(d *document.Document, comparisons []comparison) error {
	settings := s.compared()
	var used []metric
	for _, m := range metrics() {
		if m.had(settings) {
			used = append(used, m)
		}
	}
	t := document.Table{Head: []string{"setting", "runs", "epochs"}}
	head := []string{"setting", "runs", "failed"}
	for _, m := range used {
		t.Head = append(t.Head, m.name)
		head = append(head, m.key+"_mean", m.key+"_deviation", m.key+"_low", m.key+"_high")
	}
	data := document.NewCSV(head...)
	for _, setting := range s.Settings {
		if len(setting.Runs) == 0 {
			data.Row(append([]string{setting.Name, "0", strconv.Itoa(len(setting.Failed))},
				slices.Repeat([]string{""}, 4*len(used))...)...)
			continue
		}
		line := []string{setting.Name, strconv.Itoa(len(setting.Runs)), epochs(setting.Runs)}
		cells := []string{setting.Name, strconv.Itoa(len(setting.Runs)),
			strconv.Itoa(len(setting.Failed))}
		for _, m := range used {
			spread := spreadOf(m.values(setting.Runs))
			line = append(line, m.summary(m.values(setting.Runs)))
			cells = append(cells, document.Number(spread.mean), document.Number(spread.deviation),
				document.Number(spread.interval.Low), document.Number(spread.interval.High))
		}
		t.Rows = append(t.Rows, line)
		data.Row(cells...)
	}
	content, err := data.Bytes()
	if err != nil {
		return err
	}
	d.Heading("Summary")
	if len(t.Rows) > mostRows {
		d.Say(fmt.Sprintf("The %d settings with the highest mean test accuracy of %d; %s has all.",
			mostRows, len(t.Rows), SettingsFile))
		t.Rows = s.highest(t.Rows)
	}
	d.Add(t)
	d.Say("Mean ± standard deviation over seeds. The gap is training accuracy less test accuracy, in points; losses are mean cross-entropies without penalties.")
	headline := s.headline(comparisons)
	d.Say(headline)
	raw, err := json.MarshalIndent(Summary{
		Study: s.Plan.Study, Question: s.Plan.Question, Quick: s.Plan.Quick, Missing: s.Missing,
		Extent: s.extent(), Headline: headline,
		Findings: findings(comparisons), Table: t,
	}, "", "  ")
	if err != nil {
		return err
	}
	d.Attach(document.File{Name: SettingsFile, Content: content},
		document.File{Name: SummaryFile, Content: append(raw, '\n')})
	return nil
}

// findings are the sentences on test accuracy, of settings with as many seeds as the
// one with the most.
func findings(comparisons []comparison) []string {
	most, of := 0, 0
	for _, c := range comparisons {
		if c.metric.key == "test_accuracy" {
			most, of = max(most, c.pairs), of+1
		}
	}
	var sentences []string
	for _, c := range comparisons {
		if c.metric.key == "test_accuracy" && c.pairs == most {
			sentences = append(sentences, c.sentence(of))
		}
	}
	return sentences
}

// Summary is what insights read of a report beside its tables.
type Summary struct {
	Study    string `json:"study"`
	Question string `json:"question"`
	Quick    bool   `json:"quick,omitempty"`
	// Missing runs are planned and not finished.
	Missing  int            `json:"missing,omitempty"`
	Extent   string         `json:"extent"`
	Headline string         `json:"headline"`
	Findings []string       `json:"findings,omitempty"`
	Table    document.Table `json:"table"`
}

// SummaryFile holds a Summary.
const SummaryFile = "summary.json"

// highest keeps the rows of the settings with the highest accuracy, best first.
func (s *Study) highest(rows [][]string) [][]string {
	accuracy := metrics()[0]
	mean := make(map[string]float64)
	for _, setting := range s.compared() {
		mean[setting.Name] = statistics.Mean(accuracy.values(setting.Runs))
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b []string) int {
		switch x, y := mean[a[0]], mean[b[0]]; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return rows[:mostRows]
}

// epochs shows the number of epochs of the runs: "10", or "11 … 90, mean 34.5".
func epochs(runs []Run) string {
	var values []float64
	for _, run := range runs {
		values = append(values, float64(len(run.History)))
	}
	if low, high := slices.Min(values), slices.Max(values); low != high {
		return fmt.Sprintf("%.0f … %.0f, mean %.1f", low, high, statistics.Mean(values))
	}
	return fmt.Sprintf("%.0f", values[0])
}

// headline states which settings differ from the first in test accuracy.
func (s *Study) headline(comparisons []comparison) string {
	settings := s.compared()
	higher, lower, same := []string{}, []string{}, []string{}
	for _, c := range comparisons {
		switch {
		case c.metric.key != "test_accuracy":
		case !c.significant():
			same = append(same, c.setting)
		case c.test.Difference > 0:
			higher = append(higher, c.setting)
		default:
			lower = append(lower, c.setting)
		}
	}
	total := len(higher) + len(lower) + len(same)
	if len(settings) == 1 {
		only := settings[0]
		return fmt.Sprintf("%s, %s: test accuracy %s, after %s epochs.", only.Name,
			count(len(only.Runs), "seed"), metrics()[0].summary(metrics()[0].values(only.Runs)),
			epochs(only.Runs))
	}
	if total == 0 {
		if best, loss, ok := lowestValidationLoss(settings); ok {
			return fmt.Sprintf(
				"Lowest validation loss after training: %s (%.4f); its test accuracy, which chose nothing, is %s. With so few runs a setting, no difference can be told from chance.",
				best.Name, loss, percent(statistics.Mean(metrics()[0].values(best.Runs))))
		}
		best := bestSetting(settings)
		return fmt.Sprintf(
			"Highest test accuracy: %s (%s). With so few runs a setting, no difference can be told from chance.",
			best.Name, percent(statistics.Mean(metrics()[0].values(best.Runs))))
	}
	text := fmt.Sprintf("In test accuracy, of %s compared with %s: %d higher", count(total, "setting"),
		settings[0].Name, len(higher))
	name := func(names []string) string {
		if len(names) == 0 || len(names) > 6 {
			return ""
		}
		text := " (" + names[0]
		for _, other := range names[1:] {
			text += "; " + other
		}
		return text + ")"
	}
	text += name(higher) + fmt.Sprintf(", %d lower", len(lower)) + name(lower) +
		fmt.Sprintf(", %d not distinguishable", len(same)) + name(same)
	if few := len(settings) - 1 - total; few > 0 {
		text += fmt.Sprintf("; %s with fewer than %d seeds not compared", count(few, "setting"),
			fewestSeeds)
	}
	return text + "."
}

// lowestValidationLoss returns the setting with the lowest mean validation loss after the last
// epoch, if all runs held images out to measure it on: what was chosen from is not what is
// reported.
func lowestValidationLoss(settings []Setting) (best Setting, loss float64, ok bool) {
	loss = math.Inf(1)
	for _, setting := range settings {
		sum := 0.0
		for _, run := range setting.Runs {
			if len(run.History) == 0 || run.History[len(run.History)-1].ValidationLoss == nil {
				return best, loss, false
			}
			sum += *run.History[len(run.History)-1].ValidationLoss
		}
		if mean := sum / float64(len(setting.Runs)); mean < loss {
			best, loss, ok = setting, mean, true
		}
	}
	return best, loss, ok
}
