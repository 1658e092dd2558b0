// Package command is the program slipway: all commands in one, chosen by the first argument or by
// the name that the program is called by.
package command

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"slipway/internal/cli"
	"slipway/internal/command/dataset"
	"slipway/internal/command/doctor"
	"slipway/internal/command/experiment"
	"slipway/internal/command/export"
	"slipway/internal/command/infer"
	"slipway/internal/command/inspect"
	"slipway/internal/command/sbom"
	"slipway/internal/command/serve"
	"slipway/internal/command/sign"
	"slipway/internal/command/train"
	"slipway/internal/command/verify"
	"slipway/internal/command/worker"
	"slipway/internal/nearest"
)

// program is the name of the whole.
const program = "slipway"

const usage = `slipway trains image classifiers, exports them to ONNX and proves that they answer
the same everywhere.

%s
  slipway train -h             # the flags of a command, with examples
  slipway help infer compare   # the same, also of a command's part
  slipway -version

A link to this program that is called as a command is that command: infer -model e1.onnx.

Flags:
`

// command is one of the program's commands.
type command struct {
	name, does string
	// main runs it in this process with the arguments behind its name, and returns the exit code.
	main func(args []string) int
}

// commands are all, in the order in which somebody meets them.
func commands() []command {
	return []command{
		{"train", "fit a network to labelled images", train.Main},
		{"export", "write what was learned as ONNX, once other runtimes answer alike", export.Main},
		{"infer", "ask a model about pictures or a whole set, compare models", infer.Main},
		{"inspect", "what is in an ONNX file, and who will refuse it", inspect.Main},
		{"dataset", "what is in a set of images; bring and pack sets", dataset.Main},
		{"experiment", "studies of many runs, and what they came to", experiment.Main},
		{"serve", "answer over HTTP and gRPC", serve.Main},
		{"sign", "say that models are yours, to the last bit", sign.Main},
		{"verify", "is a model what was signed", verify.Main},
		{"sbom", "a model's bill of materials", sbom.Main},
		{"doctor", "what is installed, what will be used, what is missing", doctor.Main},
	}
}

// named returns the command of that name.
func named(name string) (command, bool) {
	for _, c := range commands() {
		if c.name == name {
			return c, true
		}
	}
	return command{}, false
}

// Main runs the program with its arguments, of which the first is the name that it was called by,
// and returns the exit code. The process must end by mpi.Exit.
func Main(args []string) int {
	if len(args) == 0 { // a caller may leave out even the name
		args = []string{program}
	}
	if c, ok := named(cli.ProgramName(args[0])); ok {
		return c.main(args[1:])
	}
	args = args[1:]
	if worker.Asked(args) {
		return worker.Main()
	}
	word := chosen(args)
	if c, ok := named(word); ok {
		return c.main(args[1:])
	}
	if word == cli.HelpWord && len(args) > 1 {
		return helpOf(args[1:], os.Stdout, os.Stderr)
	}
	return cli.NoSubcommand(program, usageText(), append(cli.CommandNames(), cli.HelpWord), args,
		os.Stdout, os.Stderr)
}

// chosen returns the first word, empty where there is none or a shell asks how it may end.
func chosen(args []string) string {
	if len(args) == 0 || len(args) == 2 && cli.IsCompletion(args) {
		return ""
	}
	return args[0]
}

// usageText is the help of the whole, with a line for each command.
func usageText() string {
	var lines strings.Builder
	for _, c := range commands() {
		fmt.Fprintf(&lines, "  %s %-10s   # %s\n", program, c.name, c.does)
	}
	return fmt.Sprintf(usage, lines.String())
}

// helpOf prints the help of the command that the words name, or completes them.
func helpOf(words []string, stdout, stderr io.Writer) int {
	if c, ok := named(chosen(words)); ok {
		rest := slices.Clone(words[1:])
		if !cli.IsCompletion(words) {
			rest = append(rest, "-h")
		}
		return c.main(rest)
	}
	names := cli.CommandNames()
	flags := cli.NewFlagSet(program+" "+cli.HelpWord, usageText(), stdout)
	operands, err := cli.ParseOperands(flags, words, names)
	if err == nil {
		err = fmt.Errorf("unknown command %q%s; there is %s", operands[0],
			nearest.Hint(operands[0], names), strings.Join(names, ", "))
	}
	code, _ := cli.Parsed(program, err, false, stdout, stderr)
	return code
}
