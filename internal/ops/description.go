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
	SoftmaxLossForward                        // logits, labels
	SoftmaxLossGradient                       // logits, labels, dL, the loss
	BinaryLossForward                         // logits, labels
	BinaryLossGradient                        // dL, the loss
	Addition                                  // x₁, x₂, …: their sum, all of one shape

	// A layer's own computation: what goes in are its inputs, then its tensors; its gradient, which
	// follows it here, takes dy, y and the same, and computes that of each input and tensor at once:
	// see Description.Of.
	BatchNormForward  // x, γ, β, running mean, running variance
	BatchNormGradient // dy, y, x, γ, β, running mean, running variance
	SetNormForward    // x, γ, β: normalised over sets of the values of an image
	SetNormGradient   // dy, y, x, γ, β
	ActivationForward // x
	ActivationGradient
	PReLUForward // x, slopes
	PReLUGradient
	GlobalAvgPoolForward // x
	GlobalAvgPoolGradient
	ProductForward // a, b: element by element, either of one number for each map
	ProductGradient
	ScaleForward // x, s: a number for each channel
	ScaleGradient
	DropSetsForward // x: dropout of neighbouring values together
	DropSetsGradient
	ConcatForward // x₁, x₂, …: joined along the channels
	ConcatGradient
	PadForward // x
	PadGradient
	WindowMaxForward // x: a max pooling with any Window
	WindowMaxGradient
	WindowMeanForward // x: a mean pooling with any Window
	WindowMeanGradient

	HandedOn // a gradient of several values: one of those that are not the node's own
)

// Description says what an operator computes, to an executor that computes it
// by other means than Do, such as one for a GPU. The operator's own mathematics
// are where it is applied; shapes are those of its nodes.
type Description struct {
	Kind Kind
	// Window is that of a pooling, and the strides and padding of a convolution.
	Window Window
	// DilationHeight, DilationWidth and Groups are a convolution's, at least 1.
	DilationHeight, DilationWidth, Groups int
	// P is the probability of dropout, Masks what draws it. Each is how many neighbouring values
	// DropSets keep or drop together.
	P     float64
	Masks *Masks
	Each  int
	// Penalty holds a penalty's factors.
	Penalty Penalty
	// Loss is that of SoftmaxLoss, or of BinaryLoss, which has no Gamma; Targets are either's.
	Loss    SoftmaxLossConfig
	Targets *Targets
	// Norm says what is normalised, and how.
	Norm Norm
	// Function is that of an activation, Alpha its parameter.
	Function Function
	Alpha    float64
	// Padding is that of Pad.
	Padding Padding
	// Of is, of a gradient of several values, the place of the input that its own value is the
	// gradient of. The others are nodes of kind HandedOn, each with a place of its own, whose only
	// input it is.
	Of int
}

// Norm is a normalisation: y = γ·(x − μ)/√(σ² + Epsilon) + β.
type Norm struct {
	Epsilon float64
	// Batch says of a batch normalisation that it takes the batch's own statistics, of which Momentum
	// goes into the running ones when the step is done.
	Batch    bool
	Momentum float64
	// Groups is into how many sets a SetNorm divides the channels of an image, each with the whole
	// map; 0 makes a set of all channels at each place of the map.
	Groups int
}

// Padding is how many rows and columns Pad adds on each side: zeros, or the map itself, mirrored.
type Padding struct {
	Top, Bottom, Left, Right int
	Reflect                  bool
}

// Function is an activation's.
type Function int

// The functions. Alpha is the slope of LeakyReLU below 0, and ELU's factor; SELU's scale and alpha
// are its own.
const (
	FunctionReLU6 Function = iota + 1
	FunctionLeakyReLU
	FunctionELU
	FunctionSELU
	FunctionSigmoid
	FunctionTanh
	FunctionSiLU
	FunctionHardSigmoid
	FunctionHardSwish
	FunctionGELU
	FunctionGELUTanh
	FunctionSoftplus
)

// Gradient describes the gradient of a layer's own computation of this description.
func (d Description) Gradient() Description {
	if d.Kind != 0 {
		d.Kind++ // each gradient follows its operator
	}
	return d
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
