package study

import (
	"fmt"
	"strconv"
	"strings"
)

// Part is a share of a study's runs: those at the places I−1, I−1+Of, I−1+2·Of … in the order of
// settings and seeds. The zero value is all of them.
type Part struct{ I, Of int }

// mostParts bounds Of, as the runs of a study are.
const mostParts = mostRuns

// ParsePart reads "2/8", the second of eight parts.
func ParsePart(text string) (Part, error) {
	first, of, ok := strings.Cut(text, "/")
	part := Part{}
	var err error
	if part.I, err = strconv.Atoi(first); err == nil && ok {
		part.Of, err = strconv.Atoi(of)
	}
	if err != nil || !ok || part.I < 1 || part.I > part.Of || part.Of > mostParts {
		return Part{}, fmt.Errorf("part %q; give I/N, the I-th of N parts, such as 2/8", text)
	}
	return part, nil
}

func (p Part) String() string { return fmt.Sprintf("%d/%d", p.I, p.Of) }

// has reports whether the run at that place is of the part.
func (p Part) has(index int) bool { return p.Of == 0 || index%p.Of == p.I-1 }

// own are the tasks of the execution's part.
func (e *execution) own() []*task {
	var own []*task
	for _, t := range e.tasks {
		if e.options.Part.has(t.index) {
			own = append(own, t)
		}
	}
	return own
}

// ownIDs are the IDs of the execution's part.
func (e *execution) ownIDs() map[string]bool {
	ids := make(map[string]bool)
	for _, t := range e.own() {
		ids[t.id] = true
	}
	return ids
}
