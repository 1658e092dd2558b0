package dataset

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"slipway/dataset/picture"
)

const (
	// tableStart is how much of a file tells a table: its first two lines, of which the
	// second need not end. A header of 28×28 pixels takes 7 kB, and one of 128×128 184 kB.
	tableStart = 1 << 18
	// maxTableLine is the most bytes that a line takes: 1,024×1,024 pixels do.
	maxTableLine = 1 << 23
)

// errUnlabelled is of a table that has pixels alone, as the test files of contests.
var errUnlabelled = errors.New("it has no labels")

// isTable tells a table of pixels (CSV) by what it begins with: commas, and numbers alone
// in its first line or, after a header, in its second.
func isTable(start []byte) bool {
	lines := bytes.SplitN(bytes.TrimPrefix(start, []byte("\ufeff")), []byte("\n"), 3)
	return slices.ContainsFunc(lines[:min(len(lines), 2)], isNumbers)
}

// isTableName reports names that are given to tables.
func isTableName(file string) bool {
	name := strings.ToLower(file)
	return strings.HasSuffix(name, ".csv") || strings.HasSuffix(name, ".csv.gz")
}

// notTable is the error of a file that is called a table of pixels and is none.
func notTable(file string, start []byte) error {
	what := picture.Kind(start)
	if what == "" {
		line, _, _ := bytes.Cut(start, []byte("\n"))
		what = displayed(line)
	}
	return fmt.Errorf("%s: %w: it begins as %s; a line is an image: its label and its pixels as "+
		"numbers, with or without a header", file, ErrTable, what)
}

// isNumbers reports whether a line has two numbers or more, and nothing else. The last of
// them may be cut.
func isNumbers(line []byte) bool {
	fields := 0
	for rest, more := line, true; more; fields++ {
		var field []byte
		field, rest, more = bytes.Cut(rest, []byte(","))
		if _, err := strconv.ParseFloat(string(bare(field)), 64); err != nil &&
			(more || fields == 0) {
			return false
		}
	}
	return fields > 2
}

// bare takes spaces and quotes from a field.
func bare(field []byte) []byte {
	field = bytes.TrimSpace(field)
	if n := len(field); n >= 2 && field[0] == '"' && field[n-1] == '"' {
		return field[1 : n-1]
	}
	return field
}

// openTable opens a CSV file, plain or .gz, with a line for each image: its label and its
// pixels, whole numbers 0 to 255, row by row. The header, if there is one, says which
// column is the label (label or class); without it that is the first. Images are grey and
// square: as many columns are left as a square has.
func openTable(ctx context.Context, file string, opts Options) (*Set, error) {
	f, err := openRegular(file, "a CSV file")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	unpacked, err := unpack(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	table := &pixelTable{limit: opts.dataLimit()}
	if err := table.read(ctx, unpacked); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	set, err := NewSet(file, table.pixels, table.labels, 1, table.side, table.side, opts.Classes)
	if err != nil {
		return nil, err
	}
	return set.placed(file, ""), nil
}

// pixelTable is a table while it is read.
type pixelTable struct {
	limit   int64 // of pixels
	columns int   // 0 before the first line
	label   int   // the column that is the label
	side    int   // of an image
	pixels  []uint8
	labels  []int32
}

func (t *pixelTable) read(ctx context.Context, r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxTableLine)
	number := 0
	for lines.Scan() {
		number++
		line := lines.Bytes()
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if number%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := t.line(line); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%w: line %d has more than %d bytes", ErrTooLarge, number+1, maxTableLine)
	case err != nil:
		return readError(err, fmt.Sprintf("line %d", number+1))
	case len(t.labels) == 0:
		return ErrEmpty
	}
	return nil
}

// line takes the header or the image of a line.
func (t *pixelTable) line(line []byte) error {
	if t.columns > 0 {
		return t.row(line)
	}
	fields := bytes.Split(line, []byte(","))
	t.columns = len(fields)
	if header := !isNumbers(line); header {
		return t.header(fields)
	}
	if err := t.shape(); err != nil {
		return err
	}
	return t.row(line)
}

// header finds the label's column.
func (t *pixelTable) header(fields [][]byte) error {
	isLabel := func(field []byte) bool {
		name := string(bytes.ToLower(bare(field)))
		return name == "label" || name == "class"
	}
	t.label = slices.IndexFunc(fields, isLabel)
	switch {
	case t.label < 0:
		return fmt.Errorf("%w: there is no column called label, but %s …, as in a contest's "+
			"test file; "+
			"nothing can be learned from it or tested on it", errUnlabelled, displayed(fields[0]))
	case slices.ContainsFunc(fields[t.label+1:], isLabel):
		return fmt.Errorf("%w: two columns are called label or class", ErrTable)
	}
	return t.shape()
}

// displayed is a field as an error shows it.
func displayed(field []byte) string {
	return strconv.Quote(string(field[:min(len(field), 32)]))
}

// shape finds the side of the images.
func (t *pixelTable) shape() error {
	pixels := t.columns - 1
	if t.side = squareRoot(pixels); t.side > 0 {
		return nil
	}
	if side := squareRoot(t.columns); side > 0 {
		return fmt.Errorf("%w: %d columns are %d×%d pixels, and none is left for the label",
			errUnlabelled, t.columns, side, side)
	}
	return fmt.Errorf("%w: %d columns beside the label are no square of grey pixels, as 784 are "+
		"28×28", ErrTable, pixels)
}

// squareRoot is the whole root of n, 0 where there is none.
func squareRoot(n int) int {
	if root := int(math.Sqrt(float64(n))); root > 0 && root*root == n {
		return root
	}
	return 0
}

// row takes an image.
func (t *pixelTable) row(line []byte) error {
	if int64(len(t.pixels))+int64(t.columns-1) > t.limit {
		return fmt.Errorf("%w: its pixels take more than %d bytes", ErrTooLarge, t.limit)
	}
	column := 0
	for more := true; more; column++ {
		if column == t.columns {
			return fmt.Errorf("%w: more than %d columns", ErrTable, t.columns)
		}
		number, length := leadingNumber(line)
		if length == 0 || length < len(line) && line[length] != ',' {
			var field []byte
			field, _, _ = bytes.Cut(line, []byte(","))
			length, number = len(field), writtenOtherwise(field)
		}
		switch {
		case column == t.label && number < 0:
			return fmt.Errorf("%w: label %s is no whole number from 0", ErrLabel,
				displayed(line[:length]))
		case column == t.label:
			t.labels = append(t.labels, int32(number))
		case number < 0 || number > math.MaxUint8:
			return fmt.Errorf("%w: %s in column %d; pixels are whole numbers 0 to 255, which "+
				"those of 0 to 1 are after multiplication by 255", ErrPixel,
				displayed(line[:length]), column+1)
		default:
			t.pixels = append(t.pixels, uint8(number))
		}
		if more = length < len(line); more {
			line = line[length+1:]
		}
	}
	if column < t.columns {
		return fmt.Errorf("%w: %d columns, the first line has %d; copy or download the file again",
			ErrTable, column, t.columns)
	}
	return nil
}

// leadingNumber reads the digits that a line begins with, at most nine.
func leadingNumber(line []byte) (number, length int) {
	for length < len(line) && length < 9 && line[length] >= '0' && line[length] <= '9' {
		number = number*10 + int(line[length]-'0')
		length++
	}
	return number, length
}

// writtenOtherwise reads a whole number from 0 to 2³¹−1 with spaces, quotes, a point or
// many digits; -1 is what is none.
func writtenOtherwise(field []byte) int {
	value, err := strconv.ParseFloat(string(bare(field)), 64)
	if err != nil || value != math.Trunc(value) || value < 0 || value > math.MaxInt32 {
		return -1
	}
	return int(value)
}
