package builder

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// Pad widens a map by rows and columns of zeros, or of its own, mirrored (PyTorch's ZeroPad2d and
// ReflectionPad2d, ONNX's Pad): C×H×W gives C×(Top+H+Bottom)×(Left+W+Right). A mirrored map goes on
// as … x₂ x₁ x₀ x₁ x₂ …, without its edge twice, and by less than its own size. The gradient of
// a value is the sum of those of its copies.
type Pad struct {
	Name   string `json:"name"`             // pad1, pad2, … if empty
	Top    int    `json:"top,omitempty"`    // rows above, at least 0
	Bottom int    `json:"bottom,omitempty"` // rows below, at least 0
	Left   int    `json:"left,omitempty"`   // columns to the left, at least 0
	Right  int    `json:"right,omitempty"`  // columns to the right, at least 0
	Mode   string `json:"mode,omitempty"`   // "" for zeros, or "reflect"
}

// reflectMode is the Mode that mirrors.
const reflectMode = "reflect"

// Kind implements Layer.
func (Pad) Kind() string { return "Pad" }

// Describe says the widths.
func (l Pad) Describe() string {
	text := fmt.Sprintf("top=%d bottom=%d left=%d right=%d", l.Top, l.Bottom, l.Left, l.Right)
	if l.Mode != "" {
		text += " " + l.Mode
	}
	return text
}

// Infer implements Layer.
func (l Pad) Infer(inputs []Shape) (Inferred, error) {
	in, err := image(inputs)
	if err != nil {
		return Inferred{}, err
	}
	if l.Mode != "" && l.Mode != reflectMode {
		return Inferred{}, fmt.Errorf("mode %q; it is %q or, for zeros, empty", l.Mode, reflectMode)
	}
	for _, side := range []struct {
		name     string
		by, size int
	}{{"top", l.Top, in[1]}, {"bottom", l.Bottom, in[1]}, {"left", l.Left, in[2]},
		{"right", l.Right, in[2]}} {
		switch {
		case side.by < 0:
			return Inferred{}, fmt.Errorf("%s %d; no side may be negative", side.name, side.by)
		case side.by > maxElements:
			return Inferred{}, fmt.Errorf("%s %d; more than %d is a slip", side.name, side.by, maxElements)
		case l.Mode == reflectMode && side.by >= side.size:
			return Inferred{}, fmt.Errorf("%s %d; a map %v can be mirrored by less than its size alone",
				side.name, side.by, in)
		}
	}
	return Inferred{Layer: l, Output: Shape{in[0], l.Top + in[1] + l.Bottom,
		l.Left + in[2] + l.Right}}, nil
}

// sources returns where in a line of n values each value of the padded line comes from; −1 for
// zeros.
func (l Pad) sources(before, n, after int) []int {
	all := make([]int, 0, before+n+after)
	for at := -before; at < n+after; at++ {
		from := at
		if l.Mode == reflectMode && from < 0 {
			from = -from
		} else if l.Mode == reflectMode && from >= n {
			from = 2*(n-1) - from
		}
		if from < 0 || from >= n {
			from = -1
		}
		all = append(all, from)
	}
	return all
}

// Compute implements Layer.
func (l Pad) Compute(call Call) (Computation, error) {
	in, out := call.Inputs[0], call.Output
	rows, columns := l.sources(l.Top, in[1], l.Bottom), l.sources(l.Left, in[2], l.Right)
	// each calls f with the places of each value of the output and of that which it copies.
	each := func(f func(y, x int)) {
		for plane := range call.Batch * in[0] {
			for i, row := range rows {
				for j, column := range columns {
					if row >= 0 && column >= 0 {
						f((plane*out[1]+i)*out[2]+j, (plane*in[1]+row)*in[2]+column)
					}
				}
			}
		}
	}
	sums := make([]float64, call.Batch*in.Elements())
	return Computation{
		Forward: func(y []float32, in [][]float32) error {
			clear(y)
			each(func(to, from int) { y[to] = in[0][from] })
			return nil
		},
		Backward: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
			clear(sums)
			each(func(from, to int) { sums[to] += float64(dy[from]) })
			writeSums(d[0], sums)
			return nil
		},
	}, nil
}

func (l Pad) native(p *place) (*gorgonia.Node, error) {
	in := p.node.Input
	return ops.NativePad(p.kernels, p.in[0], l.sources(l.Top, in[1], l.Bottom),
		l.sources(l.Left, in[2], l.Right))
}

func (l Pad) form(Call) ops.Description {
	return ops.Description{Kind: ops.PadForward, Padding: ops.Padding{
		Top: l.Top, Bottom: l.Bottom, Left: l.Left, Right: l.Right, Reflect: l.Mode == reflectMode,
	}}
}

// Export implements Exporter.
func (l Pad) Export(e *Export) (string, error) {
	pads := e.Int64s("pads", 0, 0, int64(l.Top), int64(l.Left), 0, 0, int64(l.Bottom), int64(l.Right))
	if l.Mode == reflectMode {
		return e.Add("Pad", []string{e.Input(0), pads}, Text("mode", reflectMode)), nil
	}
	return e.Add("Pad", []string{e.Input(0), pads, e.Floats("value", []float32{0})},
		Text("mode", "constant")), nil
}

func (Pad) cases() []Case {
	return []Case{
		{Pad{Top: 1, Bottom: 2, Left: 3}, []Shape{{3, 4, 5}}},
		{Pad{Top: 2, Bottom: 1, Left: 1, Right: 3, Mode: reflectMode}, []Shape{{2, 4, 5}}},
		{Pad{Right: 1, Bottom: 1}, []Shape{{17, 2, 3}}},
	}
}
