package builder

import (
	"fmt"

	"gorgonia.org/gorgonia"
)

// AdaptiveAvgPool cuts a map into as many equal parts as Output has rows and columns, and gives the
// mean of each: C×H×W gives C×Output (PyTorch's AdaptiveAvgPool2d). The sides of the map must be
// multiples of those of Output: it is AvgPool2D with a window of H/Output.Height×W/Output.Width
// then, and the gradient of each value is that of its part divided by the values of a part.
type AdaptiveAvgPool struct {
	Name   string `json:"name"`   // adaptiveavgpool1, … if empty
	Output Size   `json:"output"` // at least 1×1
}

// Kind implements Layer.
func (AdaptiveAvgPool) Kind() string { return "AdaptiveAvgPool" }

// Describe says the number of parts.
func (l AdaptiveAvgPool) Describe() string { return l.Output.String() }

// Infer implements Layer.
func (l AdaptiveAvgPool) Infer(inputs []Shape) (Inferred, error) {
	in, err := image(inputs)
	if err != nil {
		return Inferred{}, err
	}
	if l.Output.Height < 1 || l.Output.Width < 1 {
		return Inferred{}, fmt.Errorf("output %v: each side must be at least 1", l.Output)
	}
	if in[1]%l.Output.Height != 0 || in[2]%l.Output.Width != 0 {
		return Inferred{}, fmt.Errorf("output %v does not divide the map %v; its sides must", l.Output,
			in)
	}
	return Inferred{Layer: l, Output: Shape{in[0], l.Output.Height, l.Output.Width}}, nil
}

// window is the layer as one whose window is a part.
func (l AdaptiveAvgPool) window(in Shape) AvgPool2D {
	part := Size{in[1] / l.Output.Height, in[2] / l.Output.Width}
	return AvgPool2D{Kernel: part, Stride: part}
}

// Compute implements Layer.
func (l AdaptiveAvgPool) Compute(call Call) (Computation, error) {
	return l.window(call.Inputs[0]).Compute(call)
}

func (l AdaptiveAvgPool) plain(p *place) (*gorgonia.Node, error) {
	return l.window(p.node.Input).plain(p)
}

func (l AdaptiveAvgPool) native(p *place) (*gorgonia.Node, error) {
	return l.window(p.node.Input).native(p)
}

// Export implements Exporter. ONNX has no such operator; the window says the same.
func (l AdaptiveAvgPool) Export(e *Export) (string, error) {
	return l.window(e.Call.Inputs[0]).Export(e)
}

func (AdaptiveAvgPool) cases() []Case {
	return []Case{
		{AdaptiveAvgPool{Output: Size{2, 3}}, []Shape{{3, 4, 9}}},
		{AdaptiveAvgPool{Output: Square(1)}, []Shape{{2, 5, 6}}},
	}
}
