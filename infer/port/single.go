package port

import (
	"fmt"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// singleScore is what one score an image, of a model of two classes, means. It
// becomes two scores, so that the larger one is the answer as everywhere else:
//
//	probability p of class 1   1−p and p: class 1 where p > 0.5
//	logit z of class 1         0 and z:   class 1 where z > 0
//
// A score on the threshold itself is class 0, as in Keras and in scikit-learn. The
// softmax of 0 and z is 1−p and p again, so that both are on the scale that scores of
// several classes have.
type singleScore int

const (
	singleLogit singleScore = iota
	singleProbability
)

// singleScoreOf decides by the graph: what ends in a sigmoid is a probability, anything
// else a logit.
func singleScoreOf(graph *onnxpb.GraphProto, output string) singleScore {
	makers := make(map[string]*onnxpb.NodeProto)
	for _, node := range graph.GetNode() {
		for _, name := range node.GetOutput() {
			makers[name] = node
		}
	}
	// Each step goes to a node before it, so there are no more steps than nodes.
	for range graph.GetNode() {
		node := makers[output]
		if node == nil {
			break
		}
		switch node.GetOpType() {
		case "Sigmoid", "HardSigmoid", "QLinearSigmoid":
			return singleProbability
		case "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Cast", "Dropout",
			"Clip", "QuantizeLinear", "DequantizeLinear":
			if len(node.GetInput()) == 0 {
				return singleLogit
			}
			output = node.GetInput()[0]
			continue
		}
		// Trees and linear models apply it themselves.
		if a := onnx.Attribute(node, "post_transform"); string(a.GetS()) == "LOGISTIC" {
			return singleProbability
		}
		return singleLogit
	}
	return singleLogit
}

// logits makes N×2 of N scores, in memory of that size.
func (s singleScore) logits(memory, scores []float32) Logits {
	l := Logits{N: len(scores), K: 2, Values: memory}
	for i, score := range scores {
		l.Values[2*i] = 0
		if s == singleProbability {
			l.Values[2*i] = 1 - score
		}
		l.Values[2*i+1] = score
	}
	return l
}

func (s singleScore) note(output string) string {
	if s == singleProbability {
		return fmt.Sprintf(
			"output %q is one score for each image, read as the probability of class 1, since it is made by a sigmoid: over 0.5 is class 1, else class 0",
			output)
	}
	return fmt.Sprintf(
		"output %q is one score for each image, read as the logit of class 1, since no sigmoid makes it: over 0 is class 1, else class 0",
		output)
}
