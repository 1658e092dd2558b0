package port

import (
	"fmt"
	"math"
	"slices"

	"slipway/internal/onnxgraph"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// Operators that end a classifier and make its scores of logits.
const (
	Softmax    = "Softmax"
	LogSoftmax = "LogSoftmax"
	Sigmoid    = "Sigmoid"
)

// A Head is the last function of a classifier, which makes scores of logits. The
// zero value is none: the scores are the logits.
type Head struct {
	// Operator is Softmax, LogSoftmax or Sigmoid, "" for none.
	Operator string
	// Node is the node's name, or its output's where it has none, Logits the name of
	// the value that it takes.
	Node, Logits string
	// Float16 says that the scores pass through numbers of that type.
	Float16 bool
}

// None reports whether there is no such function: the scores are the logits.
func (h Head) None() bool { return h.Operator == "" }

// String names the function for a reader.
func (h Head) String() string {
	if h.None() {
		return "nothing"
	}
	return fmt.Sprintf("%s %q", h.Operator, h.Node)
}

// passes reports whether an operator keeps each number's value, so that what comes
// before the last Softmax may be looked for behind it. Dropout is one outside of training.
func passes(operator string) bool {
	switch operator {
	case "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "Dropout":
		return true
	}
	return false
}

// FindHead returns the function that a model's scores come from, none where they
// come from something else. Output names the score output, as RuntimeOptions do.
func FindHead(model *onnx.Model, output string) Head {
	graph := model.Proto.GetGraph()
	ports, err := Find(model, output)
	if err != nil {
		return Head{} // opening the model says what is wrong
	}
	makers := make(map[string]*onnxpb.NodeProto)
	for _, node := range graph.GetNode() {
		if outputs := node.GetOutput(); len(outputs) > 0 {
			makers[outputs[0]] = node
		}
	}
	types := valueTypes(model)
	head := Head{}
	// A checked graph has no cycle, but this walk need not rely on it.
	for value, steps := ports.Output, 0; steps <= len(graph.GetNode()); steps++ {
		node := makers[value]
		if node == nil || len(node.GetInput()) == 0 ||
			onnxgraph.Domain(node.GetDomain()) != "" {
			return Head{}
		}
		switch types[value] {
		case onnxpb.TensorProto_FLOAT16:
			head.Float16 = true
		case onnxpb.TensorProto_FLOAT, onnxpb.TensorProto_DOUBLE, onnxpb.TensorProto_UNDEFINED:
		default:
			return Head{} // rounded to integers, say
		}
		switch operator := node.GetOpType(); {
		case operator == Softmax || operator == LogSoftmax || operator == Sigmoid:
			if makers[node.GetInput()[0]] == nil {
				return Head{} // of the images themselves
			}
			head.Operator, head.Node, head.Logits = operator, node.GetName(), node.GetInput()[0]
			if head.Node == "" {
				head.Node = value
			}
			return head
		case !passes(operator):
			return Head{}
		}
		value = node.GetInput()[0]
	}
	return Head{}
}

// valueTypes has the element type of each value that a node makes.
func valueTypes(model *onnx.Model) map[string]onnxpb.TensorProto_DataType {
	types := make(map[string]onnxpb.TensorProto_DataType)
	for _, node := range onnx.Inspect(model).Nodes {
		for _, output := range node.Outputs {
			types[output.Name] = output.Type
		}
	}
	return types
}

// Apply returns the scores that the function makes of N×K logits, over the classes.
func (h Head) Apply(logits Logits) Logits {
	scores := Logits{N: logits.N, K: logits.K, Values: slices.Clone(logits.Values)}
	for i := range scores.N {
		h.apply(scores.Row(i))
	}
	return scores
}

// apply makes scores of an image's logits, in place.
func (h Head) apply(row []float32) {
	if h.None() {
		return
	}
	largest := math.Inf(-1)
	for _, v := range row {
		largest = max(largest, float64(v))
	}
	sum := 0.0
	for _, v := range row {
		sum += math.Exp(float64(v) - largest)
	}
	for k, v := range row {
		switch h.Operator {
		case Softmax:
			row[k] = float32(math.Exp(float64(v)-largest) / sum)
		case LogSoftmax:
			row[k] = float32(float64(v) - largest - math.Log(sum))
		case Sigmoid:
			row[k] = float32(1 / (1 + math.Exp(-float64(v))))
		}
	}
}

// MadeBy reports whether scores can be what the function makes, and are not the
// logits themselves: probabilities that sum to 1, their logarithms, or numbers
// between 0 and 1.
func (h Head) MadeBy(scores Logits) bool {
	const off = 1e-3 // of a sum of rounded numbers; the logits of a set miss it by far
	for i := range scores.N {
		sum := 0.0
		for _, v := range scores.Row(i) {
			p := float64(v)
			if h.Operator == LogSoftmax {
				p = math.Exp(p)
			}
			if !(p >= 0 && p <= 1+off) {
				return false
			}
			sum += p
		}
		if h.Operator != Sigmoid && !(math.Abs(sum-1) <= off) {
			return false
		}
	}
	return !h.None()
}
