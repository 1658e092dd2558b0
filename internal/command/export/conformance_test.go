package export

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/export"
	"slipway/internal/cli"
)

// python returns the Python that runs the conformance script.
func python(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Skipf("scripts/conformance needs Python 3: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// TestRuntimesAreThoseOfTheScript holds the names that -verify takes against those
// that the script knows.
func TestRuntimesAreThoseOfTheScript(t *testing.T) {
	interpreter := python(t)
	script, err := export.FindConformance()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(interpreter, script, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	var usual, optional []string
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		name := strings.Fields(line)[0]
		switch {
		case strings.Contains(line, "optional"):
			optional = append(optional, name)
		case name == "onnxruntime-go" || name == "native-go" || name == "onnx-go":
			// This program's own, through infer.
		default:
			usual = append(usual, name)
		}
	}
	if !slices.Equal(usual, export.ForeignRuntimes()) ||
		!slices.Equal(optional, export.OptionalRuntimes()) {
		t.Errorf("the script knows %v and, where asked, %v; export %v and %v", usual, optional,
			export.ForeignRuntimes(), export.OptionalRuntimes())
	}
}

// TestVerifyOfScaledPixels exports a network of normalised pixels after Python's
// onnxruntime, which knows of the formula only from the graph, agreed on all
// images; with a tolerance that no rounding keeps to it writes nothing.
func TestVerifyOfScaledPixels(t *testing.T) {
	python(t)
	path := smallRun(t, "0.1307,0.3081")
	dir := t.TempDir()
	output := filepath.Join(dir, "scaled.onnx")
	code, out, errs := runExport("-run", path, "-o", output, "-verify", "native,onnxruntime-python")
	if strings.Contains(errs, "could not be asked: python") {
		t.Skipf("Python's onnxruntime cannot be installed here: %s", errs)
	}
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, want := range []string{"native " + cli.ModuleVersion, "onnxruntime (Python) 1.", "wrote " +
		output} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	if n := strings.Count(out, "0 labels differ"); n != 2 {
		t.Errorf("%d runtimes agree, want 2:\n%s", n, out)
	}
	card, err := os.ReadFile(filepath.Join(dir, "scaled", "README.md"))
	if err != nil || !strings.Contains(string(card), "| onnxruntime (Python) 1.") {
		t.Errorf("%v, the card lacks the runtime:\n%s", err, card)
	}

	again := filepath.Join(dir, "again.onnx")
	code, _, errs = runExport("-run", path, "-o", again, "-verify", "onnxruntime-python", "-tolerance",
		"1e-12")
	if code != cli.ExitFailure ||
		!strings.Contains(errs,
			"onnxruntime-python does not answer as the trainer does: largest difference is") ||
		!strings.Contains(errs, "nothing was written") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if _, err := os.Stat(again); err == nil {
		t.Error("the graph was written")
	}
}

// TestVerifyNamesWhatCannotBeInstalled takes away npm, node and cargo.
func TestVerifyNamesWhatCannotBeInstalled(t *testing.T) {
	programs := t.TempDir()
	if err := os.Symlink(python(t), filepath.Join(programs, "python3")); err != nil {
		t.Fatal(err)
	}
	path := smallRun(t, "")
	t.Setenv("PATH", programs)
	dir := t.TempDir()
	code, out, errs := runExport("-run", path, "-o", filepath.Join(dir, "small.onnx"), "-verify",
		"onnxruntime-web-node")
	if code != cli.ExitFailure ||
		!strings.Contains(errs, "onnxruntime-web-node could not be asked: ") ||
		!strings.Contains(errs, "leave it out of -verify") ||
		!strings.Contains(out, "FAILED") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v was written (%v)", entries, err)
	}
}

func TestVerifyList(t *testing.T) {
	all := slices.Concat(export.Runtimes(), export.ForeignRuntimes())
	for list, want := range map[string][]string{
		"none":                      nil,
		"all":                       all,
		"native,tract,native":       {"native", "tract"},
		"onnxruntime-java,onnx-go":  {"onnxruntime-java", "onnx-go"},
		"all,onnxruntime-java,ncnn": append(slices.Clone(all), "onnxruntime-java"),
	} {
		if got, err := runtimes(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", list, got, err, want)
		}
	}
	if _, err := runtimes("all,tracd"); err == nil ||
		!strings.Contains(err.Error(), `did you mean "tract"`) {
		t.Errorf("%v", err)
	}
}

// TestScriptsOwnTests runs what tests the script's parts, in Python.
func TestScriptsOwnTests(t *testing.T) {
	interpreter := python(t)
	script, err := export.FindConformance()
	if err != nil {
		t.Fatal(err)
	}
	tests, err := filepath.Glob(filepath.Join(filepath.Dir(script), "*_test.py"))
	if err != nil || len(tests) == 0 {
		t.Fatalf("no *_test.py beside %s: %v", script, err)
	}
	for _, path := range tests {
		t.Run(filepath.Base(path), func(t *testing.T) {
			if out, err := exec.Command(interpreter, path).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
