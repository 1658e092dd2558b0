package report

import (
	"bytes"
	"fmt"
	"strings"
)

// markdown writes the document for GitHub and its like. Figures are links to the files
// beside it.
func (d *document) markdown() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# %s\n", escapeMarkdown(d.title))
	for _, b := range d.blocks {
		out.WriteString("\n")
		switch b := b.(type) {
		case heading:
			fmt.Fprintf(&out, "## %s\n", escapeMarkdown(b.text))
		case paragraph:
			fmt.Fprintf(&out, "%s\n", escapeMarkdown(b.text))
		case bullets:
			for _, item := range b.items {
				fmt.Fprintf(&out, "- %s\n", escapeMarkdown(item))
			}
		case attachment:
			for i, file := range b.of {
				if i > 0 {
					out.WriteString(" · ")
				}
				fmt.Fprintf(&out, "[%s](%s)", file.name, file.name)
			}
			out.WriteString("\n")
		case tableBlock:
			writeMarkdownTable(&out, b)
		case figure:
			files := b.files()
			fmt.Fprintf(&out, "![%s](%s)\n\n", escapeMarkdown(b.caption), files[0].name)
			fmt.Fprintf(&out, "%s ([data](%s))\n", escapeMarkdown(b.caption), files[1].name)
		}
	}
	return out.Bytes()
}

func writeMarkdownTable(out *bytes.Buffer, t tableBlock) {
	cells := func(row []string) string {
		escaped := make([]string, len(row))
		for i, cell := range row {
			escaped[i] = escapeMarkdown(cell)
		}
		return "| " + strings.Join(escaped, " | ") + " |\n"
	}
	out.WriteString(cells(t.head))
	out.WriteString("| ---" + strings.Repeat(" | ---:", len(t.head)-1) + " |\n")
	for _, row := range t.rows {
		out.WriteString(cells(row))
	}
}

// writeLeftTable writes a table of texts, all columns aligned left.
func writeLeftTable(out *bytes.Buffer, t tableBlock) {
	var aligned bytes.Buffer
	writeMarkdownTable(&aligned, t)
	out.WriteString(strings.Replace(aligned.String(), " ---:", " ---", len(t.head)-1))
}

// escapeMarkdown keeps names of settings, which people choose, from being markup.
func escapeMarkdown(text string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;", "`", "\\`", "[", `\[`).Replace(text)
}
