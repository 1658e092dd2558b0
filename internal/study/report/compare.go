package report

import (
	"fmt"
	"slices"

	"slipway/internal/statistics"
)

// comparison is a setting against the reference, by one metric. Runs of the same seed
// are pairs: they share initial weights as far as their networks do, shuffles and
// dropout masks.
type comparison struct {
	setting, reference string
	metric             metric
	// pairs is the number of seeds that both have; paired is false where they are
	// too few, and all runs are compared as independent samples.
	pairs  int
	paired bool
	// test is the t-test of the difference setting − reference: of pairs, or
	// Welch's. adjusted is its p after Holm's correction over the study's
	// comparisons by this metric.
	test     statistics.TTest
	adjusted float64
	// permutation is the exact test where there are few enough arrangements.
	permutation statistics.Permutation
	// bootstrap is over seeds, of pairs only.
	bootstrap statistics.Bootstrapped
	// images is the interval over seeds and test images, of pairs' accuracy only.
	images *statistics.Interval
	// pair holds McNemar's tests, of accuracy only.
	mcnemar []mcnemar
}

// mcnemar compares two models of the same seed image by image.
type mcnemar struct {
	seed                       uint64
	onlySetting, onlyReference int
	p, adjusted                float64
}

// fewestSeeds is how many seeds a setting needs to be compared: two show a range, and
// say next to nothing about how far other seeds are from it.
const fewestSeeds = 3

// significant reports whether the difference is one, by the rule of the reports.
func (c comparison) significant() bool { return c.adjusted < significance }

// compare compares every setting with the first, by every metric that all runs
// have.
func compare(settings []Setting) ([]comparison, error) {
	var all []comparison
	for _, m := range metrics() {
		if len(settings) < 2 || !m.had(settings) {
			continue
		}
		var of []comparison
		for _, setting := range settings[1:] {
			c, ok, err := compareOne(setting, settings[0], m)
			if err != nil {
				return nil, fmt.Errorf("compare %s of %s and %s: %w", m.name, setting.Name, settings[0].Name,
					err)
			}
			if ok {
				of = append(of, c)
			}
		}
		p := make([]float64, len(of))
		for i := range of {
			p[i] = of[i].test.P
		}
		adjusted, err := statistics.Holm(p)
		if err != nil {
			return nil, err
		}
		for i := range of {
			of[i].adjusted = adjusted[i]
		}
		all = append(all, of...)
	}
	return all, nil
}

// compareOne is not ok where there are too few runs to compare.
func compareOne(setting, reference Setting, m metric) (c comparison, ok bool, err error) {
	c = comparison{setting: setting.Name, reference: reference.Name, metric: m}
	pairs := samePairs(setting.Runs, reference.Runs)
	c.pairs = len(pairs)
	if c.paired = len(pairs) >= fewestSeeds; !c.paired {
		a, b := m.values(setting.Runs), m.values(reference.Runs)
		if len(a) < fewestSeeds || len(b) < fewestSeeds {
			return c, false, nil
		}
		if c.test, err = statistics.Welch(a, b, level); err != nil {
			return c, false, err
		}
		c.permutation, err = statistics.PermutationTest(a, b, 0)
		return c, err == nil, err
	}
	var a, b, differences []float64
	for _, pair := range pairs {
		x, _ := m.value(pair[0])
		y, _ := m.value(pair[1])
		a, b, differences = append(a, x), append(b, y), append(differences, x-y)
	}
	if c.test, err = statistics.PairedT(a, b, level); err != nil {
		return c, false, err
	}
	if c.permutation, err = statistics.PairedPermutationTest(a, b, 0); err != nil {
		return c, false, err
	}
	if c.bootstrap, err = statistics.Bootstrap(differences, statistics.Mean, resamples, level,
		0); err != nil {
		return c, false, err
	}
	if m.key == "test_accuracy" {
		err = c.compareImages(pairs)
	}
	return c, err == nil, err
}

// compareImages adds what needs each image's answers.
func (c *comparison) compareImages(pairs [][2]Run) error {
	table := make([][]int8, len(pairs))
	p := make([]float64, len(pairs))
	for i, pair := range pairs {
		test := mcnemar{seed: pair[0].Seed}
		table[i] = make([]int8, len(pair[0].Correct))
		for j := range table[i] {
			switch right, other := pair[0].Correct[j], pair[1].Correct[j]; {
			case right && !other:
				table[i][j] = 1
				test.onlySetting++
			case other && !right:
				table[i][j] = -1
				test.onlyReference++
			}
		}
		var err error
		if test.p, err = statistics.McNemar(test.onlySetting, test.onlyReference); err != nil {
			return err
		}
		p[i] = test.p
		c.mcnemar = append(c.mcnemar, test)
	}
	adjusted, err := statistics.Holm(p)
	if err != nil {
		return err
	}
	for i := range c.mcnemar {
		c.mcnemar[i].adjusted = adjusted[i]
	}
	interval, err := statistics.CrossedBootstrap(table, crossedResamples, level, 0)
	c.images = &interval
	return err
}

// samePairs returns the runs of equal seeds, in the order of the first.
func samePairs(a, b []Run) [][2]Run {
	var pairs [][2]Run
	for _, run := range a {
		i := slices.IndexFunc(b, func(other Run) bool { return other.Seed == run.Seed })
		if i >= 0 {
			pairs = append(pairs, [2]Run{run, b[i]})
		}
	}
	return pairs
}

// verdict states the finding: "higher", "lower" or "not distinguishable".
func (c comparison) verdict() string {
	switch {
	case !c.significant():
		return "not distinguishable"
	case c.test.Difference > 0:
		return c.metric.higher
	}
	return c.metric.lower
}

// sentence states the finding with its numbers.
func (c comparison) sentence(comparisons int) string {
	kind := fmt.Sprintf("t-test of %s", count(c.pairs, "pair"))
	if !c.paired {
		kind = "Welch's t-test"
	}
	text := fmt.Sprintf("%s against %s: %s %s%s (95 %% interval over seeds %s … %s; %s %s", c.setting,
		c.reference, c.metric.name,
		c.metric.difference(c.test.Difference), c.metric.unit(), c.metric.difference(c.test.Interval.Low),
		c.metric.difference(c.test.Interval.High),
		kind, pValue(c.test.P))
	if comparisons > 1 {
		text += fmt.Sprintf(", after Holm's correction %s", pValue(c.adjusted))
	}
	return text + "): " + c.verdict() + "."
}

// imagesSentence says what McNemar's tests and the interval over images add.
func (c comparison) imagesSentence() string {
	if c.images == nil {
		return ""
	}
	better, worse := 0, 0
	for _, pair := range c.mcnemar {
		switch {
		case pair.adjusted >= significance:
		case pair.onlySetting > pair.onlyReference:
			better++
		default:
			worse++
		}
	}
	text := fmt.Sprintf(
		"Image by image, McNemar's exact test (Holm-corrected over the pairs) tells %d of %s of same-seed models apart",
		better+worse, count(len(c.mcnemar), "pair"))
	if better+worse > 0 {
		text += fmt.Sprintf(" (%s right more often in %d, less often in %d)", c.setting, better, worse)
	}
	text += fmt.Sprintf("; over seeds and test images together the interval is %s … %s points",
		c.metric.difference(c.images.Low), c.metric.difference(c.images.High))
	if c.significant() && c.images.Contains(0) {
		text += ", which includes 0: with other test images the order could be another"
	}
	return text + "."
}
