package native

import (
	"slices"
	"strings"
	"testing"

	"slipway/internal/graphmaker"
)

// TestBranches: convolutions whose filters a Concat joins are one step with it, which gives the
// bits of the steps alone, where the Concat alone takes them.
func TestBranches(t *testing.T) {
	axis := graphmaker.Int("axis", 1)
	pads := graphmaker.Ints("pads", 1, 1, 1, 1)
	begin := func() *graphmaker.Graph {
		g := graphmaker.New(graphmaker.Free, 5, 13, 11)
		g.Weight("one", -1, 1, 24, 5, 1, 1).Weight("b", -1, 1, 24).Weight("three", -1, 1, 70, 5, 3, 3)
		return g.Weight("four", -1, 1, 3, 5, 1, 1).Weight("deep", -1, 1, 5, 1, 3, 3)
	}
	for name, test := range map[string]struct {
		graph *graphmaker.Graph
		steps int
	}{
		"two": {begin().Node("c = Conv x one b").Node("r = Relu c").Node("d = Conv x three", pads).
			Node("s = Relu d").Node("y = Concat r s", axis), 1},
		"three of several inputs": {begin().Node("a = Abs x").Node("c = Conv x one b").
			Node("d = Conv a three", pads).Node("e = Conv a four").Node("y = Concat d c e", axis), 2},
		"one that others take": {begin().Node("c = Conv x one b").Node("d = Conv x three", pads).
			Node("s = Sin c").Node("y = Concat c d s", axis), 4},
		"one twice": {begin().Node("c = Conv x one b").Node("y = Concat c c", axis), 2},
		"one that is none": {begin().Node("c = Conv x one b").Node("s = Sin x").
			Node("y = Concat c s", axis), 3},
		"a depthwise one": {begin().Node("c = Conv x one b").
			Node("d = Conv x deep", pads, graphmaker.Int("group", 5)).Node("y = Concat d c", axis), 3},
		"along rows": {begin().Node("c = Conv x one b").Node("d = Conv x one").
			Node("y = Concat c d", graphmaker.Int("axis", 2)), 3},
		"uneven padding": {begin().Node("c = Conv x one b").
			Node("d = Conv x three", graphmaker.Ints("pads", 2, 1, 0, 1)).
			Node("y = Concat c d", axis), 1},
	} {
		t.Run(name, func(t *testing.T) {
			model := test.graph.Model()
			e, apart := opened(t, model), opened(t, alsoGiving(model))
			if n := len(e.program.steps); n != test.steps {
				t.Errorf("%d steps", n)
			}
			for _, images := range []int{1, 7, 2} {
				x := pixels(images, 5, 13, 11)
				if !slices.Equal(answer(t, e, x), lastAnswer(t, apart, x)) {
					t.Errorf("%d images: not the bits of the steps alone", images)
				}
			}
			allocations := steadyAllocations(t, e, pixels(2, 5, 13, 11))
			if name == "two" && allocations > 0 {
				t.Errorf("%v allocations", allocations)
			}
		})
	}
}

// TestBranchesThatDoNotFit: maps of other sizes are no Concat's.
func TestBranchesThatDoNotFit(t *testing.T) {
	g := graphmaker.New(graphmaker.Free, 5, 13, 11).Weight("one", -1, 1, 24, 5, 1, 1)
	g.Weight("three", -1, 1, 7, 5, 3, 3).Node("c = Conv x one").Node("d = Conv x three")
	model := ofAnySize(g.Node("y = Concat c d", graphmaker.Int("axis", 1)).Model())
	e := opened(t, model)
	_, err := e.Run(t.Context(), map[string]*Tensor{"x": pixels(1, 5, 13, 11)})
	if err == nil || !strings.Contains(err.Error(), "the_y") {
		t.Errorf("the error is %v", err)
	}
}
