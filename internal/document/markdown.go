package document

import (
	"bytes"
	"fmt"
	"strings"
)

// Markdown writes the document for GitHub and its like. Figures are links to the files
// beside it.
func (d *Document) Markdown() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# %s\n", EscapeMarkdown(d.Title))
	for _, b := range d.blocks {
		out.WriteString("\n")
		switch b := b.(type) {
		case heading:
			fmt.Fprintf(&out, "## %s\n", EscapeMarkdown(b.text))
		case paragraph:
			fmt.Fprintf(&out, "%s\n", EscapeMarkdown(b.text))
		case bullets:
			for _, item := range b.items {
				fmt.Fprintf(&out, "- %s\n", EscapeMarkdown(item))
			}
		case attachment:
			for i, file := range b.of {
				if i > 0 {
					out.WriteString(" · ")
				}
				fmt.Fprintf(&out, "[%s](%s)", file.Name, file.Name)
			}
			out.WriteString("\n")
		case Table:
			WriteMarkdownTable(&out, b)
		case Figure:
			files := b.files()
			fmt.Fprintf(&out, "![%s](%s)\n\n", EscapeMarkdown(b.Caption), files[0].Name)
			fmt.Fprintf(&out, "%s ([data](%s))\n", EscapeMarkdown(b.Caption), files[1].Name)
		}
	}
	return out.Bytes()
}

func WriteMarkdownTable(out *bytes.Buffer, t Table) {
	cells := func(row []string) string {
		escaped := make([]string, len(row))
		for i, cell := range row {
			escaped[i] = EscapeMarkdown(cell)
		}
		return "| " + strings.Join(escaped, " | ") + " |\n"
	}
	out.WriteString(cells(t.Head))
	out.WriteString("| ---" + strings.Repeat(" | ---:", len(t.Head)-1) + " |\n")
	for _, row := range t.Rows {
		out.WriteString(cells(row))
	}
}

// WriteLeftTable writes a table of texts, all columns aligned left.
func WriteLeftTable(out *bytes.Buffer, t Table) {
	var aligned bytes.Buffer
	WriteMarkdownTable(&aligned, t)
	out.WriteString(strings.Replace(aligned.String(), " ---:", " ---", len(t.Head)-1))
}

// EscapeMarkdown keeps names and questions, which people choose, from being markup, also of the
// line after.
func EscapeMarkdown(text string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;", "`", "\\`",
		"[", `\[`).Replace(inert(text))
}
