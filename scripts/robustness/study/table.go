package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"

	"slipway/dataset"
	"slipway/dataset/corrupt"
	"slipway/infer"
	"slipway/internal/atomicfile"
	"slipway/internal/study"
)

// columns of the CSV. A strength of 0 is data as it is.
func columns() []string {
	return []string{"study", "setting", "seed", "data", "corruption", "strength", "accuracy",
		"mean_confidence", "above_90", "above_99", "run"}
}

// table is the CSV's content.
type table struct {
	rows map[key]row
}

// key tells a row; run is the run's ID, so that a run of another configuration is not
// taken for one of the same name.
type key struct {
	run, data, corruption string
	strength              int
}

type row struct {
	accuracy float64
	text     []string
}

// readTable reads what there is already; without a file the table is empty.
func readTable(path string) (*table, error) {
	t := &table{rows: make(map[key]row)}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(lines) == 0 || !slices.Equal(lines[0], columns()) {
		return nil, fmt.Errorf("%s has other columns; remove it to begin anew", path)
	}
	for _, line := range lines[1:] {
		strength, strengthErr := strconv.Atoi(line[5])
		accuracy, accuracyErr := strconv.ParseFloat(line[6], 64)
		if err := errors.Join(strengthErr, accuracyErr); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		t.rows[key{line[10], line[3], line[4], strength}] = row{accuracy, line}
	}
	return t, nil
}

func (t *table) add(result study.Result, data, corruption string, strength int,
	c infer.Confidence) {
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', 7, 64) }
	t.rows[key{result.ID, data, corruption, strength}] = row{c.Accuracy, []string{
		result.Study, result.Setting, strconv.FormatUint(result.Seed, 10), data, corruption,
		strconv.Itoa(strength),
		number(c.Accuracy), number(c.Mean), number(c.Above90), number(c.Above99), result.ID,
	}}
}

func (t *table) find(result study.Result, data, corruption string, strength int) (row, bool) {
	r, ok := t.rows[key{result.ID, data, corruption, strength}]
	return r, ok
}

// keysOf lists a run's rows in their order in the file.
func keysOf(result study.Result, sets []string) []key {
	keys := []key{{result.ID, string(dataset.Test), "", 0}}
	for _, name := range corrupt.Names() {
		for strength := 1; strength <= corrupt.Strengths; strength++ {
			keys = append(keys, key{result.ID, string(dataset.Test), name, strength})
		}
	}
	for _, name := range sets {
		keys = append(keys, key{result.ID, name, "", 0})
	}
	return keys
}

func namesOf(sets []*dataset.Set) []string {
	var names []string
	for _, set := range sets {
		names = append(names, set.Name)
	}
	return names
}

// has reports whether all of a run's rows are there.
func (t *table) has(result study.Result, sets []*dataset.Set) bool {
	for _, k := range keysOf(result, namesOf(sets)) {
		if _, ok := t.rows[k]; !ok {
			return false
		}
	}
	return true
}

// unseen lists the sets asked for, and behind them, by name, others that the table has
// already.
func (t *table) unseen(sets []*dataset.Set) []string {
	names := namesOf(sets)
	others := make(map[string]bool)
	for k := range t.rows {
		if k.data != string(dataset.Test) && !slices.Contains(names, k.data) {
			others[k.data] = true
		}
	}
	return append(names, slices.Sorted(maps.Keys(others))...)
}

// write writes the rows of the study's runs, in the order of settings and seeds.
func (t *table) write(path string, results []study.Result, sets []*dataset.Set) error {
	names := t.unseen(sets)
	return atomicfile.Write(path, func(w io.Writer) error {
		out := csv.NewWriter(w)
		if err := out.Write(columns()); err != nil {
			return err
		}
		for _, result := range results {
			for _, k := range keysOf(result, names) {
				if row, ok := t.rows[k]; ok {
					if err := out.Write(row.text); err != nil {
						return err
					}
				}
			}
		}
		out.Flush()
		return out.Error()
	})
}
