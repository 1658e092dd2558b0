package cli

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"runtime/debug"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, args, want string
		help             bool
	}{
		{name: "good", args: "-epochs 3"},
		{name: "unknown flag", args: "-epoch 3", want: "unknown flag -epoch; did you mean -epochs?"},
		{name: "far flag", args: "-zzzzzz 3", want: "unknown flag -zzzzzz"},
		{name: "not a number", args: "-epochs three", want: `invalid value "three" for flag -epochs`},
		{name: "left over", args: "-epochs 3 e1", want: `unexpected argument "e1"`},
		{name: "help", args: "-h", help: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var output bytes.Buffer
			flags := NewFlagSet("train", "usage text\n", &output)
			flags.Int("epochs", 1, "passes")
			err := Parse(flags, strings.Fields(test.args))
			switch {
			case test.help:
				if !errors.Is(err, flag.ErrHelp) || !strings.HasPrefix(output.String(), "usage text\n") ||
					!strings.Contains(output.String(), "-epochs") {
					t.Errorf("error %v, output %q", err, output.String())
				}
			case test.want == "" && err != nil, test.want != "" &&
				(err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want %q", err, test.want)
			case output.Len() > 0:
				t.Errorf("printed %q; an error is printed once, by Usage", output.String())
			}
		})
	}
}

func TestParseOperands(t *testing.T) {
	for args, want := range map[string]string{
		"a b -epochs 3": "a b", "-epochs 3 a b": "a b", "a -epochs 3 b": "a b", "": "",
		"a -- -epochs b": "a -epochs b", "-epochs 3 -- -x": "-x",
	} {
		flags := NewFlagSet("train", "usage\n", io.Discard)
		flags.Int("epochs", 1, "passes")
		operands, err := ParseOperands(flags, strings.Fields(args))
		if err != nil || strings.Join(operands, " ") != want {
			t.Errorf("%q: operands %q, %v", args, operands, err)
		}
	}
	flags := NewFlagSet("train", "usage\n", io.Discard)
	if _, err := ParseOperands(flags, []string{"a", "-epoch"}); err == nil ||
		!strings.Contains(err.Error(), "unknown flag -epoch") {
		t.Errorf("a flag after an operand: %v", err)
	}
}

func TestCommitOfABuild(t *testing.T) {
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123abc"}
	modified := func(value string) debug.BuildSetting {
		return debug.BuildSetting{Key: "vcs.modified", Value: value}
	}
	for want, settings := range map[string][]debug.BuildSetting{
		"":               {modified("true")},
		" 0123abc":       {revision, modified("false")},
		" 0123abc-dirty": {modified("true"), revision},
	} {
		if got := commitOf(settings); got != want {
			t.Errorf("%v: %q, want %q", settings, got, want)
		}
	}
}
