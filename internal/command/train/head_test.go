package train

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/cli"
	"slipway/internal/datasettest"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/train"
)

// oddAndEven is digits of two classes, even ones and odd ones, to train on and to test on.
func oddAndEven(t *testing.T, n int) string {
	t.Helper()
	set := datasettest.Digits(t, n)
	labels := set.LabelBytes()
	for i := range labels {
		labels[i] %= 2
	}
	dir := t.TempDir()
	for _, part := range []string{"train", "t10k"} {
		writeIDX(t, filepath.Join(dir, part+"-images-idx3-ubyte"), []int{n, 28, 28}, set.Images)
		writeIDX(t, filepath.Join(dir, part+"-labels-idx1-ubyte"), []int{n}, labels)
	}
	return dir
}

// weightsOf are those of a run's newest checkpoint, with its network's number of classes.
func weightsOf(t *testing.T, path string) (builder.Weights, int) {
	t.Helper()
	run, err := train.OpenRun(path)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, _, _, err := run.Latest()
	if err != nil {
		t.Fatal(err)
	}
	classes, err := checkpoint.Network.Classes()
	if err != nil {
		t.Fatal(err)
	}
	return checkpoint.Weights, classes
}

// A model's classifier is replaced for the set's classes, trained alone, and then with all else;
// the run goes on from between the phases.
func TestANewHead(t *testing.T) {
	dir, runs := oddAndEven(t, 200), t.TempDir()
	_, digits, err := model(t, e1Graph)
	if err != nil {
		t.Fatal(err)
	}
	args := func(name, epochs string, more ...string) []string {
		return append([]string{"-data", dir + ":train", "-test", dir + ":t10k", "-runs", runs,
			"-name", name, "-epochs", epochs}, more...)
	}
	tuning := []string{"-from", e1Graph, "-head", "auto", "-freeze", "trunk", "-freeze-until", "3",
		"-lr", "head=1e-3,*=1e-4"}
	code, out, errs := runTrain(t, args("parts", "2", tuning...)...)
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, want := range []string{"head: layer fc2, drawn anew, tells 2 classes apart in place " +
		"of 10\n",
		"features: what relu3 gives is computed once for each image, up to epoch 2: 128 values, " +
			"0.2 MB in all\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	weights, classes := weightsOf(t, filepath.Join(runs, "parts"))
	if classes != 2 {
		t.Errorf("the run's network has %d classes", classes)
	}
	for _, tensor := range weights {
		was, _ := digits.Get(tensor.Name)
		if same := slices.Equal(tensor.Data, was.Data); same == strings.HasPrefix(tensor.Name,
			"fc2.") {
			t.Errorf("in the first phase %s stays: %v", tensor.Name, same)
		}
	}
	if code, _, errs = runTrain(t, args("parts", "4", "-resume")...); code != cli.ExitOK {
		t.Fatalf("resume: exit %d: %s", code, errs)
	}
	if code, _, errs = runTrain(t, args("whole", "4", tuning...)...); code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	resumed, _ := weightsOf(t, filepath.Join(runs, "parts"))
	whole, _ := weightsOf(t, filepath.Join(runs, "whole"))
	for i, tensor := range whole {
		if !slices.Equal(resumed[i].Data, tensor.Data) {
			t.Errorf("%s of the resumed run differs", tensor.Name)
		}
		if was, _ := digits.Get(tensor.Name); slices.Equal(tensor.Data, was.Data) {
			t.Errorf("in the second phase %s stays", tensor.Name)
		}
	}
}

// The finder sweeps the network that is trained then, and says what the groups' rates were; a
// classifier of other classes is told of where it stays.
func TestANewHeadElsewhere(t *testing.T) {
	dir, runs := oddAndEven(t, 200), t.TempDir()
	data := []string{"-data", dir + ":train", "-test", dir + ":t10k", "-runs", runs}
	code, out, errs := runTrain(t, append(data, "-name", "swept", "-from", e1Graph, "-head", "auto",
		"-freeze", "trunk", "-lr", "head=1e-2,1e-4", "-batch", "200",
		"-find-lr", "-find-steps", "20")...)
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, want := range []string{"head: layer fc2, drawn anew, tells 2 classes apart",
		"that is the rate of what no group of -lr names; head was at 100 times it\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	code, out, errs = runTrain(t, append(data, "-name", "other", "-from", e1Graph, "-epochs", "1")...)
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if want := "classifier was learned for 10 other classes, of which the first 2 are taken"; !strings.Contains(out,
		want) {
		t.Errorf("output lacks %q:\n%s", want, out)
	}
}

// model reads an ONNX file.
func model(t *testing.T, path string) (*builder.Network, builder.Weights, error) {
	t.Helper()
	read, err := onnx.Read(path)
	if err != nil {
		return nil, nil, err
	}
	return convert.ToNetwork(read, "")
}

func TestHeadFaults(t *testing.T) {
	dir := oddAndEven(t, 40)
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing to keep": {[]string{"-head", "2"}, cli.ExitUsage,
			"-head keeps what -from's network has learned"},
		"no number": {[]string{"-from", e1Graph, "-head", "two"}, cli.ExitUsage,
			"-head two; a number of classes is needed, or auto"},
		"none": {[]string{"-from", e1Graph, "-head", "0"}, cli.ExitUsage,
			"-head 0; a number"},
		"empty": {[]string{"-from", e1Graph, "-head", ""}, cli.ExitUsage,
			"-head is empty"},
		"fewer than the sets": {[]string{"-from", e1Graph, "-head", "1"}, cli.ExitFailure,
			"-head 1, and the sets have 2 classes"},
		"another layer": {[]string{"-from", e1Graph, "-head", "2", "-head-layer", "conv1"},
			cli.ExitFailure, "layer conv1 is no classifier"},
		"no freeze": {[]string{"-from", e1Graph, "-freeze-until", "2"}, cli.ExitUsage,
			"give a -freeze"},
		"the first epoch": {[]string{"-from", e1Graph, "-freeze", "trunk", "-freeze-until",
			"1"}, cli.ExitUsage, "-freeze-until 1; epochs count from 1"},
		"rates": {[]string{"-from", e1Graph, "-lr", "head=x"}, cli.ExitUsage,
			"the rate is not a number"},
		"statistics": {[]string{"-from", e1Graph, "-freeze-statistics", "*"},
			cli.ExitFailure, `no BatchNorm that is called "*"`},
		"features": {[]string{"-from", e1Graph, "-features", "once"}, cli.ExitFailure,
			"features cannot be computed once: conv1 is trained"},
		"resume": {[]string{"-resume", "-name", "x", "-head", "2"}, cli.ExitUsage,
			"-head does not apply to -resume"},
	} {
		args := append([]string{"-data", dir + ":train", "-runs", t.TempDir()}, test.args...)
		code, _, errs := runTrain(t, args...)
		if code != test.code || !strings.Contains(errs, test.want) {
			t.Errorf("%s: exit %d, %s, want %d with %q", name, code, errs, test.code, test.want)
		}
	}
	code, out, errs := runTrain(t, "-data", dir+":train", "-test", "none", "-runs", t.TempDir(),
		"-from", e1Graph, "-head", "5", "-epochs", "1", "-freeze", "trunk")
	if code != cli.ExitOK ||
		!strings.Contains(out, "tells 5 classes apart in place of 10; the sets have 2\n") {
		t.Errorf("more classes than the sets': exit %d, %s%s", code, out, errs)
	}
}
