package dataset

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
)

// nameColumns and labelColumns are how people call the columns of a list, the surest
// first, in lower case, without spaces, underscores and dashes.
func nameColumns() []string {
	return []string{"filename", "filepath", "file", "path", "imagepath", "imgpath", "imagename",
		"imagefile", "image", "img", "imageid", "picture", "photo", "name", "id"}
}

func labelColumns() []string {
	return []string{"label", "labels", "class", "target", "category", "classname", "labelname",
		"categoryname", "classid", "labelid", "categoryid", "breed", "species", "diagnosis", "dx"}
}

// A column is one of those beside names and labels.
type column struct {
	place int
	title string
}

// restOf has the columns that a multi-label list does not read.
func restOf(titles []string, names, labels int, multiLabel bool) []column {
	var rest []column
	for place, title := range titles {
		if multiLabel && place != names && place != labels {
			rest = append(rest, column{place, strings.Clone(title)})
		}
	}
	return rest
}

// keepBinary leaves those that hold 0 or 1 in a line.
func keepBinary(rest []column, record []string) []column {
	return slices.DeleteFunc(rest, func(c column) bool {
		if c.place >= len(record) {
			return true
		}
		value := strings.TrimSpace(record[c.place])
		return value != "0" && value != "1"
	})
}

// separatorOf is what the first line has most of: a comma, a semicolon or a tab.
func separatorOf(text []byte) rune {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	best := ','
	for _, candidate := range ";\t" {
		if bytes.Count(line, []byte(string(candidate))) > bytes.Count(line, []byte(string(best))) {
			best = candidate
		}
	}
	return best
}

// columnsOf finds the columns of names and of labels by what the first line calls them.
func columnsOf(header []string) (names, labels int, ok bool) {
	plain := make([]string, len(header))
	for i, title := range header {
		plain[i] = strings.NewReplacer(" ", "", "_", "", "-", "").Replace(strings.ToLower(title))
	}
	find := func(titles []string) int {
		for _, title := range titles {
			if i := slices.Index(plain, title); i >= 0 {
				return i
			}
		}
		return -1
	}
	names, labels = find(nameColumns()), find(labelColumns())
	return names, labels, names >= 0 && labels >= 0
}

// columnsWithout tells the columns of a list without titles: there are two, and one of
// them is a picture's name.
func columnsWithout(first []string) (names, labels int, ok bool) {
	if len(first) != 2 {
		return 0, 0, false
	}
	switch zero, one := isPictureName(first[0]), isPictureName(first[1]); {
	case zero && !one:
		return 0, 1, true
	case one && !zero:
		return 1, 0, true
	}
	return 0, 0, false
}

// refuseUntitled says what a file lacks that names pictures and is no list all the same: a column
// that is called as those of labels are. It returns nil of any other file.
func refuseUntitled(path string) error {
	text, err := readListText(path)
	if err != nil {
		return nil // whatever else it may be
	}
	reader := csv.NewReader(bytes.NewReader(text))
	reader.Comma, reader.FieldsPerRecord = separatorOf(text), -1
	header, err := reader.Read()
	if err != nil {
		return nil
	}
	names, labels, _ := columnsOf(header)
	first, err := reader.Read()
	if err != nil || names < 0 || labels >= 0 || names >= len(first) || !isPictureName(first[names]) {
		return nil
	}
	others := slices.Delete(slices.Clone(header), names, names+1)
	if len(others) == 0 {
		return fmt.Errorf("%s: %w: its only column, %q, has the pictures' names; add one called label",
			path, ErrArgument, header[names])
	}
	return fmt.Errorf("%s: %w: the column %q has the pictures' names, and none is called label: call "+
		"that with the labels so (the others are %q)", path, ErrArgument, header[names], others)
}
