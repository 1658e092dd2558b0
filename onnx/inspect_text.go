package onnx

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// String writes the report as a table of the graph, with what is known about the
// model above it and the metadata below. What a terminal would obey is replaced.
func (r Report) String() string {
	var text strings.Builder
	if r.Path != "" {
		fmt.Fprintf(&text, "%s\n", printable(r.Path))
	}
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	row := func(name, format string, arguments ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, arguments...))
	}
	row("graph", "%s", field(r.GraphName))
	row("producer", "%s %s", field(r.Producer), field(r.ProducerVersion))
	row("format", "IR version %d, %s", r.IRVersion, r.opsets())
	size := "%s bytes"
	if r.ExternalBytes > 0 {
		size += fmt.Sprintf(" and %s external", thousands(r.ExternalBytes))
	}
	row("size", size, thousands(r.Bytes))
	for _, input := range r.Inputs {
		row("input", "%s", named(input))
	}
	for _, output := range r.Outputs {
		row("output", "%s", named(output))
	}
	table.Flush()
	text.WriteByte('\n')
	r.writeNodes(&text)

	bound := ""
	if r.MultiplyAddsPartial {
		bound = "at least "
	}
	fmt.Fprintf(&text, "\n%s parameters (%s bytes), %s%s multiply-adds an example\n",
		thousands(r.Parameters), thousands(r.ParameterBytes), bound, thousands(r.MultiplyAdds))
	if r.Functions > 0 {
		fmt.Fprintf(&text, "%d functions of the model's own\n", r.Functions)
	}
	if operators := r.Unchecked(); r.Problem == "" && len(operators) > 0 {
		fmt.Fprintf(&text, "not checked (held only against the general rules): %s\n", field(strings.Join(operators, ", ")))
	}
	if len(r.Metadata) > 0 {
		fmt.Fprintln(&text, "\nmetadata")
		table = tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
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

func (r Report) writeNodes(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "node\toperator\tinputs\toutput\tshape\tparameters\tmultiply-adds\t")
	for _, node := range r.Nodes {
		var inputs, outputs, shapes []string
		for _, input := range node.Inputs {
			inputs = append(inputs, input.Name)
		}
		for _, output := range node.Outputs {
			outputs = append(outputs, output.Name)
			shapes = append(shapes, output.shapeString())
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", field(node.Name), field(node.Operator),
			field(strings.Join(inputs, ", ")), field(strings.Join(outputs, ", ")), field(strings.Join(shapes, ", ")),
			thousands(node.Parameters), thousands(node.MultiplyAdds))
	}
	table.Flush()
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
	return shorten(printable(text))
}

func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
