package builder

import (
	"errors"
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// PlaceError is what is wrong with a network's file, and where in it.
type PlaceError struct {
	Line   int // from 1
	Column int // from 1
	Err    error
}

func (e *PlaceError) Error() string {
	return fmt.Sprintf("line %d, column %d: %v", e.Line, e.Column, e.Err)
}

func (e *PlaceError) Unwrap() error { return e.Err }

// at returns the error with the node's place, unless it has one already.
func at(node *yaml.Node, err error) error {
	var place *PlaceError
	if err == nil || errors.As(err, &place) {
		return err
	}
	return &PlaceError{Line: node.Line, Column: node.Column, Err: err}
}

func atf(node *yaml.Node, format string, arguments ...any) error {
	return at(node, fmt.Errorf(format, arguments...))
}

// within puts what the error is about before it, and keeps its place.
func within(what string, err error) error {
	var place *PlaceError
	if errors.As(err, &place) {
		return &PlaceError{Line: place.Line, Column: place.Column,
			Err: fmt.Errorf("%s: %w", what, place.Err)}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// quote shows a text of a file in a message, cut where it is long.
func quote(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return strconv.Quote(text)
}

// describeNode shows a scalar as it is written, and says what else a node is.
func describeNode(node *yaml.Node) string {
	switch node.Kind {
	case yaml.ScalarNode:
		return quote(node.Value)
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	return "this"
}
