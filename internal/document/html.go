package document

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html"
	"strings"
)

const style = `body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.25rem;margin-top:2.2rem;border-bottom:1px solid #ddd}
table{border-collapse:collapse;font-size:.88rem;display:block;overflow-x:auto}
th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #e5e5e5;font-variant-numeric:tabular-nums}td{white-space:nowrap}
th:first-child,td:first-child{text-align:left}th{border-bottom:2px solid #999;vertical-align:bottom}
Figure{margin:1.2rem 0}figure svg,figure img{max-width:100%;height:auto}
figcaption,.files{font-size:.88rem;color:#555}`

// HTML writes the document as one page that needs no other file: pictures and their
// data are in it.
func (d *Document) HTML() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>%s</title>\n<style>\n%s\n</style>\n</head>\n<body>\n<h1>%s</h1>\n",
		escapeHTML(d.Title), style, escapeHTML(d.Title))
	for _, b := range d.blocks {
		switch b := b.(type) {
		case heading:
			fmt.Fprintf(&out, "<h2>%s</h2>\n", escapeHTML(b.text))
		case paragraph:
			fmt.Fprintf(&out, "<p>%s</p>\n", escapeHTML(b.text))
		case bullets:
			out.WriteString("<ul>\n")
			for _, item := range b.items {
				fmt.Fprintf(&out, "<li>%s</li>\n", escapeHTML(item))
			}
			out.WriteString("</ul>\n")
		case attachment:
			out.WriteString("<p class=\"files\">Data:")
			for _, file := range b.of {
				fmt.Fprintf(&out, " %s", dataLink(file))
			}
			out.WriteString("</p>\n")
		case Table:
			writeHTMLTable(&out, b)
		case Figure:
			out.WriteString("<figure>\n")
			if b.PNG != nil {
				fmt.Fprintf(&out, "<img alt=\"%s\" src=\"data:image/png;base64,%s\">\n", escapeHTML(b.Caption),
					base64.StdEncoding.EncodeToString(b.PNG))
			} else {
				out.Write(inline(b.SVG, b.Caption))
			}
			fmt.Fprintf(&out, "<figcaption>%s (%s)</figcaption>\n</figure>\n", escapeHTML(b.Caption),
				dataLink(b.files()[1]))
		}
	}
	out.WriteString("</body>\n</html>\n")
	return out.Bytes()
}

// escapeHTML keeps names and questions, which are anybody's, from being markup.
func escapeHTML(text string) string { return html.EscapeString(inert(text)) }

func writeHTMLTable(out *bytes.Buffer, t Table) {
	row := func(tag string, cells []string) {
		out.WriteString("<tr>")
		for _, cell := range cells {
			fmt.Fprintf(out, "<%s>%s</%s>", tag, escapeHTML(cell), tag)
		}
		out.WriteString("</tr>\n")
	}
	out.WriteString("<table>\n")
	row("th", t.Head)
	for _, cells := range t.Rows {
		row("td", cells)
	}
	out.WriteString("</table>\n")
}

// dataLink has the file in the link itself.
func dataLink(file File) string {
	kind := "text/csv"
	if strings.HasSuffix(file.Name, ".json") {
		kind = "application/json"
	}
	return fmt.Sprintf("<a download=\"%s\" href=\"data:%s;base64,%s\">%s</a>",
		escapeHTML(file.Name), kind, base64.StdEncoding.EncodeToString(file.Content),
		escapeHTML(file.Name))
}

// inline returns the svg element without what precedes it in a file of its own, with
// the caption for those who cannot see it.
func inline(svg []byte, caption string) []byte {
	if at := bytes.Index(svg, []byte("<svg")); at >= 0 {
		svg = svg[at:]
	}
	label := fmt.Sprintf("<svg role=\"img\" aria-label=\"%s\"", escapeHTML(caption))
	return bytes.Replace(svg, []byte("<svg"), []byte(label), 1)
}
