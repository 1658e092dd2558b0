package infer

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"slipway/infer"
	"slipway/infer/bisect"
)

const (
	// maxChanged is the most changed images that the text lists; -json lists all.
	maxChanged = 20
	// barWidth is the longest bar of the histogram.
	barWidth = 50
)

func (c *comparison) writeText(out io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "data  %s: %d images %d×%d×%d\n", c.set.Name, c.set.Len(), c.set.Channels,
		c.set.Height, c.set.Width)
	for i, s := range []*side{c.a, c.b} {
		info := s.result.Info
		fmt.Fprintf(&b, "%c     %s in %s %s, %s on %s, %d threads, fed %s: %s\n", 'A'+i, s.modelPath,
			info.Runtime, info.Version,
			info.Provider, info.Device, info.Threads, s.pixels, infer.FormatAccuracy(s.result.Accuracy()))
	}
	for _, note := range c.notes {
		fmt.Fprintf(&b, "note  %s\n", note)
	}
	l := c.logits
	fmt.Fprintf(&b, "\nlabels that differ        %d of %d", l.LabelsDiffer, l.Images)
	if l.LabelsDiffer > 0 {
		fmt.Fprintf(&b, ", %d of them beyond rounding", l.DecidedLabelsDiffer)
	}
	fmt.Fprintf(&b, "\nlargest difference        %.3g, at image %d, class %d\n", l.MaxAbsDiff,
		l.WorstImage, l.WorstClass)
	fmt.Fprintf(&b, "by the logits' range      %.3g; range %.4g, tolerance %.3g\n", l.MaxRelDiff,
		l.Range, l.Tolerance)
	for _, remark := range l.remarks() {
		fmt.Fprintln(&b, remark)
	}
	c.writeHistogram(&b)
	c.writeChanged(&b)
	if c.sheet != "" {
		fmt.Fprintf(&b, "contact sheet: %s\n", c.sheet)
	}
	if c.bisected != nil {
		writeFinding(&b, c.bisected, c.nodeTolerance())
	}
	verdict := "they agree"
	if !l.Agree() {
		verdict = "they DIFFER: " + l.Reason()
	}
	fmt.Fprintf(&b, "\n%s\n", verdict)
	_, err := out.Write(b.Bytes())
	return err
}

// writeHistogram draws bars in proportion to the counts; a count that is not 0
// has one mark at least.
func (c *comparison) writeHistogram(w io.Writer) {
	h := c.histogram
	type row struct {
		label string
		count int
	}
	rows := []row{{"equal", h.Equal}}
	for _, bucket := range h.Buckets {
		mark := ""
		if bucket.From >= c.logits.Tolerance {
			mark = " *"
		}
		rows = append(rows, row{fmt.Sprintf("%.1e … %.1e%s", bucket.From, bucket.To, mark), bucket.Count})
	}
	if h.NotFinite > 0 {
		rows = append(rows, row{"NaN, infinite *", h.NotFinite})
	}
	largest := 1
	for _, r := range rows {
		largest = max(largest, r.count)
	}
	fmt.Fprint(w, "\ndifference by range     logits (* beyond the tolerance)\n")
	for _, r := range rows {
		bar := strings.Repeat("#", (r.count*barWidth+largest-1)/largest)
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-22s %7d  %s", r.label, r.count, bar), " "))
	}
}

func (c *comparison) writeChanged(w io.Writer) {
	if len(c.changed) == 0 {
		return
	}
	fmt.Fprint(w, "\nimages whose label changed; the margin is between the two largest scores\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "image\tlabel\tA\tB\tmargin of A\tmargin of B\t\n")
	for _, change := range c.changed[:min(len(c.changed), maxChanged)] {
		fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%.3g\t%.3g\t\n", change.Image, c.set.Label(change.Image),
			answerText(change.A), answerText(change.B), change.MarginA, change.MarginB)
	}
	t.Flush()
	if more := len(c.changed) - maxChanged; more > 0 {
		fmt.Fprintf(w, "and %d more, which -json lists and -sheet draws\n", more)
	}
}

func writeFinding(w io.Writer, f *bisect.Finding, tolerance float64) {
	if len(f.Structure) > 0 {
		fmt.Fprint(w, "\nthe graphs are not made of the same nodes\n")
		for _, difference := range f.Structure {
			fmt.Fprintf(w, "  %s\n", difference.Text)
		}
	}
	switch node := f.Culprit; {
	case node != nil:
		writeNode(w, node, tolerance)
		if f.First != node {
			fmt.Fprintf(w, "  it exceeds the tolerance first at %s %q, by %.3g of the range\n",
				f.First.Operator, f.First.Name, f.First.MaxRelDiff)
		}
	case len(f.Nodes) > 0 && !f.Nodes[0].Compared:
		fmt.Fprint(w, "\nwhat differs in the nodes\n")
		for _, node := range f.Nodes {
			for _, content := range node.Contents {
				fmt.Fprintf(w, "  %s %q: %v\n", node.Operator, node.Name, content)
			}
		}
	}
	for _, note := range f.Notes {
		fmt.Fprintf(w, "  note: %s\n", note)
	}
}

func writeNode(w io.Writer, node *bisect.Node, tolerance float64) {
	where := fmt.Sprintf("node %d", node.IndexA)
	switch {
	case node.IndexA < 0:
		where = fmt.Sprintf("node %d of B; A has no such node", node.IndexB)
	case node.IndexB < 0:
		where = fmt.Sprintf("node %d of A; B has no such node", node.IndexA)
	}
	fmt.Fprintf(w, "\nthe difference arises in %s %q (%s), output %q\n", node.Operator, node.Name,
		where, node.Output)
	if node.Against != "" {
		fmt.Fprintf(w, "  set against %q, which the other graph has in its place\n", node.Against)
	}
	if fmt.Sprint(node.ShapeA) != fmt.Sprint(node.ShapeB) {
		fmt.Fprintf(w, "  shape %v in A, %v in B\n", node.ShapeA, node.ShapeB)
	} else {
		fmt.Fprintf(w, "  shape %v\n", node.ShapeA)
	}
	switch {
	case !node.Compared:
		fmt.Fprintf(w, "  its output was not compared: %s\n", node.Missing)
	case !math.IsInf(node.MaxAbsDiff, 0):
		fmt.Fprintf(w, "  differs by %.3g, %.3g of its range, most at %v: %g in A, %g in B\n",
			node.MaxAbsDiff, node.MaxRelDiff, node.Index, node.ValueA, node.ValueB)
	}
	writeInputs(w, node, tolerance)
	for _, content := range node.Contents {
		fmt.Fprintf(w, "  %v\n", content)
	}
	if len(node.Contents) == 0 {
		fmt.Fprintln(w, "  nothing differs in the node itself")
	}
}

// writeInputs says how far a node's inputs are apart, of those alone that were compared.
func writeInputs(w io.Writer, node *bisect.Node, tolerance float64) {
	for _, input := range node.InputsNotCompared {
		fmt.Fprintf(w, "  not compared: %s\n", input)
	}
	which := "its inputs"
	switch compared := node.Inputs - len(node.InputsNotCompared); {
	case node.Inputs == 0:
		fmt.Fprintln(w, "  it takes constants alone")
		return
	case compared == 0:
		return
	case compared < node.Inputs:
		which = "its other inputs"
	}
	switch {
	case node.InputsDiffer == 0:
		fmt.Fprintf(w, "  %s are equal to the last bit\n", which)
	case node.InputsDiffer <= tolerance:
		fmt.Fprintf(w, "  %s agree, within %.3g of their range\n", which, node.InputsDiffer)
	case math.IsInf(node.InputsDiffer, 0): // they are not set against each other value by value
		fmt.Fprintf(w, "  %s differ\n", which)
	default:
		fmt.Fprintf(w, "  %s differ by %.3g of their range; the tolerance is %.3g\n", which,
			node.InputsDiffer, tolerance)
	}
}
