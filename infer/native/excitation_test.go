package native

import (
	"testing"

	"slipway/internal/graphmaker"
)

// excitationGraph returns a graph of 8×14×14 images with what squeeze-and-excitation is made of.
func excitationGraph(nodes ...string) *graphmaker.Graph {
	g := graphmaker.New(graphmaker.Free, 8, 14, 14)
	g.Weight("wide", -1, 1, 40, 8, 1, 1).Weight("b", -1, 1, 40).Weight("less", -1, 1, 10, 40, 1, 1)
	g.Weight("more", -1, 1, 40, 10, 1, 1).Weight("back", -1, 1, 8, 40, 1, 1).Weight("c", -1, 1, 8)
	g.Weight("same", -1, 1, 40, 40, 1, 1)
	g.Weight("three", -1, 1, 8, 40, 3, 3).Weight("fixed", -1, 1, 1, 40, 1, 1)
	for _, node := range nodes {
		g.Node(node)
	}
	return g
}

// TestExcitations: a product by factors of channels and the pointwise convolution behind it are one
// step, which gives the bits of the steps alone.
func TestExcitations(t *testing.T) {
	squeezed := []string{"e = Conv x wide b", "a = Relu e", "m = GlobalAveragePool a",
		"f = Conv m less", "g = Relu f", "h = Conv g more", "s = HardSigmoid h"}
	for name, test := range map[string]struct {
		nodes []string
		steps int
	}{
		"residual":      {[]string{"p = Mul a s", "q = Conv p back c", "y = Add q x"}, 6},
		"factors first": {[]string{"p = Mul s a", "q = Conv p back", "y = Relu q"}, 6},
		"one list for all images": {[]string{"p = Mul a fixed", "q = Conv p back c",
			"y = Relu q"}, 2},
		"what is added is broadcast": {[]string{"p = Mul a s", "q = Conv p back c",
			"k = GlobalAveragePool x", "y = Add q k"}, 7},
		"two maps":         {[]string{"r = Mul a a", "p = Mul r s", "y = Conv p back"}, 7},
		"single positions": {[]string{"p = Mul m s", "y = Conv p back"}, 6},
		"a map that is added later": {[]string{"p = Mul a fixed", "q = Conv p same",
			"y = Add q a"}, 2},
		"three by three": {[]string{"p = Mul a s", "y = Conv p three"}, 7},
		"others take it": {[]string{"p = Mul a s", "q = Conv p back", "k = Conv p less",
			"y = Concat q k"}, 7},
		"bounded in between": {[]string{"p = Mul a s", "r = Relu p", "y = Conv r back"}, 7},
	} {
		t.Run(name, func(t *testing.T) {
			g := excitationGraph(squeezed...)
			for _, node := range test.nodes {
				if node == "y = Concat q k" {
					g.Node(node, graphmaker.Int("axis", 1))
					continue
				}
				g.Node(node)
			}
			model := g.Model()
			sameAsApart(t, model, []int{1, 3}, []int{8, 14, 14}, ofSteps(t, test.steps))
		})
	}
}

func TestExcitationsAllocateNothing(t *testing.T) {
	e := opened(t, excitationGraph("e = Conv x wide b", "m = GlobalAveragePool e", "f = Conv m less",
		"h = Conv f more", "s = HardSigmoid h", "p = Mul e s", "y = Conv p back").Model())
	if allocations := steadyAllocations(t, e, pixels(2, 8, 14, 14)); allocations > 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// TestExcitationsThatDoNotFit: factors of other channels are what the Mul itself refuses.
func TestExcitationsThatDoNotFit(t *testing.T) {
	model := ofAnySize(excitationGraph("e = Conv x wide b", "p = Mul e x", "y = Conv p back").Model())
	if e, err := New(t.Context(), model, Options{}); err == nil {
		defer e.Close()
		if _, err := e.Run(t.Context(), map[string]*Tensor{"x": pixels(1, 8, 14, 14)}); err == nil {
			t.Error("40 channels times 8 is no error")
		}
	}
}
