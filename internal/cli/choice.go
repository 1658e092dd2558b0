package cli

import (
	"flag"
	"fmt"
	"slices"
	"strings"

	"slipway/internal/nearest"
)

// choice is a flag's value that is one of few words.
type choice struct {
	value *string
	among []string
}

// Choice defines a flag that takes one of the words; its error for another one
// names them and the nearest. usage may say what they mean.
func Choice(flags *flag.FlagSet, value *string, name, initial string, among []string,
	usage string) {
	*value = initial
	flags.Var(&choice{value, among}, name, usage)
}

func (c *choice) Set(text string) error {
	if !slices.Contains(c.among, text) {
		return fmt.Errorf("there are %s%s", strings.Join(c.among, ", "), nearest.Hint(text, c.among))
	}
	*c.value = text
	return nil
}

// String is also called on the zero value, by package flag.
func (c *choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

func (c *choice) Complete(string) []string { return c.among }

// suggested is a flag's value that may be any text, with some that shells offer.
type suggested struct {
	value     *string
	completer Completer
}

// Suggest defines a flag that takes any text; completer is what shells offer.
func Suggest(flags *flag.FlagSet, value *string, name, initial string, completer Completer,
	usage string) {
	*value = initial
	flags.Var(&suggested{value, completer}, name, usage)
}

func (s *suggested) Set(text string) error {
	*s.value = text
	return nil
}

func (s *suggested) String() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

func (s *suggested) Complete(begun string) []string { return s.completer.Complete(begun) }
