// Package display makes text and numbers fit to be shown: names in a file are
// anybody's.
package display

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Printable replaces what would move a terminal's cursor.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, text)
}

// Lines is Printable for a text of several lines: it keeps their ends and tabs.
func Lines(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, text)
}

// Cell makes a text fit for a CSV file that a spreadsheet opens: one that begins as a formula does
// gets an apostrophe before it, which spreadsheets take for the mark of a text. Numbers stay, and
// what would move a terminal's cursor does not.
func Cell(text string) string {
	safe := Printable(text)
	if text == "" || !strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return safe
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return text
	}
	return "'" + safe
}

// Thousands writes a number of at least 0 with commas: 1,234,567.
func Thousands[N int | int64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Count writes a number of things, of which noun is the name of one: 1 epoch, 2 epochs.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// Bytes writes a number of bytes in thousands, with one digit after the point where there
// are fewer than ten: 512 bytes, 1.5 MB, 47 MB.
func Bytes(n int64) string {
	if n < 1000 {
		return Count(int(n), "byte")
	}
	value, unit := float64(n)/1000, 0
	units := []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	for value >= 999.5 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	digits := 0
	if value < 9.95 {
		digits = 1
	}
	return strings.TrimSuffix(strconv.FormatFloat(value, 'f', digits, 64), ".0") + " " + units[unit]
}

// ClassNames returns a name for each of that many classes: those given as far as they go, and the
// class's number elsewhere.
func ClassNames(names []string, classes int) []string {
	labels := make([]string, classes)
	for class := range labels {
		if class < len(names) {
			labels[class] = names[class]
		} else {
			labels[class] = fmt.Sprint(class)
		}
	}
	return labels
}
