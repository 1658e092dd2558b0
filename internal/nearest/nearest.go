// Package nearest suggests the names that a mistyped one may have meant.
package nearest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Hint ends an error message with the names that look most like name,
// `; did you mean "x"?`, and is empty where none is near.
func Hint(name string, names []string) string {
	var quoted []string
	for _, near := range Names(name, names) {
		quoted = append(quoted, fmt.Sprintf("%q", near))
	}
	if len(quoted) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(quoted, ", ") + "?"
}

// Names returns those of the names that look most like name, the nearest first, at
// most three.
func Names(name string, names []string) []string {
	const most, looked = 3, 10_000
	type candidate struct {
		name     string
		distance int
	}
	var candidates []candidate
	for _, other := range names[:min(len(names), looked)] {
		d := distance(strings.ToLower(name), strings.ToLower(other))
		if d <= max(2, len(name)/2) && d < len(name) {
			candidates = append(candidates, candidate{other, d})
		}
	}
	slices.SortFunc(candidates, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var near []string
	for _, c := range candidates[:min(len(candidates), most)] {
		near = append(near, c.name)
	}
	return near
}

// distance is Levenshtein's, in bytes (Wagner and Fischer, JACM 21(1), 1974).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
