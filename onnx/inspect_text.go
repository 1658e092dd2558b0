package onnx

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"slipway/internal/display"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// String writes the report as text: what is known about the model, its graph as a
// table, and its metadata. What a terminal would obey is replaced.
func (r Report) String() string {
	var text strings.Builder
	if r.Path != "" {
		fmt.Fprintf(&text, "%s\n\n", display.Printable(r.Path))
	}
	r.writeHeader(&text)
	text.WriteByte('\n')
	r.writeNodes(&text)
	if r.Functions > 0 {
		fmt.Fprintf(&text, "\n%d functions of the model's own\n", r.Functions)
	}
	if operators := r.Unchecked(); r.Problem == "" && len(operators) > 0 {
		fmt.Fprintf(&text, "\nnot checked (held only against the general rules): %s\n",
			field(strings.Join(operators, ", ")))
	}
	if len(r.Metadata) > 0 {
		fmt.Fprintln(&text, "\nmetadata")
		table := newTable(&text)
		for _, entry := range r.Metadata {
			fmt.Fprintf(table, "  %s\t%s\n", field(entry.Key), field(entry.Value))
		}
		table.Flush()
	}
	if r.Problem != "" {
		fmt.Fprintf(&text, "\nproblem: %s\n", r.Problem)
	}
	return text.String()
}

func newTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

func (r Report) writeHeader(w io.Writer) {
	table := newTable(w)
	row := func(name, format string, arguments ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, arguments...))
	}
	size := display.Thousands(r.Bytes) + " bytes"
	if r.ExternalBytes > 0 {
		size += fmt.Sprintf(" and %s external", display.Thousands(r.ExternalBytes))
	}
	row("size", "%s", size)
	row("format", "IR version %d, %s", r.IRVersion, r.opsets())
	row("producer", "%s",
		strings.TrimSpace(field(r.Producer)+" "+message.Shorten(display.Printable(r.ProducerVersion))))
	row("graph", "%s", field(r.GraphName))
	if r.DocString != "" {
		row("says", "%s", field(r.DocString))
	}
	for _, input := range r.Inputs {
		row("input", "%s", named(input))
	}
	for _, output := range r.Outputs {
		row("output", "%s", named(output))
	}
	for _, line := range r.Initializers {
		row("initializers", "%d of %s: %s values, %s bytes", line.Tensors, line.Type,
			display.Thousands(line.Elements), display.Thousands(line.Bytes))
	}
	for _, note := range r.Notes {
		row("note", "%s", display.Printable(note))
	}
	table.Flush()
}

func (r Report) writeNodes(w io.Writer) {
	bound := ""
	if r.MultiplyAddsPartial {
		bound = "at least "
	}
	rows := [][]string{{"node", "operator", "output", "parameters", "multiply-adds"}}
	for _, node := range r.Nodes {
		var shapes []string
		for _, output := range node.Outputs {
			if output.Name != "" {
				shapes = append(shapes, output.shape())
			}
		}
		rows = append(rows, []string{field(node.Name), node.Title(), field(strings.Join(shapes, ", ")),
			display.Thousands(node.Parameters), display.Thousands(node.MultiplyAdds)})
	}
	rows = append(rows, []string{"total", fmt.Sprintf("%d nodes", len(r.Nodes)), "",
		display.Thousands(r.Parameters), bound + display.Thousands(r.MultiplyAdds)})
	var widest [2]int // of the numbers, which end at the right
	for _, row := range rows {
		for i := range widest {
			widest[i] = max(widest[i], len(row[3+i]))
		}
	}
	table := newTable(w)
	for _, row := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%*s\t%*s\n", row[0], row[1], row[2], widest[0], row[3], widest[1],
			row[4])
	}
	table.Flush()
	per := "an example"
	if r.Batch >= 0 {
		per = fmt.Sprintf("a run of %d", r.Batch)
	}
	fmt.Fprintf(w,
		"Parameters take %s bytes; multiply-adds are those of convolutions and matrix products for %s.\n",
		display.Thousands(r.ParameterBytes), per)
}

// shape leaves out the type of the usual float.
func (v Value) shape() string {
	if v.Type == onnxpb.TensorProto_FLOAT || v.Type == onnxpb.TensorProto_UNDEFINED {
		return v.ShapeString()
	}
	return v.String()
}

// Unchecked returns the operators of the nodes that Check holds only against
// the general rules, each once, in the order of the graph.
func (r Report) Unchecked() []string {
	var operators []string
	seen := make(map[string]bool)
	for _, node := range r.Nodes {
		if !node.Checked && !seen[node.Operator] {
			seen[node.Operator] = true
			operators = append(operators, node.Operator)
		}
	}
	return operators
}

func (r Report) opsets() string {
	parts := make([]string, len(r.Opsets))
	for i, set := range r.Opsets {
		parts[i] = fmt.Sprintf("%s opset %d", field(set.Domain), set.Version)
	}
	return strings.Join(parts, ", ")
}

func named(value Value) string { return field(value.Name) + " " + value.String() }

// field makes a name fit for a cell of the table.
func field(text string) string {
	if text == "" {
		return "-"
	}
	return message.Shorten(display.Printable(text))
}
