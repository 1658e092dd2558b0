package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A record is read as it was written, without what is no longer planted.
func TestRecord(t *testing.T) {
	all := plants()[:4]
	path := filepath.Join(t.TempDir(), "record.md")
	written, err := readRecord(path)
	if err != nil || len(written.results) != 0 {
		t.Fatalf("a record that is not there has %v, %v", written, err)
	}
	written.results[all[0].name] = result{"TestStep", 7, "0123456789ab"}
	written.results[all[1].name] = result{nothing, 120, "0123456789ab"}
	written.results[all[3].name] = result{"TestPlan: the process ends by SIGSEGV", 9, "ba9876543210"}
	want := maps.Clone(written.results)
	written.results["an old bug"] = result{"TestOld", 1, "0123456789ab"}
	if err := written.write(all); err != nil {
		t.Fatal(err)
	}
	read, err := readRecord(path)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(read.results, want) {
		t.Errorf("read %v, want %v", read.results, want)
	}
	for i, row := range []struct {
		known   bool
		suspect string
	}{{true, "TestStep"}, {false, ""}, {false, ""}, {false, "TestPlan"}} {
		if known := read.known(all[i], "0123456789ab"); known != row.known {
			t.Errorf("%s: known %v, want %v", all[i].name, known, row.known)
		}
		if suspect := read.suspect(all[i]); suspect != row.suspect {
			t.Errorf("%s: suspect %q, want %q", all[i].name, suspect, row.suspect)
		}
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	end := "\n3 of 4 were tried, and 2 of these were caught.\n"
	if !strings.HasSuffix(string(page), end) {
		t.Errorf("the page ends with %q, want %q", page[len(page)-len(end):], end)
	}
}

// A file that is not a record is refused by name, and left as it is.
func TestRecordsThatAreRefused(t *testing.T) {
	for name, row := range map[string]struct{ text, names string }{
		"another file": {"# Bugs\n", "no table"},
		"a short row":  {recordHead + "| a | `b` | TestC |\n", "| a | `b` | TestC |"},
		"no seconds":   {recordHead + "| a | `b` | TestC | soon | 0123 |\n", "soon"},
	} {
		path := filepath.Join(t.TempDir(), "record.md")
		if err := os.WriteFile(path, []byte(row.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := readRecord(path)
		if err == nil || !strings.Contains(err.Error(), row.names) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %s and %q in it", name, err, path, row.names)
		}
	}
}

// The digest is another when a source or the bug is, and only then.
func TestSources(t *testing.T) {
	folder := t.TempDir()
	for _, name := range sourceFolders() {
		if err := os.Mkdir(filepath.Join(folder, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	source := filepath.Join(folder, "nccl", "a.cu")
	digest := func(p plant) string {
		t.Helper()
		sources, err := readSources(folder)
		if err != nil {
			t.Fatal(err)
		}
		return sources.with(p)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	bug := plant{"a bug", "a.cu", "+", "-"}
	write("a + b")
	first := digest(bug)
	write("a * b")
	if digest(bug) == first {
		t.Error("another source, and the same digest")
	}
	write("a + b")
	if digest(bug) != first {
		t.Error("the same source, and another digest")
	}
	if digest(plant{"a bug", "a.cu", "+", "*"}) == first {
		t.Error("another bug, and the same digest")
	}
}

func TestFirstFailure(t *testing.T) {
	for _, row := range []struct{ output, want string }{
		{
			"=== RUN   TestA\n--- PASS: TestA (0.1s)\n=== RUN   TestB\n=== RUN   TestB/some\n" +
				"    --- FAIL: TestB/some\n--- FAIL: TestB (0.1s)\nFAIL\n",
			"TestB",
		},
		{
			"=== RUN   TestA\n--- PASS: TestA (0.1s)\n=== RUN   TestB\nSIGSEGV: violation\n",
			"TestB: the process ends by SIGSEGV",
		},
		{"SIGBUS: bus error\n", "the process ends by SIGBUS"},
	} {
		if failed, err := firstFailure([]byte(row.output)); err != nil || failed != row.want {
			t.Errorf("%q: %q, %v, want %q", row.output, failed, err, row.want)
		}
	}
	for output, want := range map[string]string{
		"FAIL\tslipway/internal/cuda [build failed]\n": "does not compile",
		"FAIL\n": "without naming a test",
	} {
		if _, err := firstFailure([]byte(output)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", output, err, want)
		}
	}
}
