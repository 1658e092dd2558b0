package train

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/internal/cli"
	"slipway/train"
)

// recorded reads what config.json says of a run's sets, which its newest checkpoint
// says, too.
func recorded(t *testing.T, run string) train.Sets {
	t.Helper()
	var config struct{ Sets train.Sets }
	if err := json.Unmarshal(read(t, filepath.Join(run, "config.json")), &config); err != nil {
		t.Fatal(err)
	}
	dir, err := train.OpenRun(run)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, _, _, err := dir.Latest()
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(config.Sets)
	if b, _ := json.Marshal(checkpoint.Sets); string(a) != string(b) {
		t.Errorf("config.json says %s, the checkpoint %s", a, b)
	}
	return config.Sets
}

// A run knows its sets: what they are, where they lie, and what their classes are called.
func TestARunKnowsItsSets(t *testing.T) {
	dir := fixture(t)
	for name, text := range map[string]string{"labels.txt": "ant\nbee\nfly\nwasp",
		"LICENSE": "CC0 1.0 Universal"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(filepath.Dir(dir))
	code, out, errs := runTrain(t, "-data", filepath.Base(dir), "-network", dir+"/tiny.json", "-runs",
		dir+"/runs", "-epochs", "1", "-validation", "0.25")
	if code != cli.ExitOK {
		t.Fatal(errs)
	}
	name := filepath.Base(dir)
	want := "trained on " + name + ":train, 96 images 1×8×8, 4 classes; tested on " +
		name + ":t10k, 96 images 1×8×8, 4 classes\n"
	if !strings.HasPrefix(out, want) {
		t.Errorf("the run begins with\n%s, want\n%s", out, want)
	}
	sets := recorded(t, dir+"/runs/tiny")
	training, err := dataset.Open(t.Context(), dir+":train", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := sets.Training
	if got.Place != dir+":train" || got.SHA256 != training.Digest() || got.Images != 96 ||
		got.Classes != 4 || got.Height != 8 ||
		!slices.Equal(got.ClassNames, []string{"ant", "bee", "fly", "wasp"}) ||
		got.Licence != "CC0 1.0 Universal (the set's file LICENSE)" || got.Title != "" {
		t.Errorf("the training set is recorded as %+v", got)
	}
	if sets.Test == nil || sets.Test.Place != dir+":t10k" || sets.Validation == nil ||
		sets.Validation.Images != 24 {
		t.Errorf("recorded are %+v", sets)
	}
	// It is found again from any working folder, under the name that it had.
	t.Chdir(t.TempDir())
	code, out, errs = runTrain(t, "-resume", "-name", "tiny", "-runs", dir+"/runs", "-epochs", "2")
	if code != cli.ExitOK || !strings.Contains(out, want) || strings.Contains(out, "note: ") {
		t.Errorf("resumed: exit %d, %s%s", code, out, errs)
	}
	if again := recorded(t, dir+"/runs/tiny"); again.Training.Name != name+":train" ||
		again.Training.SHA256 != got.SHA256 {
		t.Errorf("afterwards recorded as %+v", again.Training)
	}
}

// What the flags say of a set is recorded, and stays on record.
func TestLabelsAndLicence(t *testing.T) {
	dir := fixture(t)
	labels := filepath.Join(dir, "names")
	if err := os.WriteFile(labels, []byte("a\nb\nc\nd\ne\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := runTrain(t, arguments(dir, "-epochs", "1", "-labels", labels, "-licence",
		"ask me")...); code != cli.ExitOK {
		t.Fatal(errs)
	}
	for i := range 2 {
		sets := recorded(t, dir+"/runs/tiny")
		if got := sets.Training; got.Licence != "ask me" ||
			!slices.Equal(got.ClassNames, []string{"a", "b", "c", "d", "e"}) || got.Classes != 5 {
			t.Errorf("after %d resumptions: %+v", i, got)
		}
		if code, _, errs := runTrain(t, "-resume", "-name", "tiny", "-runs", dir+"/runs", "-epochs",
			[]string{"2", "3"}[i]); code != cli.ExitOK {
			t.Fatal(errs)
		}
	}
	if err := os.WriteFile(labels, []byte("a\nb\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	code, _, errs := runTrain(t, arguments(dir, "-name", "short", "-labels", labels)...)
	if code != cli.ExitFailure || !strings.Contains(errs, "2 class names, but labels are 0 to 3") {
		t.Errorf("too few: exit %d, %s", code, errs)
	}
}

// A test set that does not go with the run is refused before the first step, and no run
// is begun.
func TestATestSetThatDoesNotFit(t *testing.T) {
	dir, other := fixture(t), t.TempDir()
	write := func(shape []int, labels []byte) {
		t.Helper()
		size := 1
		for _, n := range shape {
			size *= n
		}
		writeIDX(t, filepath.Join(other, "t10k-images-idx3-ubyte"), shape, make([]byte, size))
		writeIDX(t, filepath.Join(other, "t10k-labels-idx1-ubyte"), []int{shape[0]}, labels)
	}
	for _, test := range []struct {
		shape  []int
		labels []byte
		says   string
	}{
		{[]int{2, 9, 9}, []byte{0, 1}, "tiny takes 1×8×8, the images of " + other + ":t10k are 1×9×9"},
		{[]int{2, 3, 8, 8}, []byte{0, 1}, "are 3×8×8"},
		{[]int{2, 8, 8}, []byte{3, 11}, "has 10 logits, " +
			other + ":t10k has 12 classes: labels are 3 to 11"},
	} {
		write(test.shape, test.labels)
		code, out, errs := runTrain(t, arguments(dir, "-test", other)...)
		if code != cli.ExitFailure || !strings.Contains(errs, test.says) ||
			!strings.Contains(errs, "-test names another one, or none") || strings.Contains(out, "Step") {
			t.Errorf("%v: exit %d, %s%s", test.shape, code, out, errs)
		}
	}
	if _, err := os.Stat(dir + "/runs"); err == nil {
		t.Error("a run was begun all the same")
	}
	// Classes that are called otherwise are other classes.
	write([]int{2, 8, 8}, []byte{0, 1})
	for folder, text := range map[string]string{dir: "a\nb\nc\nd", other: "b\na"} {
		if err := os.WriteFile(filepath.Join(folder, "labels.txt"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	code, _, errs := runTrain(t, arguments(dir, "-test", other)...)
	if code != cli.ExitFailure || !strings.Contains(errs, `class 0 is "a" in `) {
		t.Errorf("other names: exit %d, %s", code, errs)
	}
}

// The test set of a run is part of it: it is found again, it may be moved, it may not
// change unnoticed, and another one is said to be another one.
func TestTheTestSetOfAResumedRun(t *testing.T) {
	dir := fixture(t)
	if code, _, errs := runTrain(t, arguments(dir, "-epochs", "1")...); code != cli.ExitOK {
		t.Fatal(errs)
	}
	resume := func(more ...string) (int, string, string) {
		t.Helper()
		return runTrain(t,
			append([]string{"-resume", "-name", "tiny", "-runs", dir + "/runs", "-epochs", "2"}, more...)...)
	}
	labels := filepath.Join(dir, "t10k-labels-idx1-ubyte")
	whole := read(t, labels)
	changed := slices.Clone(whole)
	changed[len(changed)-1] ^= 1
	if err := os.WriteFile(labels, changed, 0o666); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := resume(); code != cli.ExitFailure ||
		!strings.Contains(errs, "the run's test set: the set has changed since") ||
		!strings.Contains(errs, "-test names") {
		t.Errorf("changed: exit %d, %s", code, errs)
	}
	if code, out, errs := resume("-test", dir); code != cli.ExitOK ||
		!strings.Contains(out, "another set, from here on") {
		t.Errorf("another one on purpose: exit %d, %s%s", code, out, errs)
	}
	if err := os.Remove(labels); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := resume("-epochs", "3"); code != cli.ExitFailure ||
		!strings.Contains(errs, "the run's test set: ") || !strings.Contains(errs, ", or none") {
		t.Errorf("gone: exit %d, %s", code, errs)
	}
	code, out, errs := resume("-epochs", "3", "-test", "none")
	if code != cli.ExitOK || !strings.Contains(out, "it is tested on nothing from here on") {
		t.Errorf("none: exit %d, %s%s", code, out, errs)
	}
	// What was chosen stays chosen.
	if code, out, errs := resume("-epochs", "4"); code != cli.ExitOK ||
		strings.Contains(out, "note: ") || !strings.Contains(out, "tested on nothing") {
		t.Errorf("afterwards: exit %d, %s%s", code, out, errs)
	}
}

// Without a set of its own to test on, a run is tested on none, and says so; MNIST's test
// set is taken for MNIST alone.
func TestNoSetIsTakenForMNIST(t *testing.T) {
	dir := fixture(t)
	for _, name := range []string{"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errs := runTrain(t, "-data", dir, "-network", dir+"/tiny.json", "-runs", dir+"/runs",
		"-epochs", "1")
	if code != cli.ExitOK || !strings.Contains(out, "; tested on nothing\n") ||
		strings.Contains(out, "Accuracy") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	code, out, errs = runTrain(t, "-data", "t10k", "-runs", dir+"/runs", "-epochs", "1", "-name",
		"digits", "-threads", "1", "-batch", "1000")
	if code != cli.ExitOK ||
		!strings.HasPrefix(out,
			"trained on t10k (MNIST), 10,000 images 1×28×28, 10 classes; tested on nothing\n") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
}

// An experiment's network has as many logits as the sets have classes.
func TestAnExperimentTakesTheClassesOfItsSet(t *testing.T) {
	dir := t.TempDir()
	const n = 32
	labels := make([]byte, n)
	for i := range labels {
		labels[i] = byte(i % 3)
	}
	writeIDX(t, filepath.Join(dir, "train-images-idx3-ubyte"), []int{n, 28, 28}, make([]byte, n*784))
	writeIDX(t, filepath.Join(dir, "train-labels-idx1-ubyte"), []int{n}, labels)
	code, out, errs := runTrain(t, "-data", dir, "-runs", dir+"/runs", "-epochs", "1")
	if code != cli.ExitOK || !strings.Contains(out, "fc2      Dense          3 ") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	code, _, errs = runTrain(t, "-data", fixture(t), "-runs", dir+"/runs")
	if code != cli.ExitFailure || !strings.Contains(errs, "e1 takes 1×28×28") ||
		!strings.Contains(errs, "-network names a file with a network for these images") {
		t.Errorf("of another size: exit %d, %s", code, errs)
	}
}

// -labels gives the classes of the test set's folders other names, too, and a run goes on with
// them.
func TestLabelsRenameTheTestSet(t *testing.T) {
	dir := pictureFixture(t)
	labels := filepath.Join(dir, "names.txt")
	writeFile(t, labels, []byte("Ameise\nBiene\nKatze\n"))
	arguments := []string{"-network", dir + "/own.json", "-resize", "8x8", "-data", dir + "/own",
		"-test", dir + "/own", "-labels", labels, "-epochs", "1", "-runs", dir + "/runs", "-name",
		"renamed"}
	if code, _, errs := runTrain(t, arguments...); code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if code, _, errs := runTrain(t, "-resume", "-name", "renamed", "-runs", dir+"/runs", "-epochs",
		"2"); code != cli.ExitOK {
		t.Fatalf("going on: exit %d: %s", code, errs)
	}
	run, err := train.OpenRun(dir + "/runs/renamed")
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, _, _, err := run.Latest()
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{checkpoint.Sets.Training.ClassNames,
		checkpoint.Sets.Test.ClassNames} {
		if !slices.Equal(names, []string{"Ameise", "Biene", "Katze"}) {
			t.Errorf("the classes are %q", names)
		}
	}
}
