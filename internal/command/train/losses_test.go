package train

import (
	"io"
	"strings"
	"testing"

	"slipway/train"
)

func TestLossFlags(t *testing.T) {
	o, err := parse(
		strings.Fields("-loss focal -focal-gamma 3 -label-smoothing 0.1 -class-weights 1,2.5"),
		io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := o.settings().Loss.String(); got != "focal with γ = 3, labels smoothed by 0.1, class weights 1,2.5" {
		t.Error(got)
	}
	if o, err = parse([]string{"-class-weights", "balanced"}, io.Discard); err != nil ||
		!o.settings().Loss.ClassWeights.Balanced {
		t.Errorf("%+v: %v", o.settings().Loss, err)
	}
	if o, err = parse(strings.Fields("-mixup 0.2 -cutmix 1 -mix-probability 0.8 -mix-switch 0.3"),
		io.Discard); err != nil ||
		o.settings().Mix != (train.Mix{MixUp: 0.2, CutMix: 1, Probability: 0.8, Switch: 0.3}) {
		t.Errorf("%+v: %v", o.settings().Mix, err)
	}
	if o, err = parse(strings.Fields("-sampling balanced"), io.Discard); err != nil ||
		o.settings().Sampling != train.SamplingBalanced {
		t.Errorf("%+v: %v", o.settings(), err)
	}
	if o, err = parse(nil, io.Discard); err != nil || !o.settings().Loss.IsZero() || o.settings().
		CPUOnly() != "" {
		t.Errorf("without a flag: %+v: %v", o.settings().Loss, err)
	}
}

func TestLossFlagsReject(t *testing.T) {
	for line, want := range map[string]string{
		"-loss hinge":                            "hinge",
		"-class-weights even":                    "class weights \"even\"",
		"-focal-gamma 0 -loss focal":             "-focal-gamma 0; more than 0 is needed",
		"-mix-probability 0 -mixup 1":            "-mix-probability 0; more than 0 is needed",
		"-sampling fair":                         "fair",
		"-mixup 1 -resume":                       "-mixup does not apply to -resume",
		"-class-weights balanced -resume":        "-class-weights does not apply to -resume",
		"-loss cross-entropy -label-smoothing x": "label-smoothing",
	} {
		if _, err := parse(strings.Fields(line+" -name a"), io.Discard); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", line, err, want)
		}
	}
}

// What was measured is told, and stands in the run's record.
func TestLossIsTold(t *testing.T) {
	runs := t.TempDir()
	code, out, errs := runTrain(t, strings.Fields("-data t10k -test none -epochs 1 -batch 500 "+
		"-class-weights balanced -name weighted -runs "+runs)...)
	if code != 0 || !strings.Contains(out, "loss: cross-entropy, class weights 1.0204081632653061,") {
		t.Fatalf("exit %d, %s%s", code, out, errs)
	}
	dir, err := train.OpenRun(runs + "/weighted")
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, _, _, err := dir.Latest()
	if err != nil {
		t.Fatal(err)
	}
	if values := checkpoint.Config.Loss.ClassWeights.Values; len(values) != 10 ||
		values[0] != 10000./(10*980) {
		t.Errorf("the checkpoint has the weights %v", values)
	}
}
