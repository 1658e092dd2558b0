package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"slipway/internal/document"
)

// committed is a study as its report in the repository has it: what insights are read
// from, without the runs.
type committed struct {
	Summary
	// folder is relative to that of the studies.
	folder                                   string
	runs, settings, comparisons, histories   table
	robustness, unseen                       table
	hasComparisons, hasRobustness, hasUnseen bool
}

// Insights reads the reports in the folder of the studies and says, in Markdown, what was
// asked, what was found, and what became of the notebook's claims. histories is the folder
// with E2's histories of one seed in PyTorch and in Slipway, docs/e2. link is the
// path from the document to the folder of the studies.
func Insights(folder, histories, link string) ([]byte, error) {
	studies, err := readCommitted(folder)
	if err != nil {
		return nil, err
	}
	if len(studies) == 0 {
		return nil, fmt.Errorf("%s has no report; experiment report writes them", folder)
	}
	claims, err := notebookClaims(studies)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	fmt.Fprint(&out, `# Insights

<!-- made by experiment insights from the reports in experiments/; not by hand -->

What was asked of the two experiments, what was found, and what remains open. Every verdict is given by a rule in code
(internal/study/report) that reads the tables beside the reports; the rule stands beside the verdict. Intervals are at 95 %, each
by itself; a difference is called one if its p-value, two-sided and corrected by Holm over the comparisons of its study by the same
figure, is below 0.05. Nothing is corrected over the different figures, nor over the claims.

`)
	writeClaims(&out, claims)
	if err := writeEpochs(&out, studies, histories); err != nil {
		return nil, err
	}
	for _, s := range studies {
		if err := writeStudy(&out, s, link); err != nil {
			return nil, err
		}
	}
	writeOpen(&out, studies, claims)
	return out.Bytes(), nil
}

// readCommitted reads the reports, in the order in which their questions build on each
// other, others after them by name.
func readCommitted(folder string) ([]committed, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("folder of the studies: %w", err)
	}
	var studies []committed
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		s, err := readReport(filepath.Join(folder, entry.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // no report
		}
		if err != nil {
			return nil, err
		}
		s.folder = entry.Name()
		studies = append(studies, s)
	}
	rank := func(s committed) int {
		order := []string{dropoutStudy, "penalties", untilLossStudy, e1e2Study, "pixels", "search"}
		if i := slices.Index(order, s.Study); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(studies, func(a, b committed) int { return rank(a) - rank(b) })
	return studies, nil
}

// readReport reads one; the error is fs.ErrNotExist if there is none.
func readReport(dir string) (s committed, err error) {
	path := filepath.Join(dir, SummaryFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(raw, &s.Summary); err != nil {
		return s, fmt.Errorf("%s: %w; write the report again", path, err)
	}
	if s.Quick {
		return s, fmt.Errorf(
			"%s is of a study's short form, which answers nothing; write the report of the whole study there",
			path)
	}
	for _, file := range []struct {
		name     string
		into     *table
		optional *bool
	}{
		{RunsFile, &s.runs, nil}, {SettingsFile, &s.settings, nil}, {historiesFile, &s.histories, nil},
		{ComparisonsFile, &s.comparisons, &s.hasComparisons},
		{robustnessName + ".csv", &s.robustness, &s.hasRobustness},
		{unseenFile, &s.unseen, &s.hasUnseen},
	} {
		*file.into, err = readTable(filepath.Join(dir, file.name))
		if file.optional != nil {
			*file.optional = err == nil
			if errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		} else if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("the report in %s lacks %s; write it again", dir, file.name)
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

// writeStudy says what was asked and found in one study.
func writeStudy(out *bytes.Buffer, s committed, link string) error {
	fmt.Fprintf(out, "## Study %s\n\n", document.EscapeMarkdown(s.Study))
	if s.Question != "" {
		fmt.Fprintf(out, "Asked: %s\n\n", document.EscapeMarkdown(s.Question))
	}
	fmt.Fprintf(out, "%s [The report](%s/%s/%s) has the figures.\n\n",
		document.EscapeMarkdown(s.Extent), link, s.folder, MarkdownFile)
	document.WriteMarkdownTable(out, s.Table)
	fmt.Fprintf(out, "\nFound: %s\n", document.EscapeMarkdown(s.Headline))
	for _, finding := range s.Findings {
		fmt.Fprintf(out, "\n- %s", document.EscapeMarkdown(finding))
	}
	if len(s.Findings) > 0 {
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "\n![test accuracy of study %s](%s/%s/accuracy.svg)\n\n",
		document.EscapeMarkdown(s.Study), link, s.folder)
	return nil
}

// writeOpen lists what the rules could not decide.
func writeOpen(out *bytes.Buffer, studies []committed, claims []claim) {
	fmt.Fprint(out, "## What remains open\n\n")
	var open []string
	for _, c := range claims {
		if c.verdict == undecided {
			open = append(open, fmt.Sprintf("%s: %s", c.text, c.numbers))
		}
	}
	for _, s := range studies {
		if s.Missing > 0 {
			open = append(open, fmt.Sprintf("Study %s is not finished: %d of its runs are missing.", s.Study,
				s.Missing))
		}
		few := 0
		for _, setting := range s.settings.column("setting") {
			if n := s.settings.where("setting", setting).number("runs"); len(n) > 0 && n[0] < fewestSeeds {
				few++
			}
		}
		if few > 0 && s.Study != "search" {
			open = append(open,
				fmt.Sprintf(
					"In study %s %d of %d settings have fewer than %d seeds: they show a range, and compare nothing.",
					s.Study, few, len(s.settings.rows), fewestSeeds))
		}
	}
	for _, text := range open {
		fmt.Fprintf(out, "- %s\n", document.EscapeMarkdown(text))
	}
	if len(open) == 0 {
		fmt.Fprintln(out, "Nothing: every claim is decided, and every study is finished.")
	}
}
