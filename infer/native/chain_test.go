package native

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/internal/graphmaker"
	"slipway/internal/kernel"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// chainGraph returns a graph of 8×96×96 images with what chains are made of; the nodes say how.
func chainGraph(nodes ...string) *graphmaker.Graph {
	g := graphmaker.New(graphmaker.Free, 8, 96, 96)
	g.Weight("wide", -1, 1, 64, 8, 1, 1).Weight("b", -1, 1, 64).Weight("deep", -1, 1, 64, 1, 3, 3)
	g.Weight("back", -1, 1, 8, 64, 1, 1).Weight("c", -1, 1, 8).Weight("first", -1, 1, 64, 8, 3, 3)
	g.Weight("low", 0, 0).Weight("high", 2, 2)
	for _, node := range nodes {
		attributes := map[string][]*onnxpb.AttributeProto{
			"deep": {graphmaker.Int("group", 64), graphmaker.Ints("pads", 1, 1, 1, 1)},
			"half": {graphmaker.Int("group", 64), graphmaker.Ints("strides", 2, 2),
				graphmaker.Text("auto_pad", "SAME_UPPER")},
			"far": {graphmaker.Int("group", 64), graphmaker.Ints("pads", 90, 1, 90, 1),
				graphmaker.Ints("strides", 40, 1)},
			"first": {graphmaker.Ints("pads", 1, 1, 1, 1)},
		}
		word := strings.Fields(node)
		kind := ""
		if len(word) > 4 {
			kind = word[4]
		}
		g.Node(strings.NewReplacer(" half", " deep", " far", " deep").Replace(node), attributes[kind]...)
	}
	return g
}

// alsoGiving returns the model with everything that nodes make as outputs, too: none of it may be
// left out then.
func alsoGiving(model *onnx.Model) *onnx.Model {
	all := &onnx.Model{Proto: proto.Clone(model.Proto).(*onnxpb.ModelProto)}
	graph := all.Proto.Graph
	like := graph.Output[0]
	graph.Output = nil
	for _, node := range graph.Node {
		value := proto.Clone(like).(*onnxpb.ValueInfoProto)
		value.Name = proto.String(node.Output[0])
		graph.Output = append(graph.Output, value)
	}
	return all
}

// lastAnswer is the model's own answer of an evaluator that gives every node's.
func lastAnswer(t *testing.T, apart *Evaluator, x *Tensor) []float32 {
	t.Helper()
	all, err := apart.Run(t.Context(), map[string]*Tensor{apart.Inputs()[0].Name: x})
	if err != nil {
		t.Fatal(err)
	}
	return all[len(all)-1].Data.([]float32)
}

// sameAsApart holds a model's answers to some batches of images of that shape, on one thread and on
// two, against those of its steps alone, bit for bit, and calls check with each evaluator then.
func sameAsApart(t *testing.T, model *onnx.Model, batches []int, shape []int,
	check func(e *Evaluator)) {
	t.Helper()
	apart := opened(t, alsoGiving(model))
	for _, threads := range []int{1, 2} {
		e, err := New(t.Context(), model, Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for _, images := range batches {
			x := pixels(images, shape...)
			if !slices.Equal(answer(t, e, x), lastAnswer(t, apart, x)) {
				t.Errorf("%d threads, %d images: not the bits of the steps alone", threads, images)
			}
		}
		check(e)
	}
}

// ofSteps returns a check of how many steps an evaluator has.
func ofSteps(t *testing.T, steps int) func(e *Evaluator) {
	return func(e *Evaluator) {
		t.Helper()
		if n := len(e.program.steps); n != steps {
			t.Errorf("%d steps", n)
		}
	}
}

// ofAnySize returns the model with the height and width of its images left open.
func ofAnySize(model *onnx.Model) *onnx.Model {
	for _, dim := range model.Proto.Graph.Input[0].Type.GetTensorType().Shape.Dim[2:] {
		dim.Value = nil
	}
	return model
}

// TestChains: a depthwise convolution and the pointwise ones around it are one step, which gives
// the bits of the steps alone.
func TestChains(t *testing.T) {
	for name, test := range map[string]struct {
		nodes []string
		steps int
	}{
		"residual": {[]string{"e = Conv x wide b", "f = Relu e", "d = Conv f deep b",
			"k = Clip d low high", "p = Conv k back c", "y = Add x p"}, 1},
		"stride": {[]string{"e = Conv x wide", "f = Clip e low high", "d = Conv f half b",
			"k = Relu d", "y = Conv k back"}, 1},
		"padding larger than the image": {[]string{"e = Conv x wide b", "d = Conv e far",
			"y = Conv d back"}, 1},
		"nothing before": {[]string{"e = Conv x first b", "d = Conv e deep", "y = Conv d back c"}, 2},
		"nothing behind": {[]string{"e = Conv x wide b", "d = Conv e deep", "y = Sin d"}, 2},
		"two": {[]string{"e = Conv x wide b", "d = Conv e deep", "p = Conv d back c",
			"q = Conv p wide b", "r = Conv q deep", "y = Conv r back"}, 2},
		"others take the expanded map": {[]string{"e = Conv x wide b", "d = Conv e deep",
			"s = Add d e", "y = Conv s back c"}, 3},
		"what is added is broadcast": {[]string{"g = GlobalAveragePool x", "e = Conv x wide b",
			"d = Conv e deep", "p = Conv d back c", "y = Add g p"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			model := chainGraph(test.nodes...).Model()
			sameAsApart(t, model, []int{1, 3}, []int{8, 96, 96}, ofSteps(t, test.steps))
		})
	}
}

// TestChainsOfSmallMaps: where the map between its convolutions is small, a chain computes them one
// after the other.
func TestChainsOfSmallMaps(t *testing.T) {
	g := graphmaker.New(graphmaker.Free, 8, 9, 9)
	g.Weight("wide", -1, 1, 64, 8, 1, 1).Weight("deep", -1, 1, 64, 1, 3, 3)
	g.Node("e = Conv x wide").Node("d = Conv e deep", graphmaker.Int("group", 64)).Node("y = Relu d")
	model := ofAnySize(g.Model())
	e, apart := opened(t, model), opened(t, alsoGiving(model))
	alone, err := New(t.Context(), model, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close()
	for _, side := range []int{3, 10, 70, 5} {
		x := pixels(2, 8, side, side)
		want := lastAnswer(t, apart, x)
		if !slices.Equal(answer(t, e, x), want) || !slices.Equal(answer(t, alone, x), want) {
			t.Errorf("side %d: not the bits of the steps alone", side)
		}
	}
	_, err = e.Run(t.Context(), map[string]*Tensor{"x": pixels(1, 8, 2, 2)})
	if err == nil || !strings.Contains(err.Error(), "the_d") {
		t.Errorf("an image smaller than the kernel: %v", err)
	}
}

func TestChained(t *testing.T) {
	of := func(side, kernelSide, stride, channels int) kernel.DepthwiseConfig {
		return kernel.DepthwiseConfig{Batch: 1, Height: side, Width: side, Channels: channels,
			KernelHeight: kernelSide, KernelWidth: kernelSide, StrideHeight: stride, StrideWidth: stride,
			DilationHeight: 1, DilationWidth: 1}
	}
	map14, wide14, map112 := of(14, 3, 1, 384), of(14, 5, 1, 384), of(112, 3, 2, 96)
	four := map14
	four.Batch = 4
	for _, test := range []struct {
		threads         int
		depthwise       kernel.DepthwiseConfig
		inputs, filters int
		rows            int
		byChannels, ok  bool
	}{
		{1, map112, 16, 4000, 56, false, true}, {1, map14, 64, 64, 14, false, true},
		{1, map14, 64, 960, 14, false, false}, {2, map112, 16, 24, 56, false, true},
		{2, map14, 64, 64, 14, false, true}, {2, wide14, 64, 64, 14, true, true},
		{4, map14, 64, 64, 14, true, true}, {4, map14, 0, 64, 14, true, false},
		{2, map14, 64, 960, 14, true, true}, {2, four, 64, 960, 14, false, false},
		{3, four, 64, 960, 14, true, true}, {40, map112, 16, 24, 56, true, true},
	} {
		f := kernel.DepthwiseChainConfig{Depthwise: test.depthwise, Inputs: test.inputs,
			Filters: test.filters}
		byChannels, ok := chained(test.threads, f, test.rows)
		if ok != test.ok || ok && byChannels != test.byChannels {
			t.Errorf("%+v: by channels %v, as one %v", test, byChannels, ok)
		}
	}
}

// TestChainsHoldNoExpandedMap: what lies between a chain's convolutions is nowhere as a whole.
func TestChainsHoldNoExpandedMap(t *testing.T) {
	e := opened(t, chainGraph("e = Conv x wide b", "d = Conv e deep", "y = Conv d back c").Model())
	x := pixels(2, 8, 96, 96)
	allocations := steadyAllocations(t, e, x)
	if held, expanded := e.Held(), 2*64*96*96*4; held > expanded {
		t.Errorf("%d bytes are held, an expanded map has %d", held, expanded)
	}
	if allocations > 0 {
		t.Errorf("%v allocations", allocations)
	}
}
