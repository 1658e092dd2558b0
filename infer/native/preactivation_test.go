package native

import (
	"slices"
	"strings"
	"testing"

	"slipway/internal/graphmaker"
	"slipway/internal/kernel"
)

// preActivationGraph returns a graph of 16×13×11 images with what pre-activations are made of.
func preActivationGraph(nodes ...string) *graphmaker.Graph {
	g := graphmaker.New(graphmaker.Free, 16, 13, 11)
	g.Weight("wide", -1, 1, 32, 16, 3, 3).Weight("b", -1, 1, 40).Weight("one", -1, 1, 40, 48, 1, 1)
	g.Weight("same", -1, 1, 16, 16, 1, 1).Weight("three", -1, 1, 40, 48, 3, 3)
	g.Weight("next", -1, 1, 24, 40, 3, 3).Weight("narrow", -1, 1, 32, 16, 3, 3)
	g.Weight("low", 0, 0).Weight("high", 1, 1)
	for name, channels := range map[string]int64{"16": 16, "48": 48} {
		g.Weight("s"+name, 0.5, 1.5, channels).Weight("t"+name, -1, 1, channels)
		g.Weight("m"+name, -1, 1, channels).Weight("v"+name, 0.5, 1.5, channels)
	}
	for _, node := range nodes {
		word := strings.Fields(node)
		switch word[2] {
		case "Concat":
			g.Node(node, graphmaker.Int("axis", 1))
		case "Conv":
			pad := int64(0)
			if word[4] == "wide" || word[4] == "three" || word[4] == "next" {
				pad = 1
			}
			g.Node(node, graphmaker.Ints("pads", pad, pad, pad, pad))
		default:
			g.Node(node)
		}
	}
	return g
}

// TestPreActivations: a normalisation and the pointwise convolution behind it are one step, which
// gives the bits of the steps alone.
func TestPreActivations(t *testing.T) {
	dense := []string{"c = Conv x wide", "j = Concat x c", "n = BatchNormalization j s48 t48 m48 v48",
		"r = Relu n", "p = Conv r one b"}
	dense = slices.Clip(dense)
	for name, test := range map[string]struct {
		nodes []string
		steps int
	}{
		"Concat and Relu": {[]string{"c = Conv x wide", "j = Concat x c",
			"n = BatchNormalization j s48 t48 m48 v48", "r = Relu n", "p = Conv r one b", "y = Relu p"}, 2},
		"Clip": {[]string{"c = Conv x wide", "j = Concat c x",
			"n = BatchNormalization j s48 t48 m48 v48", "r = Clip n low high", "y = Conv r one"}, 2},
		"no bounds, one map": {[]string{"a = Conv x same", "s = Sin a", "m = Abs s",
			"n = BatchNormalization m s16 t16 m16 v16", "y = Conv n same"}, 4},
		"images as they are given": {[]string{"n = BatchNormalization x s16 t16 m16 v16",
			"r = Relu n", "y = Conv r same"}, 1},
		"two": {[]string{"n = BatchNormalization x s16 t16 m16 v16", "r = Relu n",
			"c = Conv r same", "o = BatchNormalization c s16 t16 m16 v16", "q = Add o c",
			"z = BatchNormalization q s16 t16 m16 v16", "y = Conv z same"}, 4},
		"a layer of a DenseNet": {append(dense, "q = Relu p", "y = Conv q next"), 3},
		"others take what the next pads": {append(dense, "q = Relu p", "z = Conv q next",
			"s = GlobalMaxPool q", "o = GlobalMaxPool z", "y = Concat s o"), 6},
		"others take it": {[]string{"c = Conv x wide", "j = Concat x c",
			"n = BatchNormalization j s48 t48 m48 v48", "r = Relu n", "p = Conv r one b",
			"y = Concat p r"}, 4},
		"three by three": {[]string{"c = Conv x wide", "j = Concat x c",
			"n = BatchNormalization j s48 t48 m48 v48", "r = Relu n", "y = Conv r three b"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			model := preActivationGraph(test.nodes...).Model()
			sameAsApart(t, model, []int{1, 7, 2}, []int{16, 13, 11}, ofSteps(t, test.steps))
		})
	}
}

// TestPreActivationsPadForTheNext: the padding of a convolution lies around the map that it alone
// reads, which nothing copies then.
func TestPreActivationsPadForTheNext(t *testing.T) {
	e := opened(t, preActivationGraph("n = BatchNormalization x s16 t16 m16 v16", "r = Relu n",
		"p = Conv r same", "q = Relu p", "y = Conv q wide").Model())
	if b := e.program.steps[0].preActivation.around; b != (kernel.Border{Vertical: 1, Horizontal: 1}) {
		t.Errorf("the border is %+v", b)
	}
}

func TestPreActivationsAllocateNothing(t *testing.T) {
	e := opened(t, preActivationGraph("c = Conv x wide", "j = Concat x c",
		"n = BatchNormalization j s48 t48 m48 v48", "r = Relu n", "p = Conv r one b",
		"y = Conv p next").Model())
	allocations := steadyAllocations(t, e, pixels(2, 16, 13, 11))
	if allocations > 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// TestPreActivationsThatDoNotFit: maps of other sizes are no Concat's.
func TestPreActivationsThatDoNotFit(t *testing.T) {
	model := ofAnySize(preActivationGraph("c = Conv x narrow", "j = Concat x c",
		"n = BatchNormalization j s48 t48 m48 v48", "y = Conv n one").Model())
	e := opened(t, model)
	_, err := e.Run(t.Context(), map[string]*Tensor{"x": pixels(1, 16, 13, 11)})
	if err == nil || !strings.Contains(err.Error(), "the_n") {
		t.Errorf("the error is %v", err)
	}
}
