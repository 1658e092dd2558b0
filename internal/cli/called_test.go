package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestProgramName(t *testing.T) {
	for file, want := range map[string]string{
		"infer": "infer", "bin/infer": "infer", "./slipway": "slipway", "infer.exe": "infer",
		"infer.EXE":  "infer",
		"infer.test": "infer.test", "": ".",
	} {
		if got := ProgramName(filepath.FromSlash(file)); got != want {
			t.Errorf("%q is the name of %q, want %q", got, file, want)
		}
	}
}

// A command is called by its link, by the program that has all, or by its name where neither is
// known.
func TestCalled(t *testing.T) {
	for _, test := range []struct{ args, command, want string }{
		{"infer -model e1.onnx", "infer", "infer"},
		{"bin/infer compare", "infer compare", "bin/infer compare"},
		{"bin/infer -model e1.onnx", "dataset fetch", "bin/dataset fetch"},
		{"./infer", "dataset", "./dataset"},
		{"infer", "dataset", "dataset"},
		{"infer.exe", "infer", "infer.exe"},
		{"slipway infer -h", "infer", "slipway infer"},
		{"bin/slipway experiment run", "experiment run", "bin/slipway experiment run"},
		{"bin/slipway train", "dataset fetch", "bin/slipway dataset fetch"},
		{"slipway help train", "train", "slipway train"},
		{"/opt/slipway trian", "slipway", "/opt/slipway"},
		{"renamed train -h", "train", "renamed train"},
		{"/tmp/infer.test -test.v", "infer compare", "infer compare"},
		{"", "infer", "infer"},
	} {
		got := called(strings.Fields(filepath.FromSlash(test.args)), test.command)
		if strings.Join(got, " ") != filepath.FromSlash(test.want) {
			t.Errorf("%s: %s is called as %q, want %q", test.args, test.command, got, test.want)
		}
	}
}

func TestSpelled(t *testing.T) {
	const message = "no `set train`; run `dataset fetch fashion`, or `make setup`, or dataset show"
	for args, want := range map[string]string{
		"train":              message,
		"slipway train":      "no `set train`; run `slipway dataset fetch fashion`, or `make setup`, or dataset show",
		"my\x00bin/train -x": "no `set train`; run `'my bin/dataset' fetch fashion`, or `make setup`, or dataset show",
	} {
		words := strings.Fields(args)
		for i := range words {
			words[i] = filepath.FromSlash(strings.ReplaceAll(words[i], "\x00", " "))
		}
		if got := spelled(words, message); got != filepath.FromSlash(want) {
			t.Errorf("%q: %s, want %s", words, got, want)
		}
	}
}

// Help shows the examples as they are called: those of the command and of the set that it asks for.
func TestSpelledHelp(t *testing.T) {
	const help = "infer runs a model.\n\n  infer -model a.onnx  # infer compare says more\n  infer compare a b; infer compare -h says more\n" +
		"  infer\n    infer is no example here\n  inferior\n'infer -h' or dataset fetch x\n"
	const whole = "infer runs a model.\n\n  slipway infer -model a.onnx  # infer compare says more\n  slipway infer compare a b; slipway infer compare -h says more\n" +
		"  slipway infer\n    infer is no example here\n  inferior\n'slipway infer -h' or slipway dataset fetch x\n"
	for _, args := range [][]string{{"infer"}, {"bin/infer", "-h"}, {"infer.test"}} {
		if got := spelledHelp(args, "infer", help); got != help {
			t.Errorf("%q: %s", args, got)
		}
	}
	for _, args := range [][]string{{"slipway", "infer"}, {"bin/slipway", "help", "infer"}} {
		if got := spelledHelp(args, "infer", help); got != whole {
			t.Errorf("%q: %s", args, got)
		}
	}
}
