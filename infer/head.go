package infer

import (
	"fmt"
	"math"
	"slices"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// Operators that end a classifier and make its scores of logits.
const (
	headSoftmax    = "Softmax"
	headLogSoftmax = "LogSoftmax"
	headSigmoid    = "Sigmoid"
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
	ports, err := findPorts(model, output)
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
	for value, steps := ports.output, 0; steps <= len(graph.GetNode()); steps++ {
		node := makers[value]
		if node == nil || len(node.GetInput()) == 0 || node.GetDomain() != "" && node.GetDomain() != "ai.onnx" {
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
		case operator == headSoftmax || operator == headLogSoftmax || operator == headSigmoid:
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
	if h.None() {
		return scores
	}
	for i := range scores.N {
		row := scores.Row(i)
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
			case headSoftmax:
				row[k] = float32(math.Exp(float64(v)-largest) / sum)
			case headLogSoftmax:
				row[k] = float32(float64(v) - largest - math.Log(sum))
			case headSigmoid:
				row[k] = float32(1 / (1 + math.Exp(-float64(v))))
			}
		}
	}
	return scores
}

// Exponentials are e to the scores, which are probabilities where a LogSoftmax made them.
func Exponentials(scores []float32) []float32 {
	values := make([]float32, len(scores))
	for i, v := range scores {
		values[i] = float32(math.Exp(float64(v)))
	}
	return values
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
			if h.Operator == headLogSoftmax {
				p = math.Exp(p)
			}
			if !(p >= 0 && p <= 1+off) {
				return false
			}
			sum += p
		}
		if h.Operator != headSigmoid && !(math.Abs(sum-1) <= off) {
			return false
		}
	}
	return !h.None()
}

// unitRoundoff is half the distance of 1 to the next float32, 2⁻²⁴.
const unitRoundoff = 0x1p-24

// rounding is that of the function itself: of each of K terms of a sum, of the
// exponential, the quotient and the store, as a fraction of a score; and the
// smallest score that is told from 0, for Softmax the smallest normal number.
// Runtimes approximate the logistic function to a few units of 1's last place, near
// 0, too: onnxruntime clamps what it takes to ±18.
func (h Head) rounding(classes int) (fraction, least float64) {
	unit, normal := unitRoundoff, 0x1p-126
	if h.Float16 {
		unit, normal = 0x1p-11, 0x1p-14
	}
	if h.Operator == headSigmoid {
		return 4 * unit, 4 * unit
	}
	return float64(classes+4) * unit, normal
}

// change is the smallest change of the logits, in their own units, that makes p of
// q or q of p: two runtimes whose logits differ by no more than it can have given
// both.
//
// With |Δz| ≤ δ for every logit z, e^z changes by a factor within e^±δ. The odds of
// a class, p/(1−p) = e^z ÷ Σ e^z' of the others, change by one within e^±2δ, so
// that logit(p) = ln(p/(1−p)) moves by 2δ at most, and p by p(1−p)(e^2δ−1) at
// most, which is a bound of p(1−p)·2δ for small δ and attained. Turned round: δ is
// at least half of what logit(p) has moved. Of a Sigmoid it is all of it, as
// logit(p) is z; of a LogSoftmax half of the difference, as ln p changes by no more
// than logit(p). Rounding in the function is granted before that: an interval
// stands for each number.
func (h Head) change(p, q float32, classes int) float64 {
	if p == q {
		return 0
	}
	a, b := float64(min(p, q)), float64(max(p, q))
	if math.IsNaN(a) {
		return math.Inf(1)
	}
	roundings, smallest := h.rounding(classes)
	if h.Operator == headLogSoftmax {
		granted := 2*roundings + roundings/4*(math.Abs(a)+math.Abs(b))
		return max(0, finiteOr(b-a-granted, math.Inf(1))) / 2
	}
	granted := func(v float64) float64 { return roundings*v + smallest }
	if a < -smallest || b > 1+granted(1) {
		return math.Inf(1) // no probability
	}
	// Two intervals that both reach 0, or 1, cannot be told apart: ∞−∞.
	least := max(0, finiteOr(logOdds(b-granted(b))-logOdds(a+granted(a)), 0))
	if h.Operator == headSoftmax {
		return least / 2
	}
	return least
}

// finiteOr is v, or another number where v is none.
func finiteOr(v, other float64) float64 {
	if math.IsNaN(v) {
		return other
	}
	return v
}

// logOdds is ln(p/(1−p)), ∓Inf from 0 down and from 1 up.
func logOdds(p float64) float64 {
	switch {
	case p <= 0:
		return math.Inf(-1)
	case p >= 1:
		return math.Inf(1)
	}
	return math.Log(p) - math.Log1p(-p)
}

// logit is the logit that a score stands for, up to a number that all of its image
// have in common; ±Inf where the score is rounded to 0 or, of a Sigmoid, to 1.
func (h Head) logit(score float32) float64 {
	switch p := float64(score); h.Operator {
	case headSoftmax:
		return math.Log(p)
	case headSigmoid:
		return logOdds(p)
	default:
		return p
	}
}

// leastRange is a range that the logits have at least, from what the scores tell:
// that of one image's logits, or, where they are known outright, of all. What a
// Sigmoid makes of large logits is too near to 1 to tell them by.
func (h Head) leastRange(scores Logits) float64 {
	largest, low, high := 0.0, math.Inf(1), math.Inf(-1)
	for i := range scores.N {
		if h.Operator != headSigmoid {
			low, high = math.Inf(1), math.Inf(-1)
		}
		for _, score := range scores.Row(i) {
			if h.Operator == headSigmoid && score > 1-0x1p-10 {
				continue
			}
			if z := h.logit(score); !math.IsNaN(z) && !math.IsInf(z, 0) {
				low, high = min(low, z), max(high, z)
			}
		}
		largest = max(largest, high-low) // −∞ where there was none
	}
	return largest
}
