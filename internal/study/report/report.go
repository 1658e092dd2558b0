package report

import (
	"fmt"

	"slipway/internal/display"
	"slipway/internal/document"
)

// figureNames lists the files of figures that not every report has.
func figureNames() []string {
	var names []string
	for _, name := range []string{"curves", "accuracy", "gap", "comparisons", "weights", "calibration",
		"confusion", robustnessName, "time", searchName} {
		names = append(names, name+".svg", name+".csv")
	}
	return append(names, "hardest.png", "hardest.csv", mcnemarFile, unseenFile)
}

// document builds the report.
func (s *Study) document() (*document.Document, error) {
	d := &document.Document{Title: "Study " + s.Plan.Study}
	if s.Plan.Quick {
		d.Say("This is the short form of the study, with fewer images, epochs and seeds: it shows that everything runs, and its figures answer nothing.")
	}
	if s.Plan.Question != "" {
		d.Say("Question: " + s.Plan.Question)
	}
	d.Say(s.extent())
	comparisons, err := compare(s.compared())
	if err != nil {
		return nil, err
	}
	if err := s.addSummary(d, comparisons); err != nil {
		return nil, err
	}
	for _, part := range []func(*document.Document) error{
		s.addAccuracy,
		func(d *document.Document) error { return s.addComparisons(d, comparisons) },
		s.addSearch, s.addCurves, s.addGap, s.addRobustness, s.addUnseen, s.addCalibration, s.addWeights,
		s.addConfusion, s.addHardest, s.addTime, s.addRuns, s.addHistories,
	} {
		if err := part(d); err != nil {
			return nil, err
		}
	}
	d.Say("Written by experiment report; every figure and every sentence comes from the runs.")
	return d, nil
}

// extent says what the study consists of.
func (s *Study) extent() string {
	runs, seeds, failed := 0, map[uint64]bool{}, 0
	for _, setting := range s.Settings {
		runs += len(setting.Runs)
		failed += len(setting.Failed)
		for _, run := range setting.Runs {
			seeds[run.Seed] = true
		}
	}
	text := fmt.Sprintf("%s, %s, %s, tested on %s%s.", count(len(s.Settings), "setting"),
		count(len(seeds), "seed"), count(runs, "finished run"), count(s.Test.Len(), "image"), s.ofSet())
	if failed > 0 {
		was := "were"
		if failed == 1 {
			was = "was"
		}
		text += fmt.Sprintf(" Beside them %s diverged or %s pruned, in no mean.", count(failed, "run"),
			was)
	}
	if s.Missing > 0 {
		text += fmt.Sprintf(" The study is not finished: of the %d runs of its plan %d are missing.",
			s.Plan.Size(), s.Missing)
	}
	return text
}

// ofSet names the test set, where it is not the one that studies take unless told
// otherwise.
func (s *Study) ofSet() string {
	if test := s.Plan.Test; test.Name != "" && !test.IsDefault() {
		return " of " + display.Printable(test.ShortName())
	}
	return ""
}
