package dataset

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// errNoPart is of a place that does not hold the part that was asked for.
var errNoPart = errors.New("that part is not there")

// noParts says that a place is one set, and that no part of it can be asked for.
func noParts(place string, part Part) error {
	if part == "" {
		return nil
	}
	return fmt.Errorf("%w: %s is one set: %w; give it without :%s", ErrUnknown, place, errNoPart,
		part)
}

// choosePart says which part of a place is meant: the one asked for, the only one, or
// that of the options where it has both. Part "" is of places that are one set. None at
// all is ErrUnknown.
func choosePart(place string, asked Part, opts Options, has func(Part) bool) (Part, error) {
	train, test := has(Train), has(Test)
	switch {
	case asked != "" && has(asked):
		return asked, nil
	case asked != "":
		return "", fmt.Errorf("%w: %s:%s: %w", ErrUnknown, place, asked, errNoPart)
	case train && test && opts.Part != "":
		return opts.Part, nil
	case train && test:
		return "", ambiguous(place)
	case train:
		return Train, nil
	case test:
		return Test, nil
	case has(""):
		return "", nil
	}
	return "", fmt.Errorf("%w: %s", ErrUnknown, place)
}

// ambiguous is the error of a place with both parts, of which none was asked for.
func ambiguous(place string) error {
	return fmt.Errorf("%s: %w; say which: %s:%s or %s:%s", place, ErrAmbiguous, place, Train,
		place, Test)
}

// suffixOf is what a part's name ends with.
func suffixOf(part Part) string {
	if part == "" {
		return ""
	}
	return ":" + string(part)
}

// splitPart takes the part from the end of a set's name, where the rest is a file or a
// folder. One that is called so as a whole goes first. The part to test on is :test as well.
func splitPart(spec string) (place string, part Part, info os.FileInfo, err error) {
	if info, err = os.Stat(spec); err == nil {
		return spec, "", info, nil
	}
	for _, p := range parts() {
		before, ok := strings.CutSuffix(spec, ":"+string(p))
		if !ok && p == Test {
			before, ok = strings.CutSuffix(spec, ":test")
		}
		if ok {
			info, err := os.Stat(before)
			return before, p, info, err
		}
	}
	return spec, "", nil, err
}

// partHint answers who calls the part to test on as its folder is called, such as own:val.
func partHint(spec string) string {
	for _, word := range partFolders(Test) {
		if before, ok := strings.CutSuffix(spec, ":"+word); ok {
			if _, err := os.Stat(before); err == nil {
				return fmt.Sprintf("; the part to test on is %s:test, whatever its folder is called", before)
			}
		}
	}
	return ""
}
