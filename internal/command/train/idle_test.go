package train

import (
	"strings"
	"testing"

	"slipway/internal/cli"
)

// A setting that does nothing in so short a run is told.
func TestSettingsWithoutEffectAreTold(t *testing.T) {
	dir := fixture(t)
	for line, says := range map[string]string{
		"-epochs 1 -warmup-epochs 1":                                                                                 "note: -warmup-epochs 1 takes all of the run's 1 epoch",
		"-epochs 2 -schedule step -milestones 1,2,9":                                                                 "note: -milestones: 2 of them (2, 9) lie at or beyond the end of the run's 2 epochs",
		"-epochs 1 -freeze conv1 -freeze-until 2":                                                                    "note: -freeze-until 2 is beyond the run's 1 epoch",
		"-epochs 1 -schedule cosine-restarts -restart-epochs 1":                                                      "note: -restart-epochs 1: no restart comes",
		"-epochs 1 -sampling balanced -class-weights 1,1,1,1,1,1,1,1,1,2":                                            "note: -sampling balanced and -class-weights: rare classes count twice",
		"-epochs 2 -schedule step -milestones 1 -sampling balanced -freeze conv1 -freeze-until 2 -warmup-epochs 0.5": "",
	} {
		code, out, errs := runTrain(t, arguments(dir, strings.Fields(line)...)...)
		if code != cli.ExitOK || says != "" && !strings.Contains(out, says) || says == "" &&
			strings.Contains(out, "note: -freeze-until") || says == "" &&
			strings.Contains(out, "note: -milestones") {
			t.Errorf("%s: exit %d, want %q\n%s%s", line, code, says, out, errs)
		}
	}
}
