package train

import (
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"slipway/internal/cli"
	"slipway/train"
)

// A value that no run can have is wrong usage, told by the flag as it is typed, before any set is
// read: -data names none.
func TestAWrongValueNamesItsFlag(t *testing.T) {
	for line, says := range map[string]string{
		"-pixels 1,2,3": "-pixels", "-validation 1.5": "-validation", "-validation NaN": "-validation",
		"-until-loss -1": "-until-loss", "-patience -1": "-patience",
		"-patience 2":         "needs a validation fraction",
		"-best test-accuracy": "-best", "-best accuracy": "-best", "-best validation-loss": "-best",
		"-accumulate -1": "-accumulate", "-clip-norm -1": "-clip-norm", "-ema 1": "-ema",
		"-ema-warmup":        "-ema-warmup",
		"-label-smoothing 2": "-label-smoothing", "-focal-gamma 2": "-focal-gamma",
		"-loss focal -focal-gamma -1": "-focal-gamma", "-class-weights 1,-1": "-class-weights",
		"-mixup -1": "-mixup", "-cutmix NaN": "-cutmix", "-mix-probability 0.5": "-mix-probability",
		"-mixup 1 -mix-probability 2": "-mix-probability", "-mixup 1 -mix-switch 0.5": "-mix-switch",
		"-l1 -1": "-l1", "-l2 NaN": "-l2", "-activation-l1 relu=-1": "-activation-l1",
		"-activation-l2 relu=-1": "-activation-l2",
		"-lr -1":                 "-lr", "-lr head=-1": "-lr", "-weight-decay -1": "-weight-decay", "-beta1 1": "-beta1",
		"-beta2 1":   "-beta2",
		"-alpha 0.9": "-alpha", "-epsilon -1": "-epsilon", "-momentum 0.9": "-momentum",
		"-nesterov":      "-nesterov",
		"-schedule fast": "-schedule", "-schedule plateau": "-schedule", "-warmup 0.1": "-warmup",
		"-schedule cosine -warmup 1": "-warmup", "-warmup-epochs -1": "-warmup-epochs",
		"-first-factor 0.1":                  "-first-factor",
		"-schedule cosine -warmup-epochs 10": "-warmup-epochs", "-final-factor 0.1": "-final-factor",
		"-gamma 0.5":                            "-gamma",
		"-schedule step -milestones 2 -gamma 2": "-gamma", "-schedule step": "-milestones",
		"-milestones 2":                  "-milestones",
		"-schedule step -milestones 3,2": "-milestones", "-restart-epochs 2": "-restart-epochs",
		"-schedule cosine-restarts":                    "-restart-epochs",
		"-schedule cosine-restarts -restart-epochs -1": "-restart-epochs",
		"-restart-factor 2":                            "-restart-factor", "-cooldown 0.2": "-cooldown",
		"-schedule wsd -cooldown 2":                               "-cooldown",
		"-schedule wsd -cooldown-shape round":                     "-cooldown-shape",
		"-plateau-patience 2":                                     "-plateau-patience",
		"-schedule plateau -validation 0.1 -plateau-patience -1":  "-plateau-patience",
		"-schedule plateau -validation 0.1 -plateau-threshold -1": "-plateau-threshold",
		"-schedule-epochs 3":                                      "-schedule-epochs",
		"-schedule cosine -schedule-epochs 3":                     "-schedule-epochs",
		"-find-lr -find-first -1":                                 "-find-first", "-find-lr -find-first 20": "-find-last",
		"-find-lr -find-last Inf": "-find-last",
		"-find-lr -find-steps 1":  "-find-steps", "-experiment e2 -dropout 1": "-dropout",
		"-experiment e2 -dropout NaN": "-dropout",
		"-checkpoint-every -1":        "-checkpoint-every", "-keep -1": "-keep",
		"-precision half":           "there are float32, tf32, bf16",
		"-precision bf16 -shards 2": "leave out one of them",
		"-precision bf16 -mpi":      "-mpi does not go with -precision bf16 on CPUs",
		"-precision bf16 -device cuda -activation-l1 relu1=1": "-device cuda: a penalty on activations in " +
			"bf16 is computed on the CPU alone; train with -device cpu",
		"-precision bf16 -engine gorgonia": "bf16 does not go with engine gorgonia",
		"-precision tf32 -shards 2":        "leave out one of them",
		"-precision tf32 -mpi": "-mpi trains on CPUs unless -device cuda says otherwise, and -precision " +
			"tf32 is for a GPU",
		"-precision tf32 -engine gorgonia": "-precision",
		"-precision tf32 -device cpu":      "tf32 is for a GPU; it does not go with -device cpu",
		"-precision tf32 -find-lr":         "tf32 is for a GPU, and -find-lr computes on the CPU",
		"-freeze head -freeze-until 1":     "-freeze-until", "-features once -mixup 1": "-features",
	} {
		code, _, errs := runTrain(t, append(strings.Fields(line), "-data", "nowhere")...)
		if code != cli.ExitUsage || !strings.Contains(errs, says) || strings.Contains(errs, "nowhere") {
			t.Errorf("%s: exit %d, want 2 and %q: %s", line, code, says, errs)
		}
	}
	// Of a run that goes on it is told once the run is known.
	dir := fixture(t)
	if code, _, errs := runTrain(t, arguments(dir, "-epochs", "1")...); code != cli.ExitOK {
		t.Fatal(errs)
	}
	code, _, errs := runTrain(t, "-resume", "-name", "tiny", "-runs", dir+"/runs", "-epochs", "2",
		"-best", "validation-loss")
	if code != cli.ExitUsage || !strings.Contains(errs, "train: -best: the best epoch by") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// Patience of 0 is a value of its own: the rate falls at the first epoch that is no better.
func TestAPlateauWithoutPatience(t *testing.T) {
	for line, want := range map[string]*int{"": nil, "-plateau-patience 0": new(0),
		"-plateau-patience 3": new(3)} {
		o, err := parse(strings.Fields("-schedule plateau -validation 0.1 "+line), io.Discard)
		if err != nil || !reflect.DeepEqual(o.settings().Schedule.PlateauPatience, want) {
			t.Errorf("%s: %+v, %v", line, o, err)
		}
	}
}

// The table of settings and flags names what there is.
func TestSettingsHaveTheirFlags(t *testing.T) {
	defined := flagNames(t)
	var paths []string
	var collect func(t reflect.Type, prefix string)
	collect = func(t reflect.Type, prefix string) {
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			paths = append(paths, prefix+name)
			switch kind := t.Field(i).Type; {
			case kind.Kind() == reflect.Struct:
				collect(kind, prefix+name+".")
			case kind.Kind() == reflect.Map:
				collect(kind.Elem(), prefix+name+".")
			}
		}
	}
	collect(reflect.TypeFor[train.Config](), "")
	paths = append(paths, "sweep.first", "sweep.last", "sweep.steps")
	for setting, flag := range flagsOf() {
		if !slices.Contains(paths, setting) || !slices.Contains(defined, flag) {
			t.Errorf("%s, -%s: there is no such setting or flag", setting, flag)
		}
	}
}

// flagNames lists the flags that the help describes.
func flagNames(t *testing.T) (names []string) {
	t.Helper()
	var help strings.Builder
	if _, err := parse([]string{"-h"}, &help); err == nil {
		t.Fatal("no help")
	}
	for line := range strings.Lines(help.String()) {
		if rest, ok := strings.CutPrefix(line, "  -"); ok {
			names = append(names, strings.FieldsFunc(rest, func(r rune) bool {
				return r == ' ' || r == '\t' || r == '\n'
			})[0])
		}
	}
	return names
}
