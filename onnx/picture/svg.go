package picture

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strings"
	"unicode"

	"slipway/onnx"
)

// The colours have a contrast of at least 4.5 to 1 between text and box.
const style = `
text { font-family: Helvetica, Arial, sans-serif; font-size: 11px; fill: #24292f; text-anchor: middle }
.title { font-size: 13px; font-weight: bold }
.label { fill: #57606a; text-anchor: start; paint-order: stroke; stroke: #ffffff; stroke-width: 3px }
.line { fill: none; stroke: #8c959f; stroke-width: 1.3 }
.box { stroke: #57606a; stroke-width: 1; fill: #f6f8fa }
.weights { fill: #cfe3fb } .activation { fill: #d6f3d8 } .pool { fill: #fde6c3 } .norm { fill: #f9d6d5 }
.types { fill: #e8dcf9 } .port { fill: #ffffff }
`

// svg writes the picture.
func (l *layout) svg(report onnx.Report) []byte {
	var out bytes.Buffer
	name := report.GraphName
	if name == "" {
		name = "graph"
	}
	// Labels stand to the right of a line, and may leave the boxes' width.
	left, right := 0.0, l.width
	for _, r := range l.routes {
		from, room := l.places[r.through[0]], 6.2*float64(len([]rune(short(r.label))))+margin
		if l.crowdedRight(from) {
			left = min(left, math.Floor(from.x-room))
		} else {
			right = max(right, from.x+room)
		}
	}
	width := right - left
	fmt.Fprintf(&out,
		`<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="%.0f 0 %.0f %.0f" role="img">`+"\n",
		width, l.height, left, width, l.height)
	fmt.Fprintf(&out, "<title>%s: %d nodes, %d parameters</title>\n", text(name), len(report.Nodes),
		report.Parameters)
	fmt.Fprintf(&out, "<style>%s</style>\n", style)
	out.WriteString(
		`<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">` +
			`<path d="M0 0L8 4L0 8z" fill="#8c959f"/></marker></defs>` + "\n")
	background := ""
	if left < 0 {
		background = fmt.Sprintf(` x="%.0f"`, left)
	}
	fmt.Fprintf(&out, `<rect%s width="%.0f" height="%.0f" fill="#ffffff"/>`+"\n", background, width,
		l.height)
	for _, r := range l.routes {
		l.line(&out, r)
	}
	l.labels(&out)
	for i, p := range l.places {
		if p.box >= 0 {
			l.box(&out, p, l.boxes[i])
		}
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// line draws a route as curves that leave and arrive upright.
func (l *layout) line(out *bytes.Buffer, r route) {
	fmt.Fprintf(out, `<path class="line" marker-end="url(#arrow)" d="`)
	from := l.places[r.through[0]]
	x, y := from.x, from.y+from.height/2
	fmt.Fprintf(out, "M%.1f %.1f", x, y)
	for i, at := range r.through[1:] {
		p := l.places[at]
		end := p.y - p.height/2
		if i == len(r.through)-2 {
			end-- // the arrow's point
		}
		if p.x == x {
			fmt.Fprintf(out, "L%.1f %.1f", p.x, end)
		} else {
			middle := (y + end) / 2
			fmt.Fprintf(out, "C%.1f %.1f %.1f %.1f %.1f %.1f", x, middle, p.x, middle, p.x, end)
		}
		x, y = p.x, p.y+p.height/2
		if p.box < 0 {
			fmt.Fprintf(out, "L%.1f %.1f", x, y)
		}
	}
	out.WriteString("\"/>\n")
}

// labels writes the shape of each value once, below the box that it comes from.
func (l *layout) labels(out *bytes.Buffer) {
	type label struct {
		from int
		text string
	}
	written := make(map[label]bool)
	lines := make(map[int]int)
	for _, r := range l.routes {
		key := label{r.from, r.label}
		if r.label == "" || written[key] {
			continue
		}
		written[key] = true
		p := l.places[r.from]
		x, anchor := p.x+6, ""
		if l.crowdedRight(p) {
			x, anchor = p.x-6, ` style="text-anchor: end"`
		}
		fmt.Fprintf(out, `<text class="label"%s x="%.1f" y="%.1f">%s</text>`+"\n", anchor, x,
			p.y+p.height/2+15+12*float64(lines[r.from]), text(short(r.label)))
		lines[r.from]++
	}
}

// crowdedRight reports whether there are lines to the right of that straight below a place, which
// leave it or join it, and none to the left: labels stand on the left then.
func (l *layout) crowdedRight(p place) bool {
	right, left := false, false
	note := func(other int) {
		right = right || l.places[other].x > p.x
		left = left || l.places[other].x < p.x
	}
	for _, below := range p.below {
		note(below)
		if l.places[below].x == p.x {
			for _, above := range l.places[below].above {
				note(above)
			}
		}
	}
	return right && !left
}

func (l *layout) box(out *bytes.Buffer, p place, b box) {
	radius := 4
	if b.class == "port" {
		radius = 14
	}
	left, top := p.x-p.width/2, p.y-p.height/2
	fmt.Fprintf(out, `<g><rect class="box %s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%d"/>`,
		b.class, left, top, p.width, p.height, radius)
	if b.tooltip != "" {
		fmt.Fprintf(out, "<title>%s</title>", text(b.tooltip))
	}
	fmt.Fprintf(out, `<text class="title" x="%.1f" y="%.1f">%s</text>`, p.x, top+17, text(b.title))
	for i, line := range b.lines {
		fmt.Fprintf(out, `<text x="%.1f" y="%.1f">%s</text>`, p.x, top+33+15*float64(i), text(line))
	}
	out.WriteString("</g>\n")
}

// text escapes what is anybody's, and leaves out what XML 1.0 does not allow.
func text(s string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) && r != '\n' {
			return '·'
		}
		return r
	}, s))
}
