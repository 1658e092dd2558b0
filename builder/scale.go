package builder

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// Scale is y = s∘x with a learned number s for each channel, or feature of a vector (Touvron et
// al., 2021, Going Deeper with Image Transformers: LayerScale). The gradients are dx = s∘dy, and of
// each s the sum of x·dy over its channel.
type Scale struct {
	Name string `json:"name"` // scale1, scale2, … if empty
	// Init is what each s is at first, 1 if zero. ConvNeXt's is 1e-6.
	Init float64 `json:"init,omitempty"`
	// Tensor is what s is called behind the layer's name, weight if empty: layer_scale in
	// torchvision, gamma in timm.
	Tensor string `json:"tensor,omitempty"`
}

// Kind implements Layer.
func (Scale) Kind() string { return "Scale" }

// Describe says the first value, where it is not 1.
func (l Scale) Describe() string {
	if l.Init == 1 {
		return ""
	}
	return fmt.Sprintf("init=%v", l.Init)
}

// Infer implements Layer.
func (l Scale) Infer(inputs []Shape) (Inferred, error) {
	in, err := single(inputs)
	if err != nil {
		return Inferred{}, err
	}
	if l.Init == 0 {
		l.Init = 1
	}
	if l.Tensor == "" {
		l.Tensor = "weight"
	}
	if err := checkFinite("init", l.Init); err != nil {
		return Inferred{}, err
	}
	if !layerPattern.MatchString(l.Tensor) {
		return Inferred{}, fmt.Errorf("tensor %q: use letters, digits, _ and -", l.Tensor)
	}
	return Inferred{Layer: l, Output: in, Tensors: []TensorSpec{
		{Name: l.Tensor, Shape: Shape{in[0]}, Initial: Initial(format(l.Init)), Plain: true},
	}}, nil
}

// Compute implements Layer.
func (Scale) Compute(call Call) (Computation, error) {
	channels := call.Output[0]
	area := call.Output.Elements() / channels
	return Computation{
		Forward: func(y []float32, in [][]float32) error {
			for i, x := range in[0] {
				y[i] = x * in[1][i/area%channels]
			}
			return nil
		},
		Backward: func(d [][]float32, dy, _ []float32, in [][]float32) error {
			sums := make([]float64, channels)
			for i, x := range in[0] {
				c := i / area % channels
				sums[c] += float64(x) * float64(dy[i])
				if d[0] != nil {
					d[0][i] = dy[i] * in[1][c]
				}
			}
			writeSums(d[1], sums)
			return nil
		},
	}, nil
}

func (Scale) native(p *place) (*gorgonia.Node, error) {
	return ops.NativeScale(p.kernels, "Scale", p.in[0], p.tensors[0])
}

func (Scale) form(Call) ops.Description { return ops.Description{Kind: ops.ScaleForward} }

// Export implements Exporter.
func (Scale) Export(e *Export) (string, error) {
	return e.Add("Mul", []string{e.Input(0), e.perChannel("scales", e.Tensor(0))}), nil
}

func (Scale) cases() []Case {
	return []Case{
		{Scale{}, []Shape{{3, 5, 6}}},
		{Scale{Init: 0.5, Tensor: "gamma"}, []Shape{{7}}},
		{Scale{Init: -2}, []Shape{{17, 2, 3}}},
	}
}
