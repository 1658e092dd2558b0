package command_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/internal/cli"
)

// The program itself says what it has, and what it was asked for and has not.
func TestSlipway(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		call   string
		code   int
		stdout string
		stderr string
	}{
		{"slipway", 2, "", "say what to do: train or export or infer"},
		{"slipway -h", 0, "  slipway train ", ""},
		{"slipway help", 0, "  slipway experiment ", ""},
		{"slipway help -h", 0, "  slipway experiment ", ""},
		{"slipway -version", 0, "slipway ", ""},
		{"slipway train -version", 0, "train ", ""},
		{"slipway help train", 0, "  slipway train -experiment e1 ", ""},
		{"slipway help experiment run", 0, "  slipway experiment run -quick ", ""},
		{"slipway trian", 2, "", `unknown command "trian"; did you mean "train"?`},
		{"slipway help trian", 2, "", `unknown command "trian"; did you mean "train"?`},
		{"slipway help train infer", 2, "", `unexpected argument "infer"`},
		{"slipway -versoin", 2, "", "did you mean -version?"},
		{"slipway completion tcsh", 2, "", `no completion for "tcsh"`},
	} {
		words := strings.Fields(test.call)
		r := runIn(t, dir, words[0], words[1:]...)
		if r.code != test.code || !strings.Contains(r.stdout, test.stdout) ||
			!strings.Contains(r.stderr, test.stderr) || test.stdout == "" && r.stdout != "" ||
			test.stderr == "" && r.stderr != "" {
			t.Errorf("%s: exit %d, %q, %q", test.call, r.code, r.stdout, r.stderr)
		}
	}
	asked, told := runIn(t, dir, "slipway", "infer", "compare", "-h"), runIn(t, dir, "slipway", "help",
		"infer", "compare")
	if asked != told {
		t.Errorf("slipway infer compare -h and slipway help infer compare differ:\n%s\n%s", asked.stdout,
			told.stdout)
	}
}

// A command line that is proposed is one that works: by the program's whole name where it was
// called by that, by the link's where it was called by a link.
func TestProposedCommandLines(t *testing.T) {
	bin := commands(t)
	dir := t.TempDir()
	if err := os.Symlink(bin, filepath.Join(dir, "bin")); err != nil {
		t.Skip("this system makes no symbolic links:", err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, test := range []struct{ call, want string }{
		{"slipway infer -modle", "Run 'slipway infer -h' for help."},
		{"infer -modle", "Run 'infer -h' for help."},
		{"bin/slipway experiment run -qick", "Run 'bin/slipway experiment run -h' for help."},
		{"bin/infer compare -runtime", "Run 'bin/infer compare -h' for help."},
		{"./bin/slipway -modle", "Run './bin/slipway -h' for help."},
		{"slipway help trian", "Run 'slipway -h' for help."},
		{"slipway train -data optdigits", "run `slipway dataset fetch optdigits` once"},
		{"bin/train -data optdigits", "run `bin/dataset fetch optdigits` once"},
		{"train -data optdigits", "run `dataset fetch optdigits` once"},
	} {
		c := exec.CommandContext(t.Context(), "sh", "-c", test.call)
		c.Dir = dir
		// No cache has the set.
		c.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"), "HOME="+dir)
		output, err := c.CombinedOutput()
		if err == nil || !strings.Contains(string(output), test.want) {
			t.Errorf("%s: %v, %q; want %q", test.call, err, output, test.want)
		}
	}
	// The proposed ones do work.
	for _, call := range []string{"slipway infer -h", "infer -h", "bin/slipway experiment run -h",
		"bin/infer compare -h"} {
		c := exec.CommandContext(t.Context(), "sh", "-c", call)
		c.Dir = dir
		if output, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", call, err, output)
		}
	}
}

// The program starts itself as onnx-go's worker, by whatever name it was called.
func TestTheWorkerOfEveryName(t *testing.T) {
	bin := commands(t)
	model, err := filepath.Abs("../../infer/testdata/small.onnx")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeDigit(t, filepath.Join(dir, "digit.png"))
	infer := []string{"-model", model, "-runtime", "onnx-go", "-top", "1", "digit.png"}
	symlinks := filepath.Join(dir, "symlinks")
	if err := os.Mkdir(symlinks, 0o777); err != nil {
		t.Fatal(err)
	}
	calls := [][]string{
		append([]string{filepath.Join(bin, "slipway"), "infer"}, infer...),
		append([]string{filepath.Join(bin, "infer")}, infer...),
	}
	link := filepath.Join(symlinks, "infer")
	if err := os.Symlink(filepath.Join(bin, "slipway"), link); err == nil {
		calls = append(calls, append([]string{link}, infer...))
	}
	var first string
	for _, call := range calls {
		c := exec.CommandContext(t.Context(), call[0], call[1:]...)
		c.Dir = dir
		output, err := c.CombinedOutput()
		if first == "" {
			first = string(output)
		}
		if err != nil || len(output) == 0 || string(output) != first {
			t.Errorf("%v: %v, %q, want %q", call[:2], err, output, first)
		}
	}
}

// One command alone is a program that holds nothing of the others, and that works.
func TestOneCommandAlone(t *testing.T) {
	commands(t)
	for _, name := range cli.CommandNames() {
		deps, err := exec.Command("go", "list", "-deps", "slipway/cmd/"+name).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range cli.CommandNames() {
			if slices.Contains(strings.Fields(string(deps)), "slipway/internal/command/"+other) != (other == name) {
				t.Errorf("%s alone: holds %s, or lacks itself", name, other)
			}
		}
	}
	alone := filepath.Join(t.TempDir(), "dataset")
	if output, err := exec.Command("go", "build", "-o", alone, "slipway/cmd/dataset").
		CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	output, err := exec.Command(alone, "-version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(output), "dataset ") {
		t.Errorf("%v: %s", err, output)
	}
}

// The links are the program itself, and not ways to it: what is written over one leaves the others.
func TestLinkCommands(t *testing.T) {
	const script = "../../scripts/link-commands"
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh")
	}
	dir := t.TempDir()
	if output, err := exec.Command(script, dir).
		CombinedOutput(); err == nil || !strings.Contains(string(output), "has no program slipway") {
		t.Errorf("without a program: %v, %s", err, output)
	}
	if output, err := exec.Command(script).
		CombinedOutput(); err == nil || !strings.Contains(string(output), "usage:") {
		t.Errorf("without a folder: %v, %s", err, output)
	}
	program := filepath.Join(dir, "slipway")
	for _, text := range []string{"first", "second"} { // built again: the links follow
		if err := os.Remove(program); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if err := os.WriteFile(program, []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
		if output, err := exec.Command(script, dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		for _, name := range cli.CommandNames() {
			info, err := os.Lstat(filepath.Join(dir, name))
			if err != nil || !info.Mode().IsRegular() {
				t.Fatalf("%s is no file: %v", name, err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != text {
				t.Errorf("%s is %q, want %q (%v)", name, got, text, err)
			}
		}
	}
	// As go install does.
	if err := os.Remove(filepath.Join(dir, "infer")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "infer"), []byte("alone"), 0o777); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(program); err != nil || string(got) != "second" {
		t.Errorf("the program is %q (%v)", got, err)
	}
}
