package study

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/internal/kernel"
	"slipway/train"
)

// small is the head of studies that train within a second: a network of a few
// parameters on the first images of the test set.
const small = `
data: t10k
test: t10k
images: 200
test_images: 100
networks:
  tiny:
  - conv2d: {filters: 2, kernel: 5, stride: 3}
  - relu
  - flatten
  - dropout: {p: 0.1}
  - dense: {units: 10}
base: tiny
`

func readStudy(t *testing.T, name, text string) *File {
	t.Helper()
	return readWhole(t, name, small+text)
}

// readWhole reads a study of that name and text.
func readWhole(t *testing.T, name, text string) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".yaml")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	file, err := ReadFile(path)
	if err == nil {
		err = file.Load(t.Context(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// counter notes which runs were trained.
type counter struct {
	began, finished, reused int
	goneOn                  []int // epochs that runs had done when they began
	evaluated               []string
	onPlanned, onEpoch      func()
	onStep                  func(train.StepReport)
}

func (c *counter) Finished(int, Result) { c.finished++ }
func (c *counter) Planned(_ []Run, finished map[int]Result, _ int) {
	c.reused = len(finished)
	if c.onPlanned != nil {
		c.onPlanned()
	}
}
func (c *counter) Began(_ int, epochs int) {
	c.began++
	c.goneOn = append(c.goneOn, epochs)
}
func (c *counter) Evaluating(name string, runs int) {
	c.evaluated = append(c.evaluated, fmt.Sprint(name, runs))
}
func (c *counter) Step(_ int, report train.StepReport) {
	if c.onStep != nil {
		c.onStep(report)
	}
}
func (c *counter) Epoch(int, train.Epoch) {
	if c.onEpoch != nil {
		c.onEpoch()
	}
}

// table is all of the results that must come out the same however they came to be.
func table(results []Result) string {
	var text strings.Builder
	for _, r := range results {
		fmt.Fprintf(&text, "%s %s %q %d %s %v %v %v %v %v", r.ID, r.Study, r.Setting, r.Seed, r.Stopped,
			r.TrainAccuracy, r.TrainLoss, r.TestAccuracy, r.TestLoss, r.Values)
		for _, epoch := range r.History {
			fmt.Fprintf(&text, " %v", epoch.MeanLoss)
		}
		for _, name := range slices.Sorted(maps.Keys(r.Robustness)) {
			fmt.Fprintf(&text, " %s %v", name, r.Robustness[name])
		}
		text.WriteString("\n")
	}
	return text.String()
}

func execute(t *testing.T, file *File, root string, parallel int) ([]Result, *counter) {
	t.Helper()
	count := new(counter)
	results, err := Execute(t.Context(), file,
		Options{Root: root, Parallel: parallel, Progress: count})
	if err != nil {
		t.Fatal(err)
	}
	return results, count
}

// Several trainers in one process compute what one after the other does, to the
// last bit of the weights.
func TestParallelRunsAreThoseOneByOne(t *testing.T) {
	const text = "grid: {dropout: [0.1, 0.5]}\nfixed: {epochs: 2}\nseeds: 3\n"
	one, several := t.TempDir(), t.TempDir()
	first, _ := execute(t, readStudy(t, "s", text), one, 1)
	second, count := execute(t, readStudy(t, "s", text), several, 4)
	if table(first) != table(second) || len(first) != 6 || count.finished != 6 {
		t.Errorf("one by one:\n%s\nfour at a time:\n%s", table(first), table(second))
	}
	for _, result := range first {
		for _, name := range []string{WeightsFile, ModelFile, LogitsFile} {
			a, errA := os.ReadFile(filepath.Join(result.Dir, name))
			b, errB := os.ReadFile(filepath.Join(several, poolFolder, result.ID, name))
			if err := errors.Join(errA, errB); err != nil {
				t.Fatal(err)
			}
			if string(a) != string(b) {
				t.Errorf("%s of %s, seed %d, differs", name, result.Setting, result.Seed)
			}
		}
	}
}

// Runs in bf16 are trained where the CPU multiplies it, before others that would be trained for
// nothing, and reported anywhere.
func TestRunsInBF16(t *testing.T) {
	text := strings.NewReplacer("filters: 2", "filters: 16",
		"  - flatten", "  - conv2d: {filters: 16, kernel: 3}\n  - flatten").Replace(small)
	text += "list:\n- name: plain\n- name: rounded\n  set: {precision: bf16}\nfixed: {epochs: 1}\n"
	root := t.TempDir()
	t.Run("elsewhere", func(t *testing.T) {
		t.Setenv(kernel.EnvironmentVariable, "portable") // which multiplies float32 alone
		count := new(counter)
		_, err := Execute(t.Context(), readWhole(t, "s", text), Options{Root: root, Progress: count})
		const says = "(rounded, seed 0), which is on the CPU: precision bf16: "
		if err == nil || !strings.Contains(err.Error(), says) || count.began > 0 {
			t.Errorf("%d runs began, and %v; want %q", count.began, err, says)
		}
	})
	if err := (train.Config{Precision: train.PrecisionBF16}).CheckCPU(); err != nil {
		t.Skip(err)
	}
	trained, _ := execute(t, readWhole(t, "s", text), root, 1)
	t.Setenv(kernel.EnvironmentVariable, "portable")
	there, count := execute(t, readWhole(t, "s", text), root, 1)
	if table(there) != table(trained) || count.began > 0 {
		t.Errorf("%d runs began:\n%s\nwere\n%s", count.began, table(there), table(trained))
	}
}

// A run that another study has finished is not trained again, and bears the name of
// the study that asks.
func TestStudiesShareRuns(t *testing.T) {
	root := t.TempDir()
	execute(t, readStudy(t, "first", "grid: {dropout: [0.1, 0.5]}\nfixed: {epochs: 1}\nseeds: 2\n"),
		root, 2)
	results, count := execute(t,
		readStudy(t, "second",
			"list:\n- name: plain\n- name: long\n  set: {epochs: 2}\nfixed: {epochs: 1}\nseeds: 3\n"), root,
		2)
	// Seeds 0 and 1 of "plain" are the first study's dropout=0.1.
	if count.reused != 2 || count.began != 4 || len(results) != 6 {
		t.Errorf("%d runs were there, %d trained, %d results", count.reused, count.began, len(results))
	}
	for i, result := range results {
		if want := []string{"plain", "long"}[i/3]; result.Setting != want || result.Seed != uint64(i%3) ||
			result.Study != "second" {
			t.Errorf("result %d is %s of %s, seed %d", i, result.Setting, result.Study, result.Seed)
		}
	}
	_, count = execute(t,
		readStudy(t, "first", "grid: {dropout: [0.1, 0.5]}\nfixed: {epochs: 1}\nseeds: 2\n"), root, 2)
	if count.began != 0 || count.reused != 4 {
		t.Errorf("again: %d runs were there, %d trained", count.reused, count.began)
	}
}

// What a study asks to evaluate later is made up for without training.
func TestRobustnessIsMadeUpFor(t *testing.T) {
	root := t.TempDir()
	const text = "grid: {dropout: [0.1, 0.5]}\nfixed: {epochs: 1}\nseeds: 2\n"
	before, _ := execute(t, readStudy(t, "s", text), root, 2)
	after, count := execute(t, readStudy(t, "s", text+"evaluate: {robustness: [contrast, shift]}\n"),
		root, 2)
	if count.began != 0 || !slices.Equal(count.evaluated, []string{"contrast4", "shift4"}) {
		t.Errorf("%d runs trained, evaluated %v", count.began, count.evaluated)
	}
	for i, result := range after {
		if before[i].ID != result.ID || len(result.Robustness) != 2 ||
			len(result.Robustness["shift"]) != 5 {
			t.Errorf("run %s has %v", result.ID, result.Robustness)
		}
	}
	again, count := execute(t, readStudy(t, "s", text+"evaluate: {robustness: [shift]}\n"), root, 1)
	if table(again) != table(after) || count.evaluated != nil {
		t.Errorf("evaluated again: %v", count.evaluated)
	}
}

// An interrupted study goes on where it was and comes to the same.
func TestAnInterruptedStudyGoesOn(t *testing.T) {
	const text = "grid: {dropout: [0.1, 0.5]}\nfixed: {epochs: 3}\nseeds: 2\n"
	unbroken, _ := execute(t, readStudy(t, "s", text), t.TempDir(), 2)
	root := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	epochs := 0
	_, err := Execute(ctx, readStudy(t, "s", text),
		Options{Root: root, Parallel: 2, Progress: &counter{onEpoch: func() {
			if epochs++; epochs == 5 {
				stop()
			}
		}}})
	if !errors.Is(err, ErrInterrupted) {
		t.Fatalf("the error is %v", err)
	}
	resumed, count := execute(t, readStudy(t, "s", text), root, 2)
	if table(resumed) != table(unbroken) {
		t.Errorf("after an interruption:\n%s\nunbroken:\n%s", table(resumed), table(unbroken))
	}
	if count.began == 4 && count.reused == 0 {
		t.Log("nothing was finished before the interruption")
	}
}

// interrupt executes the study until so many epochs are done.
func interrupt(t *testing.T, file *File, root string, after int) *counter {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	count := new(counter)
	count.onEpoch = func() {
		if after--; after == 0 {
			stop()
		}
	}
	if _, err := Execute(ctx, file, Options{Root: root, Parallel: 1, Progress: count}); !errors.Is(err,
		ErrInterrupted) {
		t.Fatalf("the error is %v", err)
	}
	return count
}

// A study interrupted while an epoch is evaluated goes on after that epoch.
func TestAnInterruptedEvaluationKeepsTheEpoch(t *testing.T) {
	root := t.TempDir()
	file := readStudy(t, "s",
		"grid: {dropout: [0.1]}\nfixed: {epochs: 3, validation_fraction: 0.25}\n")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	_, err := Execute(ctx, file,
		Options{Root: root, Progress: &counter{onStep: func(report train.StepReport) {
			if report.Epoch == 2 && report.Step == report.Steps {
				stop()
			}
		}}})
	if !errors.Is(err, ErrInterrupted) {
		t.Fatalf("the error is %v", err)
	}
	if _, count := execute(t, file, root, 1); !slices.Equal(count.goneOn, []int{2}) {
		t.Errorf("the run went on after %v epochs, not after 2", count.goneOn)
	}
}

// A run that could not be saved when the study was interrupted is a failure.
func TestAnInterruptionThatCannotBeSaved(t *testing.T) {
	root := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	_, err := Execute(ctx, readStudy(t, "s", "grid: {dropout: [0.1]}\nfixed: {epochs: 3}\n"),
		Options{Root: root, Progress: &counter{onStep: func(report train.StepReport) {
			if report.Step != 2 {
				return
			}
			dirs, err := filepath.Glob(filepath.Join(root, poolFolder, "*", "checkpoints"))
			if err != nil || len(dirs) != 1 {
				t.Errorf("%v, %v", dirs, err)
				return
			}
			if err := os.Mkdir(filepath.Join(dirs[0], "step-00000002.safetensors"), 0o777); err != nil {
				t.Error(err)
			}
			stop()
		}}})
	if errors.Is(err, ErrInterrupted) || err == nil ||
		!strings.Contains(err.Error(), "step-00000002.safetensors is a folder") {
		t.Errorf("the error is %v", err)
	}
}

// A run of which no checkpoint is whole starts again, and what it writes from then on
// is not taken for older than what is damaged.
func TestDamagedCheckpointsAreNoLongerInTheWay(t *testing.T) {
	root := t.TempDir()
	file := readStudy(t, "s", "grid: {dropout: [0.1]}\nfixed: {epochs: 4}\n")
	interrupt(t, file, root, 3)
	paths, err := filepath.Glob(filepath.Join(root, poolFolder, "*", "checkpoints", "*"))
	if err != nil || len(paths) != 2 {
		t.Fatalf("%v, %v", paths, err)
	}
	for _, path := range paths {
		if err := os.Truncate(path, 20); err != nil {
			t.Fatal(err)
		}
	}
	again := interrupt(t, file, root, 1)
	results, last := execute(t, file, root, 1)
	if !slices.Equal(again.goneOn, []int{0}) || !slices.Equal(last.goneOn, []int{1}) ||
		len(results) != 1 {
		t.Errorf("the run went on after %v epochs, then after %v", again.goneOn, last.goneOn)
	}
}

// A run that diverges is a finding, not a failure.
func TestARunThatDiverges(t *testing.T) {
	results, _ := execute(t,
		readStudy(t, "s", "grid: {learning_rate: [1e30]}\nfixed: {optimizer: sgd, epochs: 2}\n"),
		t.TempDir(), 1)
	if len(results) != 1 || !strings.HasPrefix(results[0].Stopped, "diverged: the loss is ") {
		t.Fatalf("%+v", results)
	}
}

// One that diverges in the last step of an epoch is found by what is evaluated after it,
// and does not keep the study from its end.
func TestARunThatDivergesAtTheEndOfAnEpoch(t *testing.T) {
	for _, test := range []struct{ rate, fixed, stopped string }{
		{"1e30", "", "diverged: the final weights give no number"},
		{"1e30", ", validation_fraction: 0.25", "diverged: the validation loss is NaN after epoch 1"},
		{"1e39", "", "diverged: the weights are no longer finite after epoch 1, step 1"}, // infinite as a float32
	} {
		text := fmt.Sprintf(
			"grid: {learning_rate: [%s]}\nfixed: {optimizer: sgd, epochs: 1, batch_size: 200%s}\n",
			test.rate, test.fixed)
		results, _ := execute(t, readStudy(t, "s", text), t.TempDir(), 1)
		if len(results) != 1 || results[0].Stopped != test.stopped {
			t.Errorf("%+v: %+v", test, results)
		}
	}
}

// A threshold ends a run, and is the reason given.
func TestUntilLoss(t *testing.T) {
	results, _ := execute(t, readStudy(t, "s", "grid: {until_loss: [100]}\n"), t.TempDir(), 1)
	if len(results) != 1 || results[0].Stopped != "loss below 100" || len(results[0].History) != 1 {
		t.Fatalf("%+v", results)
	}
}

func TestTwoSettingsThatAreOneRun(t *testing.T) {
	file := readStudy(t, "s", "list: [{name: a}, {name: b, set: {l1: 0}}]\n")
	_, err := Execute(t.Context(), file, Options{Root: t.TempDir(), Progress: new(counter)})
	if err == nil || !strings.Contains(err.Error(), `"a" and "b" are one and the same`) {
		t.Errorf("%v", err)
	}
}
