package report

import (
	"encoding/csv"
	"fmt"
	"os"
	"slices"
	"strconv"
)

// table is a CSV file with a header line.
type table struct {
	path string
	head []string
	rows [][]string
}

func readTable(path string) (table, error) {
	file, err := os.Open(path)
	if err != nil {
		return table{}, fmt.Errorf("read table: %w", err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return table{}, fmt.Errorf("%s: %w", path, err)
	}
	if len(rows) == 0 {
		return table{}, fmt.Errorf("%s is empty", path)
	}
	return table{path, rows[0], rows[1:]}, nil
}

// where keeps the rows whose column has that value.
func (t table) where(column, value string) table {
	at := slices.Index(t.head, column)
	kept := table{t.path, t.head, nil}
	for _, row := range t.rows {
		if at >= 0 && row[at] == value {
			kept.rows = append(kept.rows, row)
		}
	}
	return kept
}

// column returns the cells of a column, none if there is no such column.
func (t table) column(name string) []string {
	at := slices.Index(t.head, name)
	if at < 0 {
		return nil
	}
	cells := make([]string, len(t.rows))
	for i, row := range t.rows {
		cells[i] = row[at]
	}
	return cells
}

// number returns the numbers of a column; cells that hold none are passed over.
func (t table) number(name string) []float64 {
	var numbers []float64
	for _, cell := range t.column(name) {
		if x, err := strconv.ParseFloat(cell, 64); err == nil {
			numbers = append(numbers, x)
		}
	}
	return numbers
}

// one returns the number of a column in a table of one row.
func (t table) one(name string) (float64, bool) {
	numbers := t.number(name)
	if len(t.rows) != 1 || len(numbers) != 1 {
		return 0, false
	}
	return numbers[0], true
}
