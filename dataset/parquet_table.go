package dataset

import (
	"encoding/binary"
	"fmt"
	"iter"
	"strconv"

	"github.com/parquet-go/parquet-go"
)

// parquetTable is what is known of a Parquet file of pictures: their labels and names,
// and in which page each lies.
type parquetTable struct {
	pages         []parquetPage // of the pictures, in the order of the rows
	labels, names []string      // of each row; names is empty where the file has none
	classes       []string
}

// inPage is a row's place.
type inPage struct {
	page *parquetPage
	row  int // within the page
}

// rows yields the place of each row.
func (t *parquetTable) rows() iter.Seq2[int, inPage] {
	return func(yield func(int, inPage) bool) {
		row := 0
		for i := range t.pages {
			for j := range t.pages[i].rows {
				if !yield(row, inPage{&t.pages[i], j}) {
					return
				}
				row++
			}
		}
	}
}

// openParquet reads a file's footer, the headers of its pictures' pages, and its columns
// of labels and names as a whole. No picture is read.
func openParquet(path string) (table *parquetTable, err error) {
	defer recoverParquet(&err)
	reopened, err := statReopened(path, "a Parquet file")
	if err != nil {
		return nil, err
	}
	file, err := openFooter(reopened)
	if err != nil {
		return nil, err
	}
	named, err := classNamesOf(file)
	if err != nil {
		return nil, err
	}
	pictures, names, err := pictureLeaves(file.Root())
	if err != nil {
		return nil, err
	}
	labels, err := labelLeaf(file.Root(), named)
	if err != nil {
		return nil, err
	}
	table = &parquetTable{classes: named[labels.Name()]}
	if table.pages, err = columnPages(reopened, file, pictures); err != nil {
		return nil, err
	}
	if table.labels, err = columnTexts(reopened, file, labels); err != nil {
		return nil, err
	}
	if names != nil {
		if table.names, err = columnTexts(reopened, file, names); err != nil {
			return nil, err
		}
	}
	rows := 0
	for _, page := range table.pages {
		rows += page.rows
	}
	if rows != len(table.labels) || names != nil && rows != len(table.names) {
		return nil, fmt.Errorf("%w: %d pictures, %d labels; the file is damaged: copy or "+
			"download it again",
			ErrCount, rows, len(table.labels))
	}
	return table, nil
}

// openFooter opens a file whose footer is no longer than the file and whose rows are no
// more than bytes: a picture takes more than one.
func openFooter(file reopenedFile) (*parquet.File, error) {
	var end [8]byte
	if file.size < 12 {
		return nil, fmt.Errorf("%w: %d bytes are no Parquet file", ErrTruncated, file.size)
	}
	if _, err := file.ReadAt(end[:], file.size-8); err != nil {
		return nil, err
	}
	if string(end[4:]) != "PAR1" || int64(binary.LittleEndian.Uint32(end[:])) > file.size-12 {
		return nil, fmt.Errorf("%w: a Parquet file ends with a footer and PAR1, this one does "+
			"not; copy or download it again", ErrTruncated)
	}
	// The page index and the filters are not needed; what is not read cannot be damaged.
	opened, err := parquet.OpenFile(file, file.size, parquet.SkipPageIndex(true),
		parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, damagedParquet(err)
	}
	if opened.NumRows() < 0 || opened.NumRows() > file.size {
		return nil, fmt.Errorf("%w: %d rows in %d bytes; copy or download it again", ErrTooLarge,
			opened.NumRows(), file.size)
	}
	return opened, nil
}

// columnTexts reads a column of numbers or words as texts. What is null is empty.
func columnTexts(reopened reopenedFile, file *parquet.File, column *parquet.Column,
) ([]string, error) {
	switch column.Type().Kind() {
	case parquet.Int32, parquet.Int64, parquet.ByteArray, parquet.Boolean:
	default:
		return nil, fmt.Errorf("%w: the column %s is of %s; labels are whole numbers or words",
			ErrArgument, column.Name(), column.Type())
	}
	pages, err := columnPages(reopened, file, column)
	if err != nil {
		return nil, err
	}
	var texts []string
	for i := range pages {
		err := pages[i].each(func(value parquet.Value) error {
			texts = append(texts, textOf(value))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("the column %s: %w", column.Name(), err)
		}
	}
	return texts, nil
}

func textOf(value parquet.Value) string {
	switch {
	case value.IsNull():
		return ""
	case value.Kind() == parquet.Int32:
		return strconv.Itoa(int(value.Int32()))
	case value.Kind() == parquet.Int64:
		return strconv.FormatInt(value.Int64(), 10)
	case value.Kind() == parquet.Boolean && value.Boolean():
		return "1"
	case value.Kind() == parquet.Boolean:
		return "0"
	}
	return string(value.ByteArray())
}
