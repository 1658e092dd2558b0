package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testModule makes a module of one package whose files are those of a folder of testdata.
func testModule(t *testing.T, folder string) string {
	t.Helper()
	module := t.TempDir()
	write(t, filepath.Join(module, "go.mod"), "module example\n\ngo 1.26\n")
	copyTestdata(t, module, folder)
	return module
}

// copyTestdata adds a package to a module.
func copyTestdata(t *testing.T, module, folder string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", folder, "*.txt"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		name = strings.TrimSuffix(filepath.Base(name), ".txt")
		write(t, filepath.Join(module, folder, name), string(text))
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestCopyModule(t *testing.T) {
	root, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	if _, err := git(root, "init", "-q"); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, ".gitignore"), ".cache\nignored\n")
	for _, name := range []string{"folder/kept.go", "ignored", library + "/1/library.so"} {
		write(t, filepath.Join(root, name), name)
	}
	if err := copyModule(root, to); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"folder/kept.go": true, "ignored": false, library + "/1/library.so": true} {
		text, err := os.ReadFile(filepath.Join(to, name))
		if want != (err == nil) || want && string(text) != name {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}
