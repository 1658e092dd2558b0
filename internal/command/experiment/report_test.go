package experiment

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/internal/cli"
	"slipway/internal/datasettest"
	"slipway/internal/study/report"
)

func TestReport(t *testing.T) {
	dir := t.TempDir()
	runs, path := filepath.Join(dir, "runs"), filepath.Join(dir, "tiny.yaml")
	if err := os.WriteFile(path, []byte(tiny), 0o666); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runExperiment(t, "report", "-runs", runs, path); code != cli.ExitFailure ||
		!strings.Contains(stderr, "experiment run makes one") {
		t.Errorf("a report before any run: exit code %d, %s", code, stderr)
	}
	if code, _, stderr := runExperiment(t, "run", "-runs", runs, path); code != cli.ExitOK {
		t.Fatalf("run: exit code %d, %s", code, stderr)
	}
	code, stdout, stderr := runExperiment(t, "report", "-runs", runs, path)
	if page := filepath.Join(dir, "tiny", report.HTMLFile); code != cli.ExitOK ||
		!strings.Contains(stdout, page) {
		t.Fatalf("exit code %d, %q, %s", code, stdout, stderr)
	}
	// The same of the folder of the runs.
	folder, output := filepath.Join(runs, "tiny"), filepath.Join(dir, "other")
	if code, _, stderr := runExperiment(t, "report", folder, "-o", output); code != cli.ExitOK {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	for _, name := range []string{report.MarkdownFile, report.HTMLFile, report.RunsFile} {
		one, other := readFile(t, filepath.Join(dir, "tiny", name)), readFile(t,
			filepath.Join(output, name))
		if !bytes.Equal(one, other) {
			t.Errorf("%s differs between the study's file and its folder", name)
		}
	}
	if text := readFile(t, filepath.Join(output, report.MarkdownFile)); !bytes.Contains(text,
		[]byte("Does dropout help a tiny network?")) {
		t.Error("the report does not have the question")
	}
	// The networks can be asked about any other set; here one that brings itself.
	if code, _, stderr := runExperiment(t, "report", folder, "-o", output, "-unseen",
		"t10k"); code != cli.ExitOK {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	if text := readFile(t, filepath.Join(output, report.MarkdownFile)); !bytes.Contains(text,
		[]byte("| dropout=0.1 | t10k | 10000 |")) {
		t.Error("the report does not have the unseen set")
	}

	insights := filepath.Join(dir, "insights.md")
	histories := filepath.Join("..", "..", "..", "docs", "e2")
	if code, _, stderr := runExperiment(t, "insights", "-experiments", dir, "-histories", histories,
		"-o", insights); code != cli.ExitOK {
		t.Fatalf("insights: exit code %d, %s", code, stderr)
	}
	if text := readFile(t, insights); !bytes.Contains(text, []byte("](./tiny/report.md)")) {
		t.Errorf("the insights do not link to the report:\n%s", text)
	}
}

// A report needs the study's runs, not the models that they began with.
func TestReportWithoutTheModels(t *testing.T) {
	dir := t.TempDir()
	model, runs := filepath.Join(dir, "digits.onnx"), filepath.Join(dir, "runs")
	if err := os.WriteFile(model, readFile(t, filepath.Join("..", "..", "..", "graphs", "e1.onnx")),
		0o666); err != nil {
		t.Fatal(err)
	}
	path := writeStudy(t, "data: t10k\ntest: t10k\nimages: 100\ntest_images: 100\nfrom: "+model+
		"\nfixed: {epochs: 1}\ngrid: {learning_rate: [0.001]}\nseeds: 2\n")
	if code, _, stderr := runExperiment(t, "run", "-runs", runs, path); code != cli.ExitOK {
		t.Fatalf("run: exit code %d, %s", code, stderr)
	}
	if err := os.Remove(model); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runExperiment(t, "report", "-runs", runs, path); code != cli.ExitOK {
		t.Errorf("report: exit code %d, %s", code, stderr)
	}
	if code, _, stderr := runExperiment(t, "run", "-runs", runs, path); code != cli.ExitFailure ||
		!strings.Contains(stderr, "tiny.yaml:5: from: ") {
		t.Errorf("run without the model: exit code %d, %s", code, stderr)
	}
}

// A test set that is a folder with both pairs of files is the same to report as to run.
func TestReportOnAFolderWithBothPairs(t *testing.T) {
	dir := t.TempDir()
	both := filepath.Join(dir, "both")
	if err := os.Mkdir(both, 0o777); err != nil {
		t.Fatal(err)
	}
	set := datasettest.Digits(t, 200)
	for i, part := range []dataset.Part{dataset.Train, dataset.Test} {
		for name, content := range map[string]*dataset.IDX{
			"images-idx3": {Type: dataset.Uint8, Shape: []int{100, 28, 28},
				Data: set.Images[i*100*28*28:][:100*28*28]},
			"labels-idx1": {Type: dataset.Uint8, Shape: []int{100}, Data: set.LabelBytes()[i*100:][:100]},
		} {
			var out bytes.Buffer
			if err := dataset.WriteIDX(&out, content); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(both, string(part)+"-"+name+"-ubyte"), out.Bytes(),
				0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	runs, path := filepath.Join(dir, "runs"), filepath.Join(dir, "tiny.yaml")
	if err := os.WriteFile(path,
		[]byte(strings.NewReplacer("test: t10k", "test: "+both, "test_images: 100\n", "").
			Replace(tiny)), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"run", "report"} {
		if code, _, stderr := runExperiment(t, command, "-runs", runs, path); code != cli.ExitOK {
			t.Fatalf("%s: exit code %d, %s", command, code, stderr)
		}
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestReportUsage(t *testing.T) {
	folder := t.TempDir()
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"report"}, cli.ExitUsage, "a study is missing"},
		{[]string{"report", "-o", "x", "a", "b"}, cli.ExitUsage, "give one study"},
		{[]string{"report", "-quick", folder}, cli.ExitUsage, folder + " is a folder"},
		{[]string{"report", "-runs", "runs", "a.yaml", folder}, cli.ExitUsage, "-runs"},
		{[]string{"report", "-unsene", "x", "a"}, cli.ExitUsage, "did you mean -unseen"},
		{[]string{"report", "-h"}, cli.ExitOK, "report.html"},
		{[]string{"report", "none.yaml"}, cli.ExitFailure, "none.yaml"},
		{[]string{"report", "-test", "none", t.TempDir()}, cli.ExitFailure, "test set"},
		{[]string{"insights", "x"}, cli.ExitUsage, "unexpected argument"},
		{[]string{"insights", "-experiments", t.TempDir(), "-o", filepath.Join(t.TempDir(), "x.md")},
			cli.ExitFailure, "has no report"},
	} {
		if code, stdout, stderr := runExperiment(t, c.args...); code != c.code ||
			!strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%v: exit code %d, %q, %q; want %d and %q", c.args, code, stdout, stderr, c.code,
				c.says)
		}
	}
}
