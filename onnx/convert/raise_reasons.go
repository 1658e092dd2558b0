package convert

import (
	"errors"
	"fmt"
	"strings"
)

// reasons collects why a graph is no network. Nodes that are refused for the same
// reason are counted after the first.
type reasons struct {
	list []*reason
}

type reason struct {
	at   string
	err  error
	more int // nodes of the same reason
}

// maxReasons bounds how many are told.
const maxReasons = 16

func (r *reasons) add(at string, err error) {
	for _, known := range r.list {
		if known.err.Error() == err.Error() {
			known.more++
			return
		}
	}
	if len(r.list) <= maxReasons { // one more than are told
		r.list = append(r.list, &reason{at: at, err: err})
	}
}

// err returns the reasons, nil if there are none.
func (r *reasons) err() error {
	var all reasonList
	for _, reason := range r.list[:min(len(r.list), maxReasons)] {
		at := reason.at
		if reason.more > 0 {
			at += fmt.Sprintf(" and %d more", reason.more)
		}
		all = append(all, fmt.Errorf("%s: %w", at, reason.err))
	}
	if len(r.list) > maxReasons {
		all = append(all, errors.New("and more"))
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

// reasonList is several errors, as errors.Join has them, under a line that counts them.
type reasonList []error

func (l reasonList) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d reasons:", len(l))
	for _, err := range l {
		text.WriteString("\n  " + err.Error())
	}
	return text.String()
}

// Unwrap returns the errors.
func (l reasonList) Unwrap() []error { return l }
