package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"strconv"

	"slipway/internal/display"
)

// document is a report before it is Markdown or HTML.
type document struct {
	title  string
	blocks []block
}

func (d *document) heading(text string)      { d.blocks = append(d.blocks, heading{text}) }
func (d *document) say(text string)          { d.blocks = append(d.blocks, paragraph{text}) }
func (d *document) add(blocks ...block)      { d.blocks = append(d.blocks, blocks...) }
func (d *document) list(items []string)      { d.blocks = append(d.blocks, bullets{items}) }
func (d *document) attach(files ...fileData) { d.blocks = append(d.blocks, attachment{files}) }

// block is a part of a document.
type block interface {
	// files returns what lies beside the document for this part.
	files() []fileData
}

type fileData struct {
	name    string
	content []byte
}

type heading struct{ text string }
type paragraph struct{ text string }
type bullets struct{ items []string }

// attachment is a file that is linked to, and not shown.
type attachment struct{ of []fileData }

// tableBlock is shown as a table; the first column is aligned left, the others right.
type tableBlock struct {
	head []string
	rows [][]string
}

// MarshalJSON writes the table as a list of rows, the head first.
func (t tableBlock) MarshalJSON() ([]byte, error) {
	return json.Marshal(append([][]string{t.head}, t.rows...))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *tableBlock) UnmarshalJSON(raw []byte) error {
	var rows [][]string
	if err := json.Unmarshal(raw, &rows); err != nil {
		return err
	}
	if len(rows) == 0 {
		return errors.New("a table without a head")
	}
	t.head, t.rows = rows[0], rows[1:]
	return nil
}

// figure is a picture with its caption and the table it was drawn from.
type figure struct {
	name    string // of the files, without their endings
	caption string
	svg     []byte // one of svg and png
	png     []byte
	data    []byte // CSV
}

func (heading) files() []fileData      { return nil }
func (paragraph) files() []fileData    { return nil }
func (bullets) files() []fileData      { return nil }
func (tableBlock) files() []fileData   { return nil }
func (a attachment) files() []fileData { return a.of }

func (f figure) files() []fileData {
	picture := fileData{f.name + ".svg", f.svg}
	if f.png != nil {
		picture = fileData{f.name + ".png", f.png}
	}
	return []fileData{picture, {f.name + ".csv", f.data}}
}

// csvTable builds a CSV file row by row.
type csvTable struct{ rows [][]string }

func newTable(head ...string) *csvTable { return &csvTable{[][]string{head}} }

// row adds a row. Names of settings are anybody's: none is a formula.
func (t *csvTable) row(cells ...string) {
	safe := make([]string, len(cells))
	for i, cell := range cells {
		safe[i] = display.Cell(cell)
	}
	t.rows = append(t.rows, safe)
}

func (t *csvTable) bytes() ([]byte, error) {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	if err := w.WriteAll(t.rows); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

// number writes a figure into a CSV file: seven significant digits.
func number(x float64) string { return strconv.FormatFloat(x, 'g', 7, 64) }

// exact writes a figure into a CSV file that is read again.
func exact(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
