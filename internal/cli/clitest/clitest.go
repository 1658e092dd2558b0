// Package clitest is what the tests of several commands share.
package clitest

import (
	"io"
	"strings"
	"testing"
)

// Examples returns the arguments of each call of the command among the examples of a
// help text: lines indented by two blanks, a comment behind #, calls joined by &&.
func Examples(help, command string) [][]string {
	var examples [][]string
	for _, line := range strings.Split(help, "\n") {
		line, indented := strings.CutPrefix(line, "  ")
		if !indented || strings.HasPrefix(line, " ") {
			continue
		}
		line, _, _ = strings.Cut(line, "#")
		for _, call := range strings.Split(line, "&&") {
			if words := strings.Fields(call); len(words) > 0 && words[0] == command {
				examples = append(examples, words[1:])
			}
		}
	}
	return examples
}

// CheckExamples parses each example of the help that parse prints for -h.
func CheckExamples(t *testing.T, command string,
	parse func(args []string, stdout io.Writer) error) {
	t.Helper()
	var help strings.Builder
	_ = parse([]string{"-h"}, &help) // flag.ErrHelp
	name, sub, _ := strings.Cut(command, " ")
	examples := Examples(help.String(), name)
	parsed := 0
	for _, args := range examples {
		if sub != "" {
			if len(args) == 0 || args[0] != sub {
				continue
			}
			args = args[1:]
		} else if len(args) > 0 && isSubcommand(args[0]) {
			continue // an example of a subcommand, whose own help is tested
		}
		parsed++
		if err := parse(args, io.Discard); err != nil {
			t.Errorf("the example %s %s: %v", name, strings.Join(args, " "), err)
		}
	}
	if parsed < 2 {
		t.Errorf("%s has %d examples in its help, of %d", command, parsed, len(examples))
	}
}

// isSubcommand tells a subcommand from a flag and a file.
func isSubcommand(word string) bool {
	return !strings.HasPrefix(word, "-") && !strings.ContainsAny(word, "./~")
}
