// Package cli is what Slipway's commands share: exit codes, flag errors that
// name the nearest flag or value, completion in shells, and the version.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"slipway/internal/display"
	"slipway/internal/nearest"
	"slipway/internal/version"
)

// Exit codes of every command; one that a signal ended has another, see Run.
const (
	ExitOK      = 0
	ExitFailure = 1
	ExitUsage   = 2
)

// NewFlagSet returns a flag set whose -h prints the usage text and the flags to
// output, the command's standard output.
func NewFlagSet(command, usage string, output io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(output, spelledHelp(os.Args, command, usage))
		flags.SetOutput(output)
		flags.PrintDefaults()
		flags.SetOutput(&quiet{output})
	}
	flags.SetOutput(&quiet{output})
	return flags
}

// quiet swallows the errors that package flag prints, which Usage prints once, and
// remembers where help goes.
type quiet struct{ help io.Writer }

func (q *quiet) Write(p []byte) (int, error) { return len(p), nil }

// Parse reads the arguments and rejects what is left over. For -h, and for what
// shells ask (see Completer), it returns flag.ErrHelp after that was printed; for an
// unknown flag its error names the nearest one. words are what may stand first
// instead of flags, the subcommands.
func Parse(flags *flag.FlagSet, args []string, words ...Completer) error {
	if done, err := completion(flags, args, words); done {
		return err
	}
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return nil
}

// ParseOperands does as Parse, but returns the arguments that are no flags, which
// may stand before, between and after these. All after -- are operands. words are
// what shells offer for them.
func ParseOperands(flags *flag.FlagSet, args []string, words ...Completer) (operands []string,
	err error) {
	if done, err := completion(flags, args, words); done {
		return nil, err
	}
	for {
		if err := parseFlags(flags, args); err != nil {
			return nil, err
		}
		rest := flags.Args()
		if len(rest) == 0 {
			return operands, nil
		}
		if parsed := len(args) - len(rest); parsed > 0 && args[parsed-1] == "--" {
			return append(operands, rest...), nil
		}
		operands, args = append(operands, rest[0]), rest[1:]
	}
}

func parseFlags(flags *flag.FlagSet, args []string) error {
	usage := flags.Usage
	help := false
	flags.Usage = func() { help = true }
	err := flags.Parse(args)
	flags.Usage = usage
	if errors.Is(err, flag.ErrHelp) {
		if help {
			usage()
		}
		return flag.ErrHelp
	}
	if err == nil {
		return nil
	}
	if name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); unknown {
		var names []string
		flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		return &UnknownFlagError{Name: name, near: nearest.Names(name, names)}
	}
	return err
}

// UnknownFlagError is of a flag that the command does not have.
type UnknownFlagError struct {
	Name string   // without its dash
	near []string // flags that it may have meant
}

func (e *UnknownFlagError) Error() string {
	text := "unknown flag -" + e.Name
	if len(e.near) > 0 {
		text += "; did you mean -" + strings.Join(e.near, ", -") + "?"
	}
	return text
}

// Given returns the names of the flags that were set on the command line.
func Given(flags *flag.FlagSet) map[string]bool {
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	return given
}

// CheckNamed reports a flag of a file that was given empty, such as by a variable of a script that
// is not set: nobody wants that to mean no file. files are by their flags' names.
func CheckNamed(given map[string]bool, files map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if given[name] && files[name] == "" {
			return fmt.Errorf("-%s names no file", name)
		}
	}
	return nil
}

// Parsed ends a command that its command line has answered already: by -h, by an
// error of usage, or by -version. It returns whether it has, and the exit code.
func Parsed(command string, err error, version bool, stdout, stderr io.Writer) (code int,
	done bool) {
	switch {
	case errors.Is(err, flag.ErrHelp):
		return ExitOK, true
	case err != nil:
		return Usage(stderr, command, err), true
	case version:
		fmt.Fprintln(stdout, Version(command))
		return ExitOK, true
	}
	return ExitOK, false
}

// Usage prints an error of usage and returns ExitUsage.
func Usage(stderr io.Writer, command string, err error) int {
	fmt.Fprintf(stderr, "%s: %s\nRun '%s -h' for help.\n", command,
		display.Lines(Spelled(err.Error())), ShellLine(Called(command)...))
	return ExitUsage
}

// Fail prints an error and returns ExitFailure. What ended with its context was
// interrupted.
func Fail(stderr io.Writer, command string, err error) int {
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	fmt.Fprintf(stderr, "%s: %s\n", command, display.Lines(Spelled(err.Error())))
	return ExitFailure
}

// ModuleVersion is Slipway's version.
const ModuleVersion = version.Module

// Version returns the command's name, the module's version, the commit it was
// built from if the build recorded it, and the Go version and platform.
func Version(command string) string {
	commit := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		commit = commitOf(info.Settings)
	}
	return fmt.Sprintf("%s %s%s (slipway, %s, %s/%s)", command, ModuleVersion, commit,
		runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// commitOf returns the commit that go build recorded, after a blank, marked where
// files differed from it; empty where none was recorded.
func commitOf(settings []debug.BuildSetting) string {
	var commit, changed string
	for _, setting := range settings {
		switch {
		case setting.Key == "vcs.revision":
			commit = " " + setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true":
			changed = "-dirty"
		}
	}
	if commit == "" {
		return ""
	}
	return commit + changed
}
