package dataset

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// What parts the labels of one picture in a column of labels, where a list is of any number of
// labels a picture. A list has one of them.
const labelSeparators = "|;"

// partLabels makes labels of the texts in the column of labels: several parted by | or by ;, none
// of an empty one. Of a list with one label a picture it says what looks like several.
func (l *labelList) partLabels(path string, opts Options) error {
	separator, first := "", 0
	several := 0
	for _, line := range l.lines {
		at := strings.IndexAny(line.label, labelSeparators)
		if at < 0 {
			continue
		}
		several++
		for _, found := range labelSeparators {
			own := string(found)
			switch {
			case !strings.Contains(line.label, own):
			case separator == "":
				separator, first = own, line.line
			case separator != own && l.multiLabel:
				return fmt.Errorf("%s: %w: labels are parted by %s in line %d and by %s in line %d; "+
					"write one of them in all lines", path, ErrLabel, separator, first, own, line.line)
			}
		}
	}
	if !l.multiLabel {
		if several > 0 {
			opts.say(
				"note: %s: there is a %s in %d of its %s, as where pictures have several; each is taken "+
					"for the name of one class, and -multi-label takes it for several", path, separator,
				several, counted(len(l.lines), "label", "labels"))
		}
		return nil
	}
	for i := range l.lines {
		if err := l.lines[i].part(separator); err != nil {
			return fmt.Errorf("%s, line %d: %w", path, l.lines[i].line, err)
		}
	}
	return nil
}

func (row *listed) part(separator string) error {
	row.labels = []string{}
	if row.label == "" {
		return nil
	}
	parts := []string{row.label}
	if separator != "" {
		parts = strings.Split(row.label, separator)
	}
	for _, part := range parts {
		label := strings.TrimSpace(part)
		switch {
		case label == "":
			return fmt.Errorf("%w: the labels %q of %s have an empty one among them; take a %s away",
				ErrLabel, row.label, row.name, separator)
		case slices.Contains(row.labels, label):
			return fmt.Errorf("%w: %s has the label %s twice", ErrLabel, row.name, label)
		}
		row.labels = append(row.labels, label)
	}
	return nil
}

// readLabelColumns reads a list whose first line names a column of names and none of labels: each
// other column is a label, which pictures with a 1 there have and those with a 0 have not. ok is
// false where it is no such list, unless the options say that it must be.
func readLabelColumns(path string, reader *csv.Reader, first []string, names int, opts Options) (
	list *labelList, ok bool, err error) {
	titles := make([]string, len(first))
	for i, title := range first {
		titles[i] = strings.Clone(strings.TrimSpace(title))
	}
	list, onlyOne := &labelList{multiLabel: true}, true
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !opts.MultiLabel {
			return nil, false, nil
		}
		if err != nil {
			return nil, true, fmt.Errorf("%s: %w", path, err)
		}
		line, _ := reader.FieldPos(0)
		row, err := labelColumnsOf(record, titles, names, line)
		if err != nil && !opts.MultiLabel {
			return nil, false, nil
		}
		if err != nil {
			return nil, true, fmt.Errorf("%s, line %d: %w", path, line, err)
		}
		onlyOne = onlyOne && len(row.labels) == 1
		list.lines = append(list.lines, row)
	}
	if len(list.lines) == 0 {
		return nil, false, nil
	}
	list.titles = slices.Delete(slices.Clone(titles), names, names+1)
	for i, title := range list.titles {
		if title == "" || slices.Index(list.titles, title) < i {
			return nil, true, fmt.Errorf("%s: %w: the first line calls two columns of labels %q, "+
				"or one nothing; give each a name of its own", path, ErrArgument, title)
		}
	}
	if onlyOne && !opts.MultiLabel {
		return nil, true, fmt.Errorf("%s: %w: each line has a single 1, so that a picture may have one "+
			"label or any number of them; say -multi-label for any number, or write one column called label",
			path, ErrAmbiguous)
	}
	for i := range list.lines {
		if err := list.lines[i].checkName(); err != nil {
			return nil, true, fmt.Errorf("%s, line %d: %w", path, list.lines[i].line, err)
		}
	}
	return list, true, nil
}

// labelColumnsOf reads a line of columns of 0 and 1.
func labelColumnsOf(record, titles []string, names, line int) (listed, error) {
	if len(record) != len(titles) {
		return listed{}, fmt.Errorf("%w: %d values, the first line has %d", ErrArgument, len(record),
			len(titles))
	}
	row := listed{name: strings.Clone(strings.TrimSpace(record[names])), line: line,
		labels: []string{}}
	for column, text := range record {
		if column == names {
			continue
		}
		switch strings.TrimSuffix(strings.TrimSpace(text), ".0") { // as pandas writes floats
		case "0":
		case "1":
			row.labels = append(row.labels, titles[column])
		default:
			return row, fmt.Errorf("%w: %q in the column %s; without a column called label each column "+
				"but that of names is a label, with 1 for the pictures that have it and 0 for the others: "+
				"write these, or take the column away", ErrLabel, text, titles[column])
		}
	}
	return row, nil
}
