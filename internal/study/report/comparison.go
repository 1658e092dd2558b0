package report

import (
	"fmt"
	"strconv"
	"strings"
)

// Files of the comparisons.
const (
	ComparisonsFile = "comparisons.csv"
	mcnemarFile     = "mcnemar.csv"
)

func (s *Study) addComparisons(d *document, comparisons []comparison) error {
	settings := s.compared()
	if len(settings) == 1 {
		return nil // nothing to compare with
	}
	d.heading("Comparison with the first setting")
	if len(comparisons) == 0 {
		d.say(fmt.Sprintf("Nothing is compared: it takes two settings with %d runs each.", fewestSeeds))
		return nil
	}
	of := make(map[string][]comparison)
	for _, c := range comparisons {
		of[c.metric.key] = append(of[c.metric.key], c)
	}
	d.say(fmt.Sprintf("Every setting with at least %d seeds is compared with %s. Runs of the same seed are pairs; a difference is called one if its two-sided p-value, corrected by Holm for the comparisons by the same figure, is below %v. Intervals are not corrected, so one may leave 0 out where no difference is called.",
		fewestSeeds, settings[0].Name, significance))
	var findings []string
	for _, c := range of["test_accuracy"] {
		text := c.sentence(len(of["test_accuracy"]))
		if images := c.imagesSentence(); images != "" && (c.significant() || len(of["test_accuracy"]) <= 4) {
			text += " " + images
		}
		findings = append(findings, text)
	}
	d.list(findings)
	rows := make([]dotRow, 0, len(of["test_accuracy"]))
	for _, c := range of["test_accuracy"] {
		row := dotRow{name: c.setting, mean: 100 * c.test.Difference, interval: &[2]float64{100 * c.test.Interval.Low, 100 * c.test.Interval.High}}
		if c.images != nil {
			row.wide = &[2]float64{100 * c.images.Low, 100 * c.images.High}
		}
		for _, pair := range c.mcnemar {
			row.values = append(row.values, 100*float64(pair.onlySetting-pair.onlyReference)/float64(s.Test.Len()))
		}
		rows = append(rows, row)
	}
	svg, err := dotPlot(rows, fmt.Sprintf("test accuracy less that of %s (points)", settings[0].Name), true)
	if err != nil {
		return err
	}
	table, err := comparisonTable(comparisons)
	if err != nil {
		return err
	}
	d.add(figure{name: "comparisons", svg: svg, data: table,
		caption: "Difference of test accuracy: of each pair of the same seed (blue), the mean with its 95 % interval over seeds (orange), and the interval over seeds and test images (grey). The data have all figures, the exact permutation test and the bootstrap intervals."})
	d.say("By the other figures:")
	t := tableBlock{head: []string{"setting", "figure", "difference", "95 % interval over seeds", "p, Holm-corrected", "finding"}}
	for _, m := range metrics()[1:] {
		for _, c := range of[m.key] {
			t.rows = append(t.rows, []string{c.setting, m.name, m.difference(c.test.Difference) + m.unit(),
				m.difference(c.test.Interval.Low) + " … " + m.difference(c.test.Interval.High), strings.TrimPrefix(pValue(c.adjusted), "p = "), c.verdict()})
		}
	}
	d.add(t)
	pairs := newTable("setting", "reference", "seed", "only_setting_right", "only_reference_right", "p", "p_holm")
	for _, c := range of["test_accuracy"] {
		for _, pair := range c.mcnemar {
			pairs.row(c.setting, c.reference, strconv.FormatUint(pair.seed, 10), strconv.Itoa(pair.onlySetting), strconv.Itoa(pair.onlyReference), number(pair.p), number(pair.adjusted))
		}
	}
	content, err := pairs.bytes()
	if err != nil {
		return err
	}
	d.attach(fileData{mcnemarFile, content})
	return nil
}

func comparisonTable(comparisons []comparison) ([]byte, error) {
	table := newTable("metric", "setting", "reference", "pairs", "paired", "difference", "low", "high", "p", "p_holm",
		"permutation_p", "permutation_exact", "bootstrap_low", "bootstrap_high", "bca_low", "bca_high", "images_low", "images_high", "verdict")
	for _, c := range comparisons {
		bootstrap := []string{"", "", "", ""}
		if c.paired {
			bootstrap = []string{number(c.bootstrap.Percentile.Low), number(c.bootstrap.Percentile.High), number(c.bootstrap.BCa.Low), number(c.bootstrap.BCa.High)}
		}
		images := []string{"", ""}
		if c.images != nil {
			images = []string{number(c.images.Low), number(c.images.High)}
		}
		cells := []string{c.metric.key, c.setting, c.reference, strconv.Itoa(c.pairs), strconv.FormatBool(c.paired),
			exact(c.test.Difference), exact(c.test.Interval.Low), exact(c.test.Interval.High), exact(c.test.P), exact(c.adjusted),
			number(c.permutation.P), strconv.FormatBool(c.permutation.Exact)}
		cells = append(append(append(cells, bootstrap...), images...), c.verdict())
		table.row(cells...)
	}
	return table.bytes()
}
