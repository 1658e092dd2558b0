package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"slipway/internal/nearest"
)

// NoSubcommand runs a command of which the arguments name none of the subcommands:
// it prints help, the version or what a shell asks for, or says what is wrong. It
// returns the exit code.
func NoSubcommand(command, usage string, subcommands Words, args []string, stdout,
	stderr io.Writer) int {
	flags := NewFlagSet(command, usage, stdout)
	version := flags.Bool("version", false, "print the version")
	if len(args) > 0 && args[0] == "help" {
		args = []string{"-h"}
	}
	operands, err := ParseOperands(flags, args, subcommands)
	switch {
	case err == nil && len(operands) > 0:
		err = fmt.Errorf("unknown command %q%s; there is %s", operands[0],
			nearest.Hint(operands[0], subcommands), strings.Join(subcommands, ", "))
	case err == nil && !*version:
		err = errors.New("say what to do: " + strings.Join(subcommands, " or "))
	}
	code, _ := Parsed(command, err, *version, stdout, stderr)
	return code
}
