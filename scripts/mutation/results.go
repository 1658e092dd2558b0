package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

// What becomes of a mutant. One that does not compile is none.
const (
	killed     = "KILLED"
	lived      = "LIVED"
	notCovered = "NOT COVERED"
	timedOut   = "TIMED OUT"
)

var statuses = []string{killed, lived, notCovered, timedOut}

// A result is what was measured of one file.
type result struct {
	Digest    string         `json:"sha256"`
	Commit    string         `json:"commit"`
	Date      string         `json:"date"`
	CPU       string         `json:"cpu"`
	SampledOf int            `json:"sampled_of,omitempty"` // mutants of which some were tried
	Drawn     int            `json:"drawn,omitempty"`      // of a sample, those that do not compile too
	Counts    map[string]int `json:"counts"`
	Survivors []survivor     `json:"survivors"`
}

// A survivor is a mutant that no test noticed.
type survivor struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Type   string `json:"type"`
	Status string `json:"status"`
	Code   string `json:"code"`
}

func digest(text []byte) string { return fmt.Sprintf("%x", sha256.Sum256(text)) }

func survived(status string) bool { return status == lived || status == notCovered }

// survivorOf is what is kept of a mutant.
func survivorOf(m *mutant, status string) survivor {
	line := strings.Split(string(m.source.text), "\n")[m.line-1]
	return survivor{m.line, m.column, m.kind, status, strings.TrimSpace(line)}
}

// add counts a mutant, unless its status is "", and keeps it if it survived.
func (r *result) add(m *mutant, status string) {
	if status == "" {
		return
	}
	r.Counts[status]++
	if survived(status) {
		r.Survivors = append(r.Survivors, survivorOf(m, status))
		slices.SortFunc(r.Survivors, bySite)
	}
}

// smallerThan tells whether r is a sample, and of fewer mutants than wanted, of which 0 is all.
func (r result) smallerThan(wanted int) bool {
	return r.SampledOf > 0 && (wanted == 0 || max(r.Drawn, total(r.Counts)) < min(wanted, r.SampledOf))
}

func (r result) String() string {
	text := fmt.Sprintf("%d mutants", total(r.Counts))
	if r.SampledOf > 0 {
		text = fmt.Sprintf("%d of %d mutants", total(r.Counts), r.SampledOf)
	}
	for _, status := range statuses {
		text += fmt.Sprintf(", %d %s", r.Counts[status], strings.ToLower(status))
	}
	return text
}

func total(counts map[string]int) int {
	sum := 0
	for _, count := range counts {
		sum += count
	}
	return sum
}

// readResults returns the results by file, none if there is no such file.
func readResults(name string) (map[string]result, error) {
	data, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return map[string]result{}, nil
	}
	results := map[string]result{}
	if err == nil {
		err = json.Unmarshal(data, &results)
	}
	if err != nil {
		return nil, fmt.Errorf("mutation: %s: %w", name, err)
	}
	return results, nil
}

func writeResults(name string, results map[string]result) error {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(results); err != nil {
		return fmt.Errorf("mutation: %w", err)
	}
	return os.WriteFile(name, []byte(text.String()), 0o644)
}

// The marks between which writePage writes.
const (
	beginMark = "<!-- measured: scripts/mutation writes this -->"
	endMark   = "<!-- end of what was measured -->"
)

// writePage writes the tables of the page again and keeps the rest of it.
func writePage(name string, results map[string]result) error {
	before, _, after, err := readPage(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, []byte(before+beginMark+"\n"+tables(results)+endMark+after), 0o644)
}

func readPage(name string) (before, measured, after string, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return "", "", "", fmt.Errorf("mutation: %w", err)
	}
	before, rest, found := strings.Cut(string(data), beginMark)
	measured, after, foundEnd := strings.Cut(rest, endMark)
	if !found || !foundEnd {
		return "", "", "", fmt.Errorf(
			"mutation: %s has no lines %q and %q: put them where the tables belong",
			name, beginMark, endMark)
	}
	return before, measured, after, nil
}

func tables(results map[string]result) string {
	var text strings.Builder
	const heading = " mutants | killed | lived | not covered | timed out |"
	row := func(name string, counts map[string]int, sampledOf int, rest ...string) {
		fmt.Fprintf(&text, "| %s | %d", name, total(counts))
		if sampledOf > 0 {
			fmt.Fprintf(&text, " of %d", sampledOf)
		}
		text.WriteString(" |")
		for _, status := range statuses {
			fmt.Fprintf(&text, " %d |", counts[status])
		}
		for _, cell := range rest {
			fmt.Fprintf(&text, " %s |", cell)
		}
		text.WriteString("\n")
	}
	text.WriteString("| package | files |" + heading + "\n")
	text.WriteString("| --- |" + strings.Repeat(" ---: |", 6) + "\n")
	for _, folder := range packages {
		counts, files, sampled, all := map[string]int{}, 0, false, 0
		for file, result := range results {
			if path.Dir(file) == folder {
				files++
				sampled = sampled || result.SampledOf > 0
				all += max(result.SampledOf, total(result.Counts))
				for status, count := range result.Counts {
					counts[status] += count
				}
			}
		}
		if files > 0 {
			if !sampled {
				all = 0
			}
			row(fmt.Sprintf("%s | %d", folder, files), counts, all)
		}
	}
	text.WriteString("\n| file |" + heading + " commit | date | CPU |\n")
	text.WriteString("| --- |" + strings.Repeat(" ---: |", 5) + " --- | --- | --- |\n")
	for _, file := range slices.Sorted(maps.Keys(results)) {
		r := results[file]
		row(file, r.Counts, r.SampledOf, r.Commit, r.Date, r.CPU)
	}
	return text.String()
}

// untold returns the survivors whose line of code the page does not quote behind the tables.
func untold(page string, results map[string]result) ([]string, error) {
	_, _, after, err := readPage(page)
	var places []string
	for _, file := range slices.Sorted(maps.Keys(results)) {
		for _, s := range results[file].Survivors {
			if !strings.Contains(after, "`"+s.Code+"`") {
				places = append(places, fmt.Sprintf("%s:%d:%d: %s: %s: %s",
					file, s.Line, s.Column, strings.ToLower(s.Status), s.Type, s.Code))
			}
		}
	}
	return places, err
}

// toldAlready finds what the page says of a survivor: its file's name, and its line of code.
var toldAlready = regexp.MustCompile("(?m)^- ([a-z0-9_]+\\.go), `([^`]*)`")

// overtaken returns what the page says of survivors that no file has any more. Of a file of which
// some mutants alone were tried it is not known.
func overtaken(page string, results map[string]result) ([]string, error) {
	_, _, after, err := readPage(page)
	surviving, sampled := map[string]bool{}, map[string]bool{}
	for file, r := range results {
		sampled[path.Base(file)] = sampled[path.Base(file)] || r.SampledOf > 0
		for _, s := range r.Survivors {
			surviving[path.Base(file)+": "+s.Code] = true
		}
	}
	var lines []string
	for _, match := range toldAlready.FindAllStringSubmatch(after, -1) {
		line := match[1] + ": " + match[2]
		if !surviving[line] && !sampled[match[1]] && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines, err
}

func bySite(a, b survivor) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
		cmp.Compare(a.Type, b.Type))
}
