package ops

import "gorgonia.org/gorgonia"

// Kind is what an operator of the plain family computes.
type Kind int

// The kinds, with their inputs in order. A gradient's dy is that of the output
// y, and x the input, of the operator that it belongs to.
const (
	Conv2DForward             Kind = iota + 1 // x, w, b
	Conv2DWeightGradient                      // dy, x
	Conv2DBiasGradient                        // dy
	Conv2DInputGradient                       // dy, w
	DenseForward                              // x, w, b
	DenseWeightGradient                       // dy, x
	DenseBiasGradient                         // dy
	DenseInputGradient                        // dy, w
	ReLUForward                               // x
	ReLUGradient                              // dy, y
	MaxPoolForward                            // x
	MaxPoolGradient                           // dy, y, x
	AvgPoolForward                            // x
	AvgPoolGradient                           // dy, y, x
	View                                      // x, in another shape: no values move
	DropoutForward                            // x
	DropoutGradient                           // dy, y
	CrossEntropyForward                       // logits, labels
	CrossEntropyGradient                      // logits, labels, dL
	ParameterPenaltyForward                   // the parameters
	PenalisedGradient                         // dp, p, the penalty: computed in dp's memory
	ActivationPenaltyForward                  // a
	ActivationPenaltyGradient                 // a, dL
	Addition                                  // x₁, x₂, …: their sum, all of one shape
)

// Description says what an operator computes, to an executor that computes it
// by other means than Do, such as one for a GPU. The operator's own mathematics
// are where it is applied; shapes are those of its nodes.
type Description struct {
	Kind Kind
	// Window is that of a pooling, and the strides and padding of a convolution.
	Window Window
	// P is the probability of dropout, Masks what draws it.
	P     float64
	Masks *Masks
	// Penalty holds a penalty's factors.
	Penalty Penalty
}

// Describe returns the description of an operator of the plain family. Others,
// Gorgonia's stock operators and the Native ones, have none.
func Describe(op gorgonia.Op) (Description, bool) {
	own, ok := op.(*operator)
	if !ok || own.description.Kind == 0 {
		return Description{}, false
	}
	return own.description, true
}
