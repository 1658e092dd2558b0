package infer

import (
	"regexp"
	"strings"

	"slipway/internal/display"
)

// onnxRuntimeError is an error of onnxruntime in the words that are of use to a user.
type onnxRuntimeError struct {
	text string
	err  error
}

// plainError leaves out of an error of onnxruntime where in its own source it arose, and what of a
// name in the model would move a terminal's cursor.
func plainError(err error) error {
	if err == nil {
		return nil
	}
	return &onnxRuntimeError{text: display.Printable(withoutSource(err.Error())), err: err}
}

func (e *onnxRuntimeError) Error() string { return e.text }

func (e *onnxRuntimeError) Unwrap() error { return e.err }

var (
	// callersWords are of the binding, which says what it was about to do.
	callersWords = regexp.MustCompile(
		`^(Error running network|Error creating C session|Error creating session): `)
	// failedNode is how onnxruntime begins the error of a kernel.
	failedNode = regexp.MustCompile(
		`Non-zero status code returned while running (\S+) node\. Name:'([^']*)' Status Message: `)
	// sourcePlace is a file of C++ with a line.
	sourcePlace = regexp.MustCompile(`(?:[A-Za-z]:)?[\w./\\+-]*\w\.(?:cc|cpp|cxx|cu|cuh|h|hpp):\d+ `)
	// bareFunction is the function's name behind the place where onnxruntime gives no
	// signature.
	bareFunction = regexp.MustCompile(`^[A-Za-z_]\w* `)
	// brokenCondition is the C++ condition that was to hold.
	brokenCondition = regexp.MustCompile(`^[^.]*(?:\.\w[^.]*)*? was false\. `)
	templateValues  = regexp.MustCompile(`^ \[with [^\]]*\]`)
)

// withoutSource keeps the sentences of an error text of onnxruntime on one line, and
// leaves out source files, functions and conditions of C++.
func withoutSource(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	text = callersWords.ReplaceAllString(text, "")
	text = failedNode.ReplaceAllString(text, `$1 "$2": `)
	for {
		place := sourcePlace.FindStringIndex(text)
		if place == nil {
			return text
		}
		said := afterFunction(text[place[1]:])
		if sentence := brokenCondition.ReplaceAllString(said, ""); sentence != "" {
			said = sentence
		}
		text = text[:place[0]] + said
	}
}

// afterFunction cuts a function's signature, or its name, off the front.
func afterFunction(text string) string {
	open := strings.IndexByte(text, '(')
	if open < 0 || strings.Contains(text[:open], ". ") || !strings.Contains(text[:open], "::") {
		return bareFunction.ReplaceAllString(text, "")
	}
	at := open
	for at < len(text) && (text[at] == '(' || strings.HasPrefix(text[at:], "::")) {
		if text[at] != '(' {
			// A lambda, or what lies inside a function: on to its arguments.
			next := strings.IndexByte(text[at:], '(')
			if next < 0 {
				break
			}
			at += next
		}
		depth := 0
		for ; at < len(text); at++ {
			switch text[at] {
			case '(':
				depth++
			case ')':
				depth--
			}
			if depth == 0 {
				at++
				break
			}
		}
		if strings.HasPrefix(text[at:], ">") {
			at++ // of ::<lambda(…)>
		}
	}
	rest := text[at:]
	rest = strings.TrimPrefix(rest, " const")
	rest = strings.TrimPrefix(rest, " noexcept")
	rest = templateValues.ReplaceAllString(rest, "")
	return strings.TrimLeft(rest, " ")
}
