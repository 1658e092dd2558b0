package experiment

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"slipway/internal/cli"
	"slipway/internal/study"
)

// The tutorial works as it is written: its files are made, and its commands run, in
// an empty folder.
func TestTutorial(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every command of the tutorial")
	}
	text, err := os.ReadFile("../../../docs/tutorial-study.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	var commands []string
	for _, block := range regexp.MustCompile("(?s)```([^\n]*)\n(.*?)```").
		FindAllStringSubmatch(string(text), -1) {
		head, body := block[1], block[2]
		switch kind, file, named := strings.Cut(head, " file="); {
		case named:
			if err := os.WriteFile(file, []byte(body), 0o666); err != nil {
				t.Fatal(err)
			}
			if kind == "yaml" && strings.Count(body, "\n") > 20 {
				t.Errorf("%s has %d lines; the tutorial promises a network in 20", file,
					strings.Count(body, "\n"))
			}
		case kind == "sh":
			commands = append(commands, strings.Split(strings.TrimSpace(body), "\n")...)
		default:
			t.Errorf("a block %q that is neither a file nor a command", head)
		}
	}
	if len(commands) < 2 {
		t.Fatalf("the tutorial has the commands %q", commands)
	}
	for _, command := range commands {
		args, ours := strings.CutPrefix(command, "bin/experiment ")
		if !ours {
			t.Fatalf("%q is not a command of this program", command)
		}
		var out, errs bytes.Buffer
		if code := run(context.Background(), strings.Fields(args),
			console{out: &out, err: &errs}); code != cli.ExitOK {
			t.Fatalf("%s: exit %d: %s%s", command, code, out.String(), errs.String())
		}
	}
	results, err := study.Read(filepath.Join("runs", "studies", "mine"))
	if err != nil || len(results) != 9 {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for _, name := range []string{"mine/report.html", "mine/report.md"} {
		page, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"How many filters does a small network need?", "base=smaller",
			"base=small", "base=larger"} {
			if !bytes.Contains(page, []byte(want)) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
	}

	// The error that the tutorial shows is the program's.
	mine, err := os.ReadFile("mine.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("mine.yaml", bytes.Replace(mine, []byte("  epochs: 2"),
		[]byte("  epoch: 2"), 1), 0o666); err != nil {
		t.Fatal(err)
	}
	_, _, problem := runExperiment(t, "run", "mine.yaml")
	if shown := strings.TrimSpace(problem); shown == "" || !strings.Contains(string(text), shown) {
		t.Errorf("the tutorial does not show the error %q", shown)
	}
}
