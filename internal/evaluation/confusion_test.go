package evaluation

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
	"testing"

	"slipway/metrics"
)

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("class-%d", i)
	}
	return all
}

func TestMatrixIsOfShares(t *testing.T) {
	answers := []metrics.Answer{{Label: 0, Class: 0}, {Label: 0, Class: 2}, {Label: 0, Class: -1},
		{Label: 0, Class: 2}, {Label: 2, Class: 2}}
	pairs := pairsOf(answers)
	m := newMatrix(pairs, mostConfused(pairs), names(3))
	// What has no answer is in no column; a class without images has no shares.
	want := [][]float64{{0.25, 0, 0.5}, {math.NaN(), math.NaN(), math.NaN()}, {0, 0, 1}}
	if fmt.Sprint(m.shares) != fmt.Sprint(want) || m.grouped {
		t.Errorf("%v, want %v", m.shares, want)
	}
	m.names[1] = "a<b&c"
	svg, err := m.svg()
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(svg, new(struct{})); err != nil {
		t.Errorf("a class with a strange name: %v", err)
	}
	for _, text := range []string{"class-0", "class-2", ">25<", ">50<", ">100<"} {
		if !strings.Contains(string(svg), text) {
			t.Errorf("the picture lacks %s", text)
		}
	}
}

// Of many classes those that are confused have rows, and the rest is one.
func TestManyClassesAreGrouped(t *testing.T) {
	const classes = 500
	var answers []metrics.Answer
	for label := range classes {
		answers = append(answers, metrics.Answer{Label: label, Class: label})
	}
	for range 3 {
		answers = append(answers, metrics.Answer{Label: 7, Class: 400})
	}
	answers = append(answers, metrics.Answer{Label: 9, Class: 8})
	pairs := pairsOf(answers)
	m := newMatrix(pairs, mostConfused(pairs), names(classes))
	if got := fmt.Sprint(m.names); got != "[class-7 class-8 class-9 class-400 496 others]" ||
		!m.grouped {
		t.Errorf("rows %s", got)
	}
	if m.shares[0][3] != 0.75 || m.shares[2][1] != 0.5 || m.shares[4][4] != 1 {
		t.Errorf("%v", m.shares)
	}
	for _, label := range []int{1, 2} {
		for class := range classes {
			answers = append(answers, metrics.Answer{Label: class, Class: (class + label) % classes})
		}
	}
	pairs = pairsOf(answers)
	m = newMatrix(pairs, mostConfused(pairs), names(classes))
	if len(m.names) != mostGrouped+1 {
		t.Errorf("%d rows, want %d", len(m.names), mostGrouped+1)
	}
	if _, err := m.svg(); err != nil {
		t.Error(err)
	}
}

func TestOneClassIsDrawn(t *testing.T) {
	pairs := pairsOf([]metrics.Answer{{}})
	if _, err := newMatrix(pairs, nil, names(1)).svg(); err != nil {
		t.Error(err)
	}
}

func TestCaption(t *testing.T) {
	classes := []string{"ant", "a very long name of a class", "Käfer"}
	for want, pair := range map[string][2]int{"ant>2": {0, 2}, "a very long >ant": {1, 0}} {
		if got := Caption(classes, pair[0], pair[1]); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
