package cli

import (
	"os/exec"
	"strings"
	"testing"
)

// A shell reads the words that were quoted.
func TestShellLine(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	words := []string{"plain", "a b", "it's", "", "$HOME", "`id`", `back\slash`, "*", "~", "new\nline",
		"ä", "own:t10k", "-x=1", "a;b", "#", "!1", "[a]", "{a,b}"}
	if line := ShellLine("train", "-name", "e1", "-test",
		"own:t10k"); line != "train -name e1 -test own:t10k" {
		t.Errorf("plain words are quoted: %s", line)
	}
	out, err := exec.Command(shell, "-c",
		`for word in `+ShellLine(words...)+`; do printf '%s\0' "$word"; done`).Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Join(words, "\x00") + "\x00"; string(out) != want {
		t.Errorf("the shell reads %q, want %q", out, want)
	}
}
