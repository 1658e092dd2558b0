// Package picture draws a model's graph as SVG: inputs above, outputs below, a
// box for each node with what its weights are, and the shape of each value on the
// line that carries it.
//
// The layout is that of Sugiyama, Tagawa and Toda (IEEE Transactions on Systems,
// Man, and Cybernetics 11(2), 1981): nodes in layers by their longest way from
// an input, an order within each layer by the neighbours' barycenters, lines over
// several layers led through places of their own. A chain comes out as a column.
package picture

import (
	"fmt"
	"slices"
	"strings"

	"slipway/onnx"
)

// maxNodes is the largest number of nodes, inputs and outputs that SVG draws.
const maxNodes = 2000

// maxPlaces bounds the places that long lines take, and with them time and size
// of a picture of a graph made to be bad.
const maxPlaces = 200_000

// box is what is drawn of a vertex.
type box struct {
	title   string   // operator, or the name of an input or output
	lines   []string // below the title
	class   string   // of the style sheet
	tooltip string
	width   float64
	height  float64
}

// edge leads from one vertex to a later one.
type edge struct {
	from, to int
	label    string
}

// graph is what is laid out. Vertices are in topological order where the model's
// nodes are.
type graph struct {
	boxes []box
	edges []edge
}

// SVG draws the graph of a report, of any model. Names and shapes come from the
// file; the same report gives the same bytes.
func SVG(report onnx.Report) ([]byte, error) {
	if n := len(report.Nodes) + len(report.Inputs) + len(report.Outputs); n > maxNodes {
		return nil, fmt.Errorf(
			"the graph has %d nodes, inputs and outputs; a picture of more than %d would show nothing", n,
			maxNodes)
	}
	g := collect(report)
	if len(g.edges) > maxPlaces {
		return nil, fmt.Errorf("the graph has %d lines; a picture of more than %d would show nothing",
			len(g.edges), maxPlaces)
	}
	placed, err := g.layout()
	if err != nil {
		return nil, err
	}
	return placed.svg(report), nil
}

// collect makes the vertices and edges: an input or output of the graph and each
// node is one. Constant nodes are, as initializers, only a line in the box of the
// node that takes them.
func collect(report onnx.Report) *graph {
	g := &graph{}
	maker := make(map[string]int)
	constants := make(map[string]bool)
	for _, input := range report.Inputs {
		maker[input.Name] = g.add(box{title: input.Name, lines: []string{input.String()}, class: "port"})
	}
	results := make(map[string]bool)
	for _, output := range report.Outputs {
		results[output.Name] = true
	}
	for _, node := range report.Nodes {
		if node.Operator == "Constant" && len(node.Outputs) == 1 && !results[node.Outputs[0].Name] {
			constants[node.Outputs[0].Name] = true
			continue
		}
		at := g.add(nodeBox(node, maker, constants))
		drawn := make(map[string]bool)
		for _, input := range node.Inputs {
			from, made := maker[input.Name]
			if made && !drawn[input.Name] {
				drawn[input.Name] = true
				label := ""
				if input.HasShape {
					label = input.ShapeString()
				}
				g.edges = append(g.edges, edge{from, at, label})
			}
		}
		for _, output := range node.Outputs {
			if output.Name != "" {
				maker[output.Name] = at
			}
		}
	}
	for _, output := range report.Outputs {
		at := g.add(box{title: output.Name, lines: []string{output.String()}, class: "port"})
		if from, made := maker[output.Name]; made {
			g.edges = append(g.edges, edge{from, at, ""})
		}
	}
	return g
}

func (g *graph) add(b box) int {
	const charTitle, charLine, padding, lineHeight = 7.6, 6.2, 24, 15
	b.title = short(b.title)
	b.width = charTitle*float64(len([]rune(b.title))) + padding
	for i, line := range b.lines {
		b.lines[i] = short(line)
		b.width = max(b.width, charLine*float64(len([]rune(b.lines[i])))+padding)
	}
	b.width = max(b.width, 90)
	b.height = 26 + lineHeight*float64(len(b.lines))
	g.boxes = append(g.boxes, b)
	return len(g.boxes) - 1
}

// nodeBox has the node's name and the shapes of what is constant among its inputs.
func nodeBox(node onnx.NodeReport, made map[string]int, constants map[string]bool) box {
	b := box{title: node.Title(), class: class(node.Operator)}
	if node.Name != "" {
		b.lines = append(b.lines, node.Name)
	}
	const most = 6
	listed := 0
	for _, input := range node.Inputs {
		if _, computed := made[input.Name]; computed || input.Name == "" || !input.HasShape &&
			!constants[input.Name] {
			continue
		}
		if listed++; listed <= most {
			b.lines = append(b.lines, lastPart(input.Name)+" "+input.ShapeString())
		}
	}
	if listed > most {
		b.lines = append(b.lines, fmt.Sprintf("and %d more", listed-most))
	}
	var hints []string
	for _, attribute := range node.Attributes {
		hints = append(hints, attribute.Name+" = "+attribute.Value)
	}
	b.tooltip = strings.Join(hints, "\n")
	return b
}

// lastPart is weight of conv1.weight: the box names the node already.
func lastPart(name string) string {
	if i := strings.LastIndexAny(name, "./"); i >= 0 && i < len(name)-1 {
		return name[i+1:]
	}
	return name
}

func short(text string) string {
	const longest = 36
	runes := []rune(text)
	if len(runes) <= longest {
		return text
	}
	return string(runes[:longest/2]) + "…" + string(runes[len(runes)-longest/2:])
}

// class groups operators by what they do, for the colours.
func class(operator string) string {
	for name, operators := range map[string][]string{
		"weights": {"Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "Gemm", "MatMul",
			"MatMulInteger", "QLinearMatMul", "Einsum", "LSTM", "GRU", "RNN", "Attention"},
		"activation": {"Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Clip", "Softmax",
			"LogSoftmax", "Gelu", "HardSigmoid", "HardSwish", "Mish", "Softplus", "Softsign",
			"ThresholdedRelu", "Celu"},
		"pool": {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool",
			"GlobalLpPool"},
		"norm": {"BatchNormalization", "LayerNormalization", "InstanceNormalization",
			"GroupNormalization", "RMSNormalization", "LRN", "Dropout"},
		"types": {"Cast", "CastLike", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"},
	} {
		if slices.Contains(operators, operator) {
			return name
		}
	}
	return "other"
}
