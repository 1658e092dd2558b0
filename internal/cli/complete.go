package cli

import (
	_ "embed"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Completer offers shells what a word may be. Complete is given what is begun of
// it, and need not leave out what does not begin so. FileNames and FolderNames among
// its answers ask the shell for its own.
type Completer interface{ Complete(begun string) []string }

// What a Completer answers to have the shell offer files or folders.
const (
	FileNames   = ":files"
	FolderNames = ":folders"
)

// Words offers the same words always.
type Words []string

// Complete returns the words.
func (w Words) Complete(string) []string { return w }

// Models offers the models of graphs/, and files.
type Models struct{}

// Complete returns their names.
func (Models) Complete(string) []string { return append(GraphNames(), FileNames) }

// DataSets offers the names of data sets, and files.
type DataSets struct{}

// Complete returns the names.
func (DataSets) Complete(string) []string {
	return []string{"t10k", "train", "optdigits", "fashion", "cifar10", "cifar100", FileNames}
}

const (
	// completeMarker is the last argument of a call by a script of completion: the
	// one before it is the word to complete. Behind all, since the first arguments
	// choose the subcommand.
	completeMarker = "__complete"
	// completionCommand is the word that makes a command print such a script.
	completionCommand = "completion"
)

//go:embed completion.bash
var bashScript string

//go:embed completion.zsh
var zshScript string

//go:embed completion.fish
var fishScript string

// IsCompletion reports whether arguments are a shell's question what its last word may be.
func IsCompletion(args []string) bool {
	return len(args) > 1 && args[len(args)-1] == completeMarker
}

func shells() Words { return Words{"bash", "zsh", "fish"} }

// completion answers a shell's question, and COMMAND completion SHELL. done says
// that the arguments are one of these; err is flag.ErrHelp then, or wrong usage.
func completion(flags *flag.FlagSet, args []string, words []Completer) (done bool, err error) {
	whole := !strings.Contains(flags.Name(), " ") // no subcommand
	if IsCompletion(args) {
		args = args[:len(args)-1]
		switch {
		case whole && len(args) == 2 && args[0] == completionCommand:
			offer(helpOutput(flags), args[1], shells().Complete(""))
		case whole && len(args) == 1:
			answer(flags, args, append(slices.Clone(words), Words{completionCommand}))
		default:
			answer(flags, args, words)
		}
		return true, flag.ErrHelp
	}
	if !whole || len(args) == 0 || args[0] != completionCommand {
		return false, nil
	}
	if len(args) != 2 {
		return true, fmt.Errorf("name one shell: %s %s %s", flags.Name(), completionCommand,
			strings.Join(shells(), "|"))
	}
	script, ok := map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[args[1]]
	if !ok {
		return true, fmt.Errorf("there is no completion for %q; there is for %s", args[1],
			strings.Join(shells(), ", "))
	}
	fmt.Fprint(helpOutput(flags), strings.ReplaceAll(script, "COMMAND", flags.Name()))
	return true, flag.ErrHelp
}

// helpOutput is where the flag set prints its help.
func helpOutput(flags *flag.FlagSet) io.Writer {
	if own, ok := flags.Output().(*quiet); ok {
		return own.help
	}
	return io.Discard
}

// answer offers what the last word may be: a flag, the value of the flag before it,
// or one of words.
func answer(flags *flag.FlagSet, args []string, words []Completer) {
	output := helpOutput(flags)
	begun, before := args[len(args)-1], args[:len(args)-1]
	// bash takes -data=t1 for three words, others for one.
	if begun == "=" {
		begun, before = "", append(slices.Clone(before), "=")
	}
	if n := len(before); n > 1 && before[n-1] == "=" {
		before = before[:n-1]
	} else if name, value, joined := strings.Cut(begun, "="); joined && strings.HasPrefix(name, "-") {
		var values []string
		for _, v := range valuesOf(flags, name, value) {
			values = append(values, name+"="+v)
		}
		offer(output, begun, values)
		return
	}
	if n := len(before); n > 0 {
		if values := valuesOf(flags, before[n-1], begun); values != nil {
			offer(output, begun, values)
			return
		}
	}
	if strings.HasPrefix(begun, "-") {
		flags.VisitAll(func(f *flag.Flag) {
			if strings.HasPrefix("-"+f.Name, begun) || strings.HasPrefix("--"+f.Name, begun) {
				_, usage := flag.UnquoteUsage(f)
				fmt.Fprintf(output, "%s%s\t%s\n", begun[:len(begun)-len(strings.TrimLeft(begun, "-"))], f.Name,
					oneLine(usage))
			}
		})
		return
	}
	for _, completer := range words {
		offer(output, begun, completer.Complete(begun))
	}
}

// valuesOf returns what may follow the word, nil where it is no flag that takes a
// value.
func valuesOf(flags *flag.FlagSet, word, begun string) []string {
	name := strings.TrimLeft(word, "-")
	f := flags.Lookup(name)
	if f == nil || word == name {
		return nil
	}
	if boolean, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && boolean.IsBoolFlag() {
		return nil
	}
	if completer, ok := f.Value.(Completer); ok {
		return completer.Complete(begun)
	}
	switch kind, _ := flag.UnquoteUsage(f); kind {
	case "file":
		return []string{FileNames}
	case "folder":
		return []string{FolderNames}
	}
	return []string{}
}

// offer prints the values that begin so, one a line, and what asks the shell.
func offer(output io.Writer, begun string, values []string) {
	for _, value := range values {
		if strings.HasPrefix(value, begun) || value == FileNames || value == FolderNames {
			fmt.Fprintln(output, value)
		}
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
