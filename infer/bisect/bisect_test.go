package bisect

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/infer"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// change returns a copy of E1's graph with a change, which is still valid.
func change(t *testing.T, edit func(g *onnxpb.GraphProto)) *onnx.Model {
	t.Helper()
	model, err := infer.LoadModel("../../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	edit(model.Proto.Graph)
	if err := model.Check(); err != nil {
		t.Fatal(err)
	}
	return model
}

func unchanged(*onnxpb.GraphProto) {}

// insert puts a node after the one that makes a value, in the way of all its users.
func insert(g *onnxpb.GraphProto, at int, operator, name string) {
	value := g.Node[at].Output[0]
	for _, node := range g.Node[at+1:] {
		for i, input := range node.Input {
			if input == value {
				node.Input[i] = name + ".output"
			}
		}
	}
	g.Node = slices.Insert(g.Node, at+1, &onnxpb.NodeProto{OpType: proto.String(operator),
		Name: proto.String(name), Input: []string{value}, Output: []string{name + ".output"}})
}

func remove(g *onnxpb.GraphProto, at int) {
	gone := g.Node[at]
	g.Node = slices.Delete(g.Node, at, at+1)
	for _, node := range g.Node {
		for i, input := range node.Input {
			if input == gone.Output[0] {
				node.Input[i] = gone.Input[0]
			}
		}
	}
}

func TestStructure(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(g *onnxpb.GraphProto)
		want []string
	}{
		"the same": {unchanged, nil},
		"other names": {func(g *onnxpb.GraphProto) {
			for i, node := range g.Node {
				node.Name = proto.String("n" + string(rune('a'+i)))
			}
		}, nil},
		"inserted": {func(g *onnxpb.GraphProto) { insert(g, 2, "Identity", "extra") },
			[]string{`inserted: node 3 (Identity "extra") is in B alone`}},
		"removed": {func(g *onnxpb.GraphProto) { remove(g, 4) },
			[]string{`removed: node 4 (Relu "relu2") is in A alone`}},
		"operator": {func(g *onnxpb.GraphProto) { g.Node[8].OpType = proto.String("Tanh") },
			[]string{`operator: node 8 (Relu "relu3") is in A where node 8 (Tanh "relu3") is in B`}},
		"wiring": {func(g *onnxpb.GraphProto) { g.Node[9].Input[0] = "fc1.output" },
			[]string{`wiring: node 9 (Gemm "fc2") takes its input 0 from node 8 (Relu "relu3") in A and from node 7 (Gemm "fc1") in B`}},
		"without a bias": {func(g *onnxpb.GraphProto) { g.Node[7].Input = g.Node[7].Input[:2] },
			[]string{`wiring: node 7 (Gemm "fc1") has 3 inputs in A and 2 in B`}},
	} {
		t.Run(name, func(t *testing.T) {
			finding := Static(change(t, unchanged), change(t, test.edit))
			var got []string
			for _, difference := range finding.Structure {
				got = append(got, difference.Kind+": "+difference.Text)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
			if len(finding.Nodes) != 0 {
				t.Errorf("contents differ in %v", finding.Nodes)
			}
		})
	}
}

func open(t *testing.T, model *onnx.Model) Side {
	t.Helper()
	if os.Getenv("SLIPWAY_SKIP_ONNXRUNTIME") == "1" {
		t.Skip("SLIPWAY_SKIP_ONNXRUNTIME=1: nothing of onnxruntime is tested")
	}
	runtime, err := infer.OpenRuntime(t.Context(), infer.RuntimeONNXRuntime, model,
		infer.RuntimeOptions{Device: infer.DeviceCPU})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { runtime.Close() })
	images := infer.Batch{N: 3, C: 1, H: 28, W: 28, Pixels: make([]float32, 3*784)}
	for i := range images.Pixels {
		images.Pixels[i] = float32((i*i + 7*i) % 256)
	}
	return Side{Model: model, Tracer: runtime.(infer.Tracer), Images: images}
}

func nudge(g *onnxpb.GraphProto, name string, index int, by float32) {
	for _, tensor := range g.Initializer {
		if tensor.GetName() == name {
			values, _ := onnx.Floats(tensor)
			values[index] += by
			changed, _ := onnx.FloatTensor(name, tensor.Dims, values)
			tensor.RawData = changed.RawData
		}
	}
}

// TestSmallDifferenceThatGrows plants one that is within the tolerance where it
// arises and beyond it only later: the node that holds it is named all the same.
func TestSmallDifferenceThatGrows(t *testing.T) {
	// In both, a channel that conv2 does not use makes the range of conv1 wide.
	wide := func(g *onnxpb.GraphProto) {
		nudge(g, "conv1.bias", 0, 1e6)
		for _, tensor := range g.Initializer {
			if tensor.GetName() == "conv2.weight" { // 64×32×5×5
				for filter := range 64 {
					clear(tensor.RawData[4*25*32*filter:][:4*25])
				}
			}
		}
	}
	a := open(t, change(t, wide))
	b := open(t, change(t, func(g *onnxpb.GraphProto) {
		wide(g)
		for channel := 1; channel < 32; channel++ { // some are 0 after the ReLU
			nudge(g, "conv1.bias", channel, 1)
		}
	}))
	whole, err := Run(t.Context(), a, b, 1e-12)
	if err != nil {
		t.Fatal(err)
	}
	// A tolerance between conv1's own difference and the largest one after it.
	own, largest := whole.Nodes[0].MaxRelDiff, 0.0
	for _, node := range whole.Nodes {
		largest = max(largest, node.MaxRelDiff)
	}
	if own <= 0 || largest <= own*1.01 {
		t.Fatalf("the difference does not grow: %g, then %g", own, largest)
	}
	finding, err := Run(t.Context(), a, b, math.Sqrt(own*largest))
	if err != nil {
		t.Fatal(err)
	}
	if finding.First == nil || finding.First.Name == "conv1" || finding.Culprit == nil ||
		finding.Culprit.Name != "conv1" || finding.First.InputsEqual {
		t.Fatalf("first %+v, culprit %+v", finding.First, finding.Culprit)
	}
	if !strings.Contains(strings.Join(finding.Notes, " "), "enlarge") {
		t.Errorf("notes %q", finding.Notes)
	}
}

// A node in the graph of B alone changes nothing by itself; the defect behind it is found.
func TestDefectBehindAnInsertedNode(t *testing.T) {
	a := open(t, change(t, unchanged))
	b := open(t, change(t, func(g *onnxpb.GraphProto) {
		insert(g, 2, "Identity", "extra")
		nudge(g, "conv2.bias", 3, 50)
	}))
	finding, err := Run(t.Context(), a, b, 1e-5)
	if err != nil {
		t.Fatal(err)
	}
	if len(finding.Structure) != 1 || finding.Structure[0].Kind != "inserted" {
		t.Errorf("structure %v", finding.Structure)
	}
	culprit := finding.Culprit
	if culprit == nil || culprit.Name != "conv2" || culprit.IndexA != 3 || culprit.IndexB != 4 ||
		!culprit.InputsEqual {
		t.Fatalf("culprit %+v", culprit)
	}
	if len(culprit.Contents) != 1 || !strings.HasPrefix(culprit.Contents[0].String(),
		"initializer conv2.bias FLOAT [64]: 1 of 64 values differ, most at [3]: ") {
		t.Errorf("contents %v", culprit.Contents)
	}
	if culprit.Index[1] != 3 {
		t.Errorf("the largest difference is at %v, not in channel 3", culprit.Index)
	}
}

func TestEqualGraphsAndRefusals(t *testing.T) {
	a, b := open(t, change(t, unchanged)), open(t, change(t, unchanged))
	finding, err := Run(t.Context(), a, b, 1e-5)
	if err != nil || finding.First != nil || finding.Culprit != nil || len(finding.Nodes) != 10 {
		t.Errorf("%+v, %v", finding, err)
	}
	for _, node := range finding.Nodes {
		if !node.Compared || node.MaxAbsDiff != 0 || !node.InputsEqual {
			t.Errorf("%+v", node)
		}
	}
	b.Images.Pixels = slices.Clone(b.Images.Pixels)
	b.Images.Pixels[400]++
	finding, err = Run(t.Context(), a, b, 1e-5)
	if err != nil || finding.First == nil || finding.First.Name != "conv1" ||
		finding.First.InputsAgree || !strings.Contains(finding.Notes[0], "different pixels") {
		t.Errorf("fed differently: %+v, %v", finding, err)
	}
	if _, err := Run(t.Context(), a, b, 1); err == nil {
		t.Error("a tolerance of 1 is taken")
	}
	b.Images.N = 2
	if _, err := Run(t.Context(), a, b, 1e-5); err == nil {
		t.Error("3 and 2 images are compared")
	}
}
