package report

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// e2Histories is the folder with E2's histories in PyTorch and in Slipway, committed.
var e2Histories = filepath.Join("..", "..", "..", "docs", "e2")

// checkInsights reads the report of really trained runs as if they were E1 and E2.
func checkInsights(t *testing.T, s *Study) {
	folder := t.TempDir()
	if _, err := Insights(folder, e2Histories, "x"); err == nil {
		t.Error("insights without any report")
	}
	renamed := *s
	renamed.Plan.Study = e1e2Study
	renamed.Settings = append([]Setting(nil), s.Settings[:2]...)
	for i, name := range []string{settingE1, settingE2} {
		renamed.Settings[i].Name = name
		renamed.Settings[i].Runs = append([]Run(nil), s.Settings[i].Runs...)
		for j := range renamed.Settings[i].Runs {
			renamed.Settings[i].Runs[j].Setting = name
		}
	}
	if err := renamed.Write(filepath.Join(folder, e1e2Study)); err != nil {
		t.Fatal(err)
	}
	text, err := Insights(folder, e2Histories, "../experiments")
	if err != nil {
		t.Fatal(err)
	}
	again, err := Insights(folder, e2Histories, "../experiments")
	if err != nil || !bytes.Equal(text, again) {
		t.Errorf("the same reports give other bytes (%v)", err)
	}
	markdown := string(text)
	// With dropout so few steps leave the network far behind: by the rule it does
	// not generalise better, whatever the name.
	if row := findLine(t, markdown, "| E2 generalises better than E1 |"); !strings.Contains(row,
		"| refuted |") || !strings.Contains(row, "3 pairs of seeds") {
		t.Errorf("generalisation: %s", row)
	}
	for start, verdict := range map[string]string{
		"| E1 reaches 98.58 % in 10 epochs |":        "undecided", // three runs are too few
		"| E2 takes longer training than E1 |":       "refuted",   // four epochs
		"| E2 is more robust to noise |":             "refuted",
		"| E2 is more robust to unseen data |":       "undecided",
		"| With λ1 = 0.5, λ2 = 0.1 the loss starts ": "undecided",
	} {
		if row := findLine(t, markdown, start); !strings.Contains(row, "| "+verdict+" |") {
			t.Errorf("%s should be %s", row, verdict)
		}
	}
	if !strings.Contains(markdown, "](../experiments/e1-e2/report.md)") ||
		!strings.Contains(markdown, "not measured in study e1-e2") {
		t.Error("no link to the report, or no word on what was not measured")
	}
	// The short form answers nothing.
	renamed.Plan.Quick = true
	if err := renamed.Write(filepath.Join(folder, e1e2Study)); err != nil {
		t.Fatal(err)
	}
	if _, err := Insights(folder, e2Histories, "x"); err == nil ||
		!strings.Contains(err.Error(), "short form") {
		t.Errorf("a report of the short form: %v", err)
	}
	if err := os.Remove(filepath.Join(folder, e1e2Study, SummaryFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, e1e2Study, SummaryFile), []byte("{"),
		0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Insights(folder, e2Histories, "x"); err == nil ||
		!strings.Contains(err.Error(), SummaryFile) {
		t.Errorf("a damaged summary: %v", err)
	}
}

func parseTable(t *testing.T, text string) table {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return table{"test.csv", rows[0], rows[1:]}
}

// The rules, at both sides of their thresholds.
func TestRulesOfTheClaims(t *testing.T) {
	verdictOf := func(c claim, err error) verdict {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c.verdict
	}
	runs := func(head string, rows ...string) *committed {
		return &committed{Summary: Summary{Study: e1e2Study},
			runs: parseTable(t, head+"\n"+strings.Join(rows, "\n")+"\n")}
	}
	until := func(epochs ...string) *committed {
		var rows []string
		for _, n := range epochs {
			rows = append(rows, "E2,loss below 0.38,0.985,"+n)
		}
		return runs("setting,stopped,test_accuracy,epochs", rows...)
	}
	heavy := func(loss, accuracy string) *committed {
		return runs("setting,l1,l2,first_mean_loss,loss_after_first_epoch,last_mean_loss,test_accuracy",
			"x,0.5,0.1,28,"+loss+",2.5,"+accuracy)
	}
	missed := until("60", "90", "75", "82", "70")
	missed.runs.rows = append(missed.runs.rows, []string{"E2", "epochs", "0.98", "120"})
	comparison := func(metric, difference, p string) *committed {
		s := runs("setting,test_accuracy", "E1,0.98")
		s.settings = parseTable(t, "setting,gap_mean,gap_low,gap_high\nE1,0.007,0.006,0.008\n")
		s.comparisons = parseTable(t,
			"metric,setting,reference,pairs,difference,low,high,p_holm,images_low,images_high\n"+metric+
				",E2,E1,10,"+difference+",-0.1,0.1,"+p+",-0.2,0.2\n")
		return s
	}
	accuracies := func(rows ...string) *committed {
		for i := range rows {
			rows[i] = "E1," + rows[i]
		}
		return runs("setting,test_accuracy", rows...)
	}
	for _, c := range []struct {
		what      string
		got, want verdict
	}{
		{"80 among the epochs", verdictOf(claimEpochs(until("60", "90", "75", "82", "70"))), confirmed},
		{"80 far above the epochs", verdictOf(claimEpochs(until("10", "11", "12", "11", "10"))), refuted},
		{"too few runs", verdictOf(claimEpochs(until("80"))), undecided},
		{"a run that never got there", verdictOf(claimEpochs(missed)), undecided},
		{"no study", verdictOf(claimEpochs(nil, nil)), undecided},
		{"longer", verdictOf(claimLonger(until("60", "90", "75"))), confirmed},
		{"shorter", verdictOf(claimLonger(until("6", "7", "6"))), refuted},
		{"as long", verdictOf(claimLonger(until("9", "12", "10"))), undecided},
		{"near 13, and guessing", claimHeavy(heavy("13.4", "0.1135")).verdict, confirmed},
		{"not near 13", claimHeavy(heavy("9.7", "0.1135")).verdict, refuted},
		{"near 13, and learning", claimHeavy(heavy("13.4", "0.6")).verdict, refuted},
		{"without such a run", claimHeavy(runs("setting,l1,l2", "x,0,0")).verdict, undecided},
		{"98.58 among ours",
			verdictOf(claimRun("", notebookE1Accuracy, accuracies("0.985", "0.986", "0.9855", "0.9862",
				"0.9851"), settingE1)), confirmed},
		{"98.58 above ours",
			verdictOf(claimRun("", notebookE1Accuracy, accuracies("0.975", "0.976", "0.9755", "0.9762",
				"0.9751"), settingE1)), refuted},
		{"better", claimDifference("", "", "test_accuracy",
			comparison("test_accuracy", "0.002", "0.01")).verdict, confirmed},
		{"worse", claimDifference("", "", "test_accuracy",
			comparison("test_accuracy", "-0.002", "0.01")).verdict, refuted},
		{"not distinguishable", claimDifference("", "", "test_accuracy",
			comparison("test_accuracy", "0.002", "0.06")).verdict, undecided},
		{"not measured",
			claimDifference("", "", "test_accuracy", comparison("gap", "0.002", "0.06")).verdict, undecided},
		{"a gap that E2 closes",
			verdictOf(claimOverfit(comparison("gap", "-0.004", "0.001"), settingE1, settingE2)), confirmed},
		{"a gap that E2 widens",
			verdictOf(claimOverfit(comparison("gap", "0.004", "0.001"), settingE1, settingE2)), refuted},
		{"a gap that E2 has too",
			verdictOf(claimOverfit(comparison("gap", "-0.001", "0.2"), settingE1, settingE2)), undecided},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.what, c.got, c.want)
		}
	}
}

// The insights in the repository are those of the reports beside them.
func TestCommittedInsights(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	want, err := Insights(filepath.Join(root, "experiments"), e2Histories, "../experiments")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, "docs", "insights.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/insights.md is not what experiments/ gives; run: experiment insights")
	}
}

func TestPyTorchCrossesWhereItsHistorySays(t *testing.T) {
	pytorch, err := readTable(filepath.Join(e2Histories, "pytorch.csv"))
	if err != nil {
		t.Fatal(err)
	}
	epoch, accuracy, err := firstBelow(pytorch)
	if err != nil || epoch != 11 || accuracy != 0.9799 {
		t.Errorf("epoch %d, %v (%v)", epoch, accuracy, err)
	}
	if _, _, err := firstBelow(parseTable(t,
		"epoch,mean_loss,test_accuracy\n1,0.5,0.9\n")); err == nil {
		t.Error("a history that never gets below has no error")
	}
}
