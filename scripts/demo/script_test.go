// Package demo_test tests what the demo's test does with its arguments; the page is
// tested by the script itself.
package demo_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPictureOfTheCaller runs the script with programs that do nothing but say where
// the picture goes.
func TestPictureOfTheCaller(t *testing.T) {
	root, tools, caller := t.TempDir(), t.TempDir(), t.TempDir()
	script, err := os.ReadFile("test")
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		filepath.Join(root, "scripts/demo/test"):  string(script),
		filepath.Join(root, "scripts/demo/build"): "#!/bin/sh\n",
		filepath.Join(tools, "go"):                "#!/bin/sh\n",
		filepath.Join(tools, "node"):              "#!/bin/sh\necho \"<$PICTURE>\"\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (string, int) {
		command := exec.Command(filepath.Join(root, "scripts/demo/test"), args...)
		command.Dir = caller
		command.Env = append(os.Environ(), "PATH="+tools+string(os.PathListSeparator)+os.Getenv("PATH"),
			"CHROMIUM=chromium", "PICTURE=")
		out, _ := command.CombinedOutput()
		return string(out), command.ProcessState.ExitCode()
	}
	absolute := filepath.Join(root, "b.png")
	for _, test := range []struct{ picture, want string }{{"a.png", filepath.Join(caller, "a.png")},
		{absolute, absolute}} {
		if out, code := run("--picture", test.picture); code != 0 ||
			!strings.HasSuffix(out, "<"+test.want+">\n") {
			t.Errorf("--picture %s: exit %d, %q; want %s", test.picture, code, out, test.want)
		}
	}
	if out, code := run(); code != 0 || !strings.HasSuffix(out, "<>\n") {
		t.Errorf("no picture: exit %d, %q", code, out)
	}
	// The phone's picture would have the same name.
	if out, code := run("--picture", "a.jpg"); code != 2 || !strings.Contains(out, "a.jpg") {
		t.Errorf("--picture a.jpg: exit %d, %q; want 2", code, out)
	}
}
