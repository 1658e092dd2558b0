package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// CommandNames are the names of all commands. Each is a word behind the program that has them all,
// slipway train, and the name of a program or a link to that one.
func CommandNames() Words {
	return Words{"train", "export", "infer", "inspect", "dataset", "experiment", "serve", "sign",
		"verify", "sbom", "doctor"}
}

// HelpWord is the word that has a program print the help of the command behind it.
const HelpWord = "help"

// ProgramName returns the name of a program's file: without its folder and without Windows' .exe.
func ProgramName(file string) string {
	name := filepath.Base(file)
	if extension := filepath.Ext(name); strings.EqualFold(extension, ".exe") {
		return strings.TrimSuffix(name, extension)
	}
	return name
}

// Called returns the words that call a command, such as "infer" or "infer compare", in the way in
// which this program was called: bin/infer, slipway infer, or the name alone.
func Called(command string) []string { return called(os.Args, command) }

// called is Called where args are the program's.
func called(args []string, command string) []string {
	words := strings.Fields(command)
	if len(args) == 0 || len(words) == 0 {
		return words
	}
	file, chosen := args[0], args[1:]
	if len(chosen) > 0 && chosen[0] == HelpWord {
		chosen = chosen[1:]
	}
	switch name := ProgramName(file); {
	case name == words[0]:
		words[0] = file
	case slices.Contains(CommandNames(), name):
		// The other command is beside this one: bin/dataset where this is bin/train.
		if folder := filepath.Dir(file); folder != "." || strings.HasPrefix(file, ".") {
			words[0] = folder + string(filepath.Separator) + words[0]
		}
	case len(chosen) > 0 && slices.Contains(CommandNames(), chosen[0]):
		words = append([]string{file}, words...)
	}
	return words
}

// Spelled returns a message with the commands that it names in backquotes, as in `dataset fetch`,
// called in the way in which this program was called.
func Spelled(message string) string { return spelled(os.Args, message) }

var quotedCommand = regexp.MustCompile("`(" + strings.Join(CommandNames(), "|") + ") ")

func spelled(args []string, message string) string {
	return quotedCommand.ReplaceAllStringFunc(message, func(found string) string {
		return "`" + ShellLine(called(args, strings.Trim(found, "` "))...) + " "
	})
}

// spelledHelp returns a command's help with its examples called in the way in which the program
// was: "  slipway infer -model" for "  infer -model" where slipway infer -h was asked.
func spelledHelp(args []string, command, text string) string {
	name, _, _ := strings.Cut(command, " ")
	words := called(args, name)
	if len(words) < 2 {
		return text
	}
	whole := ProgramName(words[0]) + " "
	calls := regexp.MustCompile(`(?m)(^  |'|; )` + regexp.QuoteMeta(name) + `( |$)|\bdataset fetch\b`)
	return calls.ReplaceAllStringFunc(text, func(found string) string {
		before := found[:len(found)-len(strings.TrimLeft(found, " ';"))]
		return before + whole + found[len(before):]
	})
}
