package builder

import "gorgonia.org/gorgonia"

// Identity is y = x: a place in a network that another layer may take, such as the shortcut of a
// residual block. Its gradient is that of y.
type Identity struct {
	Name string `json:"name"` // identity1, … if empty
}

// Kind implements Layer.
func (Identity) Kind() string { return "Identity" }

// Infer implements Layer.
func (l Identity) Infer(inputs []Shape) (Inferred, error) { return unchanged(l, inputs) }

// Compute implements Layer.
func (Identity) Compute(Call) (Computation, error) { return copied(), nil }

func (Identity) plain(p *place) (*gorgonia.Node, error)  { return p.in[0], nil }
func (Identity) native(p *place) (*gorgonia.Node, error) { return p.in[0], nil }

// Export implements Exporter. It is no operator.
func (Identity) Export(e *Export) (string, error) { return e.Input(0), nil }

func (Identity) cases() []Case { return elementwiseCases(Identity{}) }
