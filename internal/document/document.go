// Package document builds a report once and writes it as Markdown and as one page of HTML: a
// title, then headings, paragraphs, lists, tables, and figures with the data that they were
// drawn from.
package document

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"slipway/internal/display"
)

// Document is a report before it is Markdown or HTML.
type Document struct {
	Title  string
	blocks []Block
}

// Heading begins a part.
func (d *Document) Heading(text string) { d.Add(heading{text}) }

// Say adds a paragraph.
func (d *Document) Say(text string) { d.Add(paragraph{text}) }

// Add adds tables and figures.
func (d *Document) Add(blocks ...Block) { d.blocks = append(d.blocks, blocks...) }

// List adds the items with a bullet each.
func (d *Document) List(items []string) { d.Add(bullets{items}) }

// Attach adds links to files that are not shown.
func (d *Document) Attach(files ...File) { d.Add(attachment{files}) }

// Files returns what lies beside the Markdown: pictures and data. HTML has them in it.
func (d *Document) Files() []File {
	var all []File
	for _, b := range d.blocks {
		all = append(all, b.files()...)
	}
	return all
}

// Block is a part of a document: a Table, a Figure, or what Document's methods add.
type Block interface {
	// files returns what lies beside the document for this part.
	files() []File
}

// File is a file of a document.
type File struct {
	Name    string
	Content []byte
}

type heading struct{ text string }
type paragraph struct{ text string }
type bullets struct{ items []string }

// attachment is a file that is linked to, and not shown.
type attachment struct{ of []File }

// Table is shown as a table; the first column is aligned left, the others right.
type Table struct {
	Head []string
	Rows [][]string
}

// MarshalJSON writes the table as a list of rows, the head first.
func (t Table) MarshalJSON() ([]byte, error) {
	return json.Marshal(append([][]string{t.Head}, t.Rows...))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *Table) UnmarshalJSON(raw []byte) error {
	var rows [][]string
	if err := json.Unmarshal(raw, &rows); err != nil {
		return err
	}
	if len(rows) == 0 {
		return errors.New("a table without a head")
	}
	t.Head, t.Rows = rows[0], rows[1:]
	return nil
}

// Figure is a picture with its caption and the table it was drawn from.
type Figure struct {
	Name     string // of the files, without their endings
	Caption  string
	SVG, PNG []byte // one of the two
	Data     []byte // CSV
}

func (heading) files() []File      { return nil }
func (paragraph) files() []File    { return nil }
func (bullets) files() []File      { return nil }
func (Table) files() []File        { return nil }
func (a attachment) files() []File { return a.of }

func (f Figure) files() []File {
	picture := File{f.Name + ".svg", f.SVG}
	if f.PNG != nil {
		picture = File{f.Name + ".png", f.PNG}
	}
	return []File{picture, {f.Name + ".csv", f.Data}}
}

// inert makes one line of a text, and replaces what would move a terminal's cursor or turn the
// direction of reading.
func inert(text string) string {
	return display.Printable(strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\t", " ").
		Replace(text))
}

// CSV builds a CSV file row by row.
type CSV struct{ rows [][]string }

// NewCSV begins one with its header line.
func NewCSV(head ...string) *CSV { return &CSV{[][]string{head}} }

// Row adds a line. Names are anybody's: none is a formula.
func (t *CSV) Row(cells ...string) {
	safe := make([]string, len(cells))
	for i, cell := range cells {
		safe[i] = display.Cell(cell)
	}
	t.rows = append(t.rows, safe)
}

// Bytes returns the file.
func (t *CSV) Bytes() ([]byte, error) {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	if err := w.WriteAll(t.rows); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

// Number writes a figure into a CSV file: seven significant digits.
func Number(x float64) string { return strconv.FormatFloat(x, 'g', 7, 64) }

// Exact writes a figure into a CSV file that is read again.
func Exact(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
