package onnx

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

func (r *reasons) err() error {
	var parts []string
	for _, reason := range r.list[:min(len(r.list), maxReasons)] {
		at := reason.at
		if reason.more > 0 {
			at += fmt.Sprintf(" and %d more", reason.more)
		}
		parts = append(parts, at+": "+reason.err.Error())
	}
	switch len(parts) {
	case 0:
		return nil
	case 1:
		return errors.New(parts[0])
	}
	if len(r.list) > maxReasons {
		parts = append(parts, "and more")
	}
	return fmt.Errorf("%d reasons:\n  %s", len(r.list), strings.Join(parts, "\n  "))
}
