package inspect

import (
	"strings"
	"unicode"
)

// printable replaces what a terminal would obey: names in a file are anybody's.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, text)
}
