package experiment

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway/internal/cli"
	"slipway/internal/cli/clitest"
	"slipway/internal/librarytest"
	"slipway/internal/study"
)

// actAsExperiment makes the test binary the command itself, so that a test can kill
// a real process.
const actAsExperiment = "SLIPWAY_TEST_ACT_AS_EXPERIMENT"

func TestMain(m *testing.M) {
	if os.Getenv(actAsExperiment) != "" {
		os.Exit(Main(os.Args[1:]))
	}
	librarytest.Main(m)
}

// tiny is a study of four runs of some epochs each on the first images of the test
// set.
const tiny = `question: Does dropout help a tiny network?
data: t10k
test: t10k
images: 300
test_images: 100
networks:
  tiny:
  - conv2d: {filters: 2, kernel: 5, stride: 3}
  - relu
  - flatten
  - dropout: {p: 0.1}
  - dense: {units: 10}
base: tiny
fixed: {epochs: 4, batch_size: 1}
grid: {dropout: [0.1, 0.5]}
seeds: 2
parallel: 2
`

func writeStudy(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny.yaml")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func runExperiment(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), args, console{out: &out, err: &errs})
	return code, out.String(), errs.String()
}

// finalTable is what the command prints last.
func finalTable(out string) string {
	if i := strings.LastIndex(out, "  runs  "); i >= 0 {
		return out[i:]
	}
	return ""
}

// countFinished returns how many runs in the folder are finished.
func countFinished(t *testing.T, runs string) int {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(runs, "pool", "*", study.ResultFile))
	if err != nil {
		t.Fatal(err)
	}
	return len(paths)
}

// A part trains its share and prints no table, whose figures would be of some seeds alone.
func TestRunOfAPart(t *testing.T) {
	path, runs := writeStudy(t, tiny), t.TempDir()
	for _, part := range []string{"1/2", "2/2"} {
		code, out, errs := runExperiment(t, "run", "-runs", runs, "-part", part, path)
		if code != cli.ExitOK || !strings.Contains(out, "part "+part+" of study tiny: ") ||
			finalTable(out) != "" {
			t.Errorf("part %s: exit %d: %s%s", part, code, out, errs)
		}
	}
	code, out, errs := runExperiment(t, "run", "-runs", runs, path)
	if code != cli.ExitOK || finalTable(out) == "" || strings.Contains(out, "[1/") {
		t.Errorf("after both parts: exit %d: %s%s", code, out, errs)
	}
	if code, _, errs := runExperiment(t, "run", "-runs", runs, "-part", "3/2",
		path); code != cli.ExitUsage || !strings.Contains(errs, "give I/N") {
		t.Errorf("part 3/2: exit %d: %s", code, errs)
	}
}

func TestRunPrintsATable(t *testing.T) {
	runs := t.TempDir()
	curves := t.TempDir()
	code, out, errs := runExperiment(t, "run", "-runs", runs, "-tensorboard", curves,
		writeStudy(t, tiny))
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, want := range []string{"study tiny, into " + filepath.Join(runs, "tiny"), "[4/4] ",
		"4 epochs in ", "all are done", "dropout=0.5"} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	results, err := study.Read(filepath.Join(runs, "tiny"))
	if err != nil || len(results) != 4 {
		t.Fatalf("%d results: %v", len(results), err)
	}
	for _, r := range results {
		if len(r.History) != 4 || r.Stopped != "epochs" || r.History[3].TestAccuracy == nil ||
			*r.History[3].TestAccuracy != r.TestAccuracy {
			t.Errorf("%+v", r)
		}
		for _, name := range []string{study.WeightsFile, study.ModelFile, study.HistoryFile} {
			if info, err := os.Stat(filepath.Join(r.Dir, name)); err != nil || info.Size() == 0 {
				t.Errorf("%s: %v", name, err)
			}
		}
		if info, err := os.Stat(filepath.Join(r.Dir, study.LogitsFile)); err != nil ||
			info.Size() != 4*10*100 {
			t.Errorf("%s: %v", study.LogitsFile, err)
		}
		name := fmt.Sprintf("%s, seed %d", r.Setting, r.Seed)
		if events, err := filepath.Glob(filepath.Join(curves, "tiny", name, "*tfevents*")); err != nil ||
			len(events) != 1 {
			t.Errorf("event files %v, %v", events, err)
		}
		if _, err := os.Stat(filepath.Join(r.Dir, "checkpoints")); err == nil {
			t.Error("a finished run keeps its checkpoints")
		}
	}
}

// A study that is killed with SIGKILL, six times, comes to the table of an
// unbroken one, and trains no finished run again.
func TestAKilledStudyGoesOn(t *testing.T) {
	file := writeStudy(t, tiny)
	code, unbroken, errs := runExperiment(t, "run", "-runs", t.TempDir(), file)
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	runs := t.TempDir()
	killed, written := 0, make(map[string]time.Time)
	var out bytes.Buffer
	for {
		process := exec.CommandContext(t.Context(), os.Args[0], "run", "-runs", runs, file)
		process.Env = append(os.Environ(), actAsExperiment+"=1")
		out.Reset()
		process.Stdout, process.Stderr = &out, &out
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		before, _ := filepath.Glob(filepath.Join(runs, "pool", "*", "checkpoints", "step-*"))
		ended := make(chan error, 1)
		go func() { ended <- process.Wait() }()
		if killed == 6 {
			if err := <-ended; err != nil {
				t.Fatalf("%v: %s", err, out.String())
			}
			break
		}
		// The next kill comes when something new was saved.
		err, done := waitForNew(t, filepath.Join(runs, "pool", "*", "checkpoints", "step-*"), before,
			ended)
		if done {
			if err != nil {
				t.Fatalf("%v: %s", err, out.String())
			}
			break
		}
		if err := process.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-ended
		killed++
		for _, path := range results(t, runs) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if was, known := written[path]; known && !was.Equal(info.ModTime()) {
				t.Errorf("%s was written again", path)
			}
			written[path] = info.ModTime()
		}
	}
	if killed < 3 {
		t.Errorf("killed %d times only", killed)
	}
	if got, want := finalTable(out.String()), finalTable(unbroken); got != want || want == "" {
		t.Errorf("killed %d times, the table is\n%s\nunbroken it is\n%s", killed, got, want)
	}
	if n := countFinished(t, runs); n != 4 {
		t.Errorf("%d finished runs, want 4", n)
	}
}

func results(t *testing.T, runs string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(runs, "pool", "*", study.ResultFile))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// waitForNew waits until the pattern matches a file that it did not match before, or
// the process has ended.
func waitForNew(t *testing.T, pattern string, before []string, ended <-chan error) (err error,
	done bool) {
	t.Helper()
	known := make(map[string]bool)
	for _, path := range before {
		known[path] = true
	}
	for {
		select {
		case err := <-ended:
			return err, true
		case <-time.After(2 * time.Millisecond):
		}
		now, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range now {
			if !known[path] {
				return nil, false
			}
		}
	}
}

// Ctrl-C saves, says how to go on, and fails.
func TestInterrupt(t *testing.T) {
	runs, file := t.TempDir(), writeStudy(t, strings.Replace(tiny, "epochs: 4", "epochs: 400", 1))
	process := exec.CommandContext(t.Context(), os.Args[0], "run", "-runs", runs, file)
	process.Env = append(os.Environ(), actAsExperiment+"=1")
	var out, errs bytes.Buffer
	process.Stdout, process.Stderr = &out, &errs
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	pattern := filepath.Join(runs, "pool", "*", "checkpoints", "step-*")
	if err, done := waitForNew(t, pattern, nil, ended); done {
		t.Fatalf("%v: %s", err, errs.String())
	}
	if err := process.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-ended
	if code := process.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit %d", code)
	}
	for _, want := range []string{"interrupted", "saved", "Go on with the same command"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("the error lacks %q: %s", want, errs.String())
		}
	}
	if n := countFinished(t, runs); n != 0 {
		t.Errorf("%d runs are finished", n)
	}
}

func TestQuickHasAFolderOfItsOwn(t *testing.T) {
	o, err := parseRun([]string{"-quick", "a.yaml"}, os.Stderr)
	if err != nil || o.runs != filepath.Join("runs", "studies-quick") {
		t.Errorf("%+v, %v", o, err)
	}
	runs := t.TempDir()
	code, out, errs := runExperiment(t, "run", "-quick", "-runs", runs, writeStudy(t, tiny))
	if code != cli.ExitOK || !strings.Contains(out, "1 epoch in ") ||
		!strings.Contains(out, "the short form") {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	plan, err := study.ReadPlan(filepath.Join(runs, "tiny"))
	if err != nil || !plan.Quick {
		t.Errorf("%+v, %v", plan, err)
	}
	// The full form does not go into the short form's folder.
	code, _, errs = runExperiment(t, "run", "-runs", runs, writeStudy(t, tiny))
	if code != cli.ExitFailure || !strings.Contains(errs, "short form") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestUsage(t *testing.T) {
	bad := writeStudy(t, "gird: {}\n")
	good := writeStudy(t, tiny)
	damaged := filepath.Join(t.TempDir(), "damaged.yaml")
	if err := os.WriteFile(damaged, []byte("grid: [\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{nil, cli.ExitUsage, "say what to do: compare or curves or insights or list or report or run"},
		{[]string{"rnu"}, cli.ExitUsage, `did you mean "run"`},
		{[]string{"run"}, cli.ExitUsage, "a study file is missing"},
		{[]string{"run", "-quik", good}, cli.ExitUsage, "did you mean -quick"},
		{[]string{"run", "-parallel", "-1", good}, cli.ExitUsage, "negative"},
		{[]string{"run", "-threads", "many", good}, cli.ExitUsage, "many"},
		{[]string{"run", "nothing.yaml"}, cli.ExitFailure, "no such file"},
		{[]string{"run", bad}, cli.ExitFailure, bad + ":1: "},
		{[]string{"run", damaged}, cli.ExitFailure, damaged},
		// The second file is wrong: the first is not begun.
		{[]string{"run", good, bad}, cli.ExitFailure, bad},
		{[]string{"-h"}, cli.ExitOK, "experiment run experiments/"},
		{[]string{"run", "-h"}, cli.ExitOK, "-parallel"},
	} {
		runs := filepath.Join(t.TempDir(), "runs")
		args := test.args
		if len(args) > 1 && args[0] == "run" {
			args = append([]string{"run", "-runs", runs}, args[1:]...)
		}
		code, out, errs := runExperiment(t, args...)
		told := errs
		if code == cli.ExitOK {
			told = out
		}
		if code != test.code || !strings.Contains(told, test.want) {
			t.Errorf("%q: exit %d, want %d with %q: %s", args, code, test.code, test.want, told)
		}
		if _, err := os.Stat(runs); err == nil {
			t.Errorf("%q left something in %s", args, runs)
		}
	}
	if code, out, _ := runExperiment(t, "run", "-version"); code != cli.ExitOK ||
		!strings.HasPrefix(out, "experiment run ") {
		t.Errorf("exit %d: %s", code, out)
	}
}

// A terminal shows the table while it goes, and takes it away at the end.
func TestTheTableOnATerminal(t *testing.T) {
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"run", "-runs", t.TempDir(), writeStudy(t, tiny)},
		console{out: &out, err: &errs, terminal: true, rows: 24, columns: 100})
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	for _, want := range []string{"\x1b[", "epoch ", "of at most 4 [", " of 4 runs, "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%q", want, out.String())
		}
	}
	for _, line := range strings.Split(out.String(), "\n") {
		line = line[strings.LastIndex("\x1b[J"+line, "\x1b[J"):]
		if strings.Contains(line, "of at most") && len([]rune(line)) > 100 {
			t.Errorf("a line of the table is wider than the terminal: %q", line)
		}
	}
	// What is on the screen in the end has no bar.
	screen := out.String()
	screen = screen[strings.LastIndex(screen, "\x1b[J")+1:]
	if strings.Contains(screen, "runs, ") || finalTable(screen) == "" {
		t.Errorf("the screen ends in %q", screen)
	}
}

// The examples of the help are command lines that the command takes.
func TestExamples(t *testing.T) {
	clitest.CheckExamples(t, "experiment run", func(args []string, stdout io.Writer) error {
		_, err := parseRun(args, stdout)
		return err
	})
}
