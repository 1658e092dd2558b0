package report

import (
	"fmt"
	"strconv"
	"strings"

	"slipway/internal/document"
)

// Files of the comparisons.
const (
	ComparisonsFile = "comparisons.csv"
	mcnemarFile     = "mcnemar.csv"
)

func (s *Study) addComparisons(d *document.Document, comparisons []comparison) error {
	settings := s.compared()
	if len(settings) == 1 {
		return nil // nothing to compare with
	}
	d.Heading("Comparison with the first setting")
	if len(comparisons) == 0 {
		d.Say(fmt.Sprintf("Nothing is compared: it takes two settings with %d runs each.", fewestSeeds))
		return nil
	}
	of := make(map[string][]comparison)
	for _, c := range comparisons {
		of[c.metric.key] = append(of[c.metric.key], c)
	}
	d.Say(fmt.Sprintf(
		"Every setting with at least %d seeds is compared with %s. Runs of the same seed are pairs; a difference is called one if its two-sided p-value, corrected by Holm for the comparisons by the same figure, is below %v. Intervals are not corrected, so one may leave 0 out where no difference is called.",
		fewestSeeds, settings[0].Name, significance))
	var findings []string
	for _, c := range of["test_accuracy"] {
		text := c.sentence(len(of["test_accuracy"]))
		if images := c.imagesSentence(); images != "" &&
			(c.significant() || len(of["test_accuracy"]) <= 4) {
			text += " " + images
		}
		findings = append(findings, text)
	}
	d.List(findings)
	rows := make([]dotRow, 0, len(of["test_accuracy"]))
	for _, c := range of["test_accuracy"] {
		row := dotRow{name: c.setting, mean: 100 * c.test.Difference,
			interval: &[2]float64{100 * c.test.Interval.Low, 100 * c.test.Interval.High}}
		if c.images != nil {
			row.wide = &[2]float64{100 * c.images.Low, 100 * c.images.High}
		}
		for _, pair := range c.mcnemar {
			row.values = append(row.values,
				100*float64(pair.onlySetting-pair.onlyReference)/float64(s.Test.Len()))
		}
		rows = append(rows, row)
	}
	svg, err := dotPlot(rows, fmt.Sprintf("test accuracy less that of %s (points)", settings[0].Name),
		true)
	if err != nil {
		return err
	}
	table, err := comparisonTable(comparisons)
	if err != nil {
		return err
	}
	d.Add(document.Figure{Name: "comparisons", SVG: svg, Data: table,
		Caption: "Difference of test accuracy: of each pair of the same seed (blue), the mean with its 95 % interval over seeds (orange), and the interval over seeds and test images (grey). The data have all figures, the exact permutation test and the bootstrap intervals."})
	d.Say("By the other figures:")
	t := document.Table{Head: []string{"setting", "figure", "difference", "95 % interval over seeds",
		"p, Holm-corrected", "finding"}}
	for _, m := range metrics()[1:] {
		for _, c := range of[m.key] {
			t.Rows = append(t.Rows, []string{c.setting, m.name, m.difference(c.test.Difference) + m.unit(),
				m.difference(c.test.Interval.Low) + " … " +
					m.difference(c.test.Interval.High), strings.TrimPrefix(pValue(c.adjusted),
					"p = "), c.verdict()})
		}
	}
	d.Add(t)
	pairs := document.NewCSV("setting", "reference", "seed", "only_setting_right",
		"only_reference_right", "p", "p_holm")
	for _, c := range of["test_accuracy"] {
		for _, pair := range c.mcnemar {
			pairs.Row(c.setting, c.reference, strconv.FormatUint(pair.seed, 10),
				strconv.Itoa(pair.onlySetting), strconv.Itoa(pair.onlyReference), document.Number(pair.p),
				document.Number(pair.adjusted))
		}
	}
	content, err := pairs.Bytes()
	if err != nil {
		return err
	}
	d.Attach(document.File{Name: mcnemarFile, Content: content})
	return nil
}

func comparisonTable(comparisons []comparison) ([]byte, error) {
	table := document.NewCSV("metric", "setting", "reference", "pairs", "paired", "difference", "low",
		"high", "p", "p_holm", "permutation_p", "permutation_exact", "bootstrap_low", "bootstrap_high",
		"bca_low", "bca_high", "images_low", "images_high", "verdict")
	for _, c := range comparisons {
		bootstrap := []string{"", "", "", ""}
		if c.paired {
			bootstrap = []string{document.Number(c.bootstrap.Percentile.Low),
				document.Number(c.bootstrap.Percentile.High), document.Number(c.bootstrap.BCa.Low),
				document.Number(c.bootstrap.BCa.High)}
		}
		images := []string{"", ""}
		if c.images != nil {
			images = []string{document.Number(c.images.Low), document.Number(c.images.High)}
		}
		cells := []string{c.metric.key, c.setting, c.reference, strconv.Itoa(c.pairs),
			strconv.FormatBool(c.paired),
			document.Exact(c.test.Difference), document.Exact(c.test.Interval.Low),
			document.Exact(c.test.Interval.High), document.Exact(c.test.P), document.Exact(c.adjusted),
			document.Number(c.permutation.P), strconv.FormatBool(c.permutation.Exact)}
		cells = append(append(append(cells, bootstrap...), images...), c.verdict())
		table.Row(cells...)
	}
	return table.Bytes()
}
