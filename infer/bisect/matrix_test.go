package bisect

import (
	"encoding/binary"
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

// A branched graph of two channels and five classes: two convolutions of one input
// are concatenated, what follows is rounded to bytes and back, and a second branch
// joins by Add.
//
//	image ─ stem ─ stem_relu ─┬─ left ──┬─ concat ─ pool ─ quantize ─ dequantize ─ flatten ─ dense ─ logits
//	                          └─ right ─┘
func branched(t *testing.T, edit func(g *onnxpb.GraphProto)) *onnx.Model {
	t.Helper()
	g := &onnxpb.GraphProto{Name: proto.String("branched")}
	g.Input = []*onnxpb.ValueInfoProto{floatValue("image", -1, 2, 9, 7)}
	g.Output = []*onnxpb.ValueInfoProto{floatValue("logits", -1, 5)}
	weights := func(name string, dims ...int64) string {
		size := int64(1)
		for _, dim := range dims {
			size *= dim
		}
		values := make([]float32, size)
		for i := range values {
			values[i] = float32(math.Sin(float64(i)*1.7+float64(len(name)))) / 3
		}
		g.Initializer = append(g.Initializer, floats(t, name, dims, values))
		return name
	}
	scalarBytes := &onnxpb.TensorProto{Name: proto.String("zero"),
		DataType: proto.Int32(int32(onnxpb.TensorProto_UINT8)), RawData: []byte{120}}
	g.Initializer = append(g.Initializer, floats(t, "scale", nil, []float32{0.05}), scalarBytes)
	kernel := []*onnxpb.AttributeProto{integers("kernel_shape", 3, 3), integers("pads", 1, 1, 1, 1)}
	g.Node = []*onnxpb.NodeProto{
		node("Conv", "stem", []string{"image", weights("stem.weight", 4, 2, 3, 3),
			weights("stem.bias", 4)}, kernel...),
		node("Relu", "stem_relu", []string{"stem.output"}),
		node("Conv", "left", []string{"stem_relu.output", weights("left.weight", 3, 4, 3, 3),
			weights("left.bias", 3)}, kernel...),
		node("Conv", "right", []string{"stem_relu.output", weights("right.weight", 3, 4, 3, 3),
			weights("right.bias", 3)}, kernel...),
		node("Concat", "concat", []string{"left.output", "right.output"}, integer("axis", 1)),
		node("MaxPool", "pool", []string{"concat.output"}, integers("kernel_shape", 2, 2),
			integers("strides", 2, 2)),
		node("QuantizeLinear", "quantize", []string{"pool.output", "scale", "zero"}),
		node("DequantizeLinear", "dequantize", []string{"quantize.output", "scale", "zero"}),
		node("Flatten", "flatten", []string{"dequantize.output"}),
		node("Gemm", "dense", []string{"flatten.output", weights("dense.weight", 5, 72),
			weights("dense.bias", 5)}, integer("transB", 1)),
	}
	g.Node[len(g.Node)-1].Output[0] = "logits"
	edit(g)
	model := &onnx.Model{Proto: &onnxpb.ModelProto{
		IrVersion: proto.Int64(7), OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(13)}},
		Graph: g,
	}}
	if err := model.Check(); err != nil {
		t.Fatal(err)
	}
	return model
}

func floats(t *testing.T, name string, dims []int64, values []float32) *onnxpb.TensorProto {
	t.Helper()
	tensor, err := onnx.FloatTensor(name, dims, values)
	if err != nil {
		t.Fatal(err)
	}
	return tensor
}

func floatValue(name string, dims ...int64) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{}
	for _, dim := range dims {
		entry := &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: dim}}
		if dim < 0 {
			entry.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "N"}
		}
		shape.Dim = append(shape.Dim, entry)
	}
	return &onnxpb.ValueInfoProto{Name: proto.String(name),
		Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
			TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)),
				Shape: shape}}}}
}

func integer(name string, value int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INT.Enum(),
		I: proto.Int64(value)}
}

func integers(name string, values ...int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INTS.Enum(),
		Ints: values}
}

func node(operator, name string, inputs []string,
	attributes ...*onnxpb.AttributeProto) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{OpType: proto.String(operator), Name: proto.String(name), Input: inputs,
		Output: []string{name + ".output"}, Attribute: attributes}
}

// indexOfNode is the position of the node of that name.
func indexOfNode(g *onnxpb.GraphProto, name string) int {
	return slices.IndexFunc(g.Node, func(n *onnxpb.NodeProto) bool { return n.GetName() == name })
}

func nodeNamed(g *onnxpb.GraphProto, name string) *onnxpb.NodeProto {
	return g.Node[indexOfNode(g, name)]
}

// insertNode puts a node with other inputs beside it in the way of all users of a node's output.
func insertNode(g *onnxpb.GraphProto, after, operator, name string, more []string,
	attributes ...*onnxpb.AttributeProto) {
	at := indexOfNode(g, after)
	insert(g, at, operator, name)
	g.Node[at+1].Input = append(g.Node[at+1].Input, more...)
	g.Node[at+1].Attribute = attributes
}

// renameAll gives every node and every value in between another name.
func renameAll(g *onnxpb.GraphProto) {
	for i, n := range g.Node {
		n.Name = proto.String("node_" + string(rune('a'+i)))
		for k, name := range n.Input {
			if strings.HasSuffix(name, ".output") {
				n.Input[k] = "value/" + name
			}
		}
		for k, name := range n.Output {
			if strings.HasSuffix(name, ".output") {
				n.Output[k] = "value/" + name
			}
		}
	}
}

// noNames takes the nodes' names away.
func noNames(g *onnxpb.GraphProto) {
	for _, n := range g.Node {
		n.Name = nil
	}
}

func openIn(t *testing.T, runtime string, model *onnx.Model) Side {
	t.Helper()
	if runtime == infer.RuntimeONNXRuntime && os.Getenv("SLIPWAY_SKIP_ONNXRUNTIME") == "1" {
		t.Skip("SLIPWAY_SKIP_ONNXRUNTIME=1: nothing of onnxruntime is tested")
	}
	opened, err := infer.OpenRuntime(t.Context(), runtime, model,
		infer.RuntimeOptions{Device: infer.DeviceCPU, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	images := infer.Batch{N: 4, C: 2, H: 9, W: 7, Pixels: make([]float32, 4*2*9*7)}
	for i := range images.Pixels {
		images.Pixels[i] = float32((i*i+13*i)%256) / 64
	}
	return Side{Model: model, Tracer: opened.(infer.Tracer), Images: images}
}

// TestMatrix plants one change at a time in a graph and asks for the node that
// holds it, with the changed graph as B and as A, in one runtime and in two.
func TestMatrix(t *testing.T) {
	permutation := func(g *onnxpb.GraphProto) string {
		raw := make([]byte, 6*8)
		for i := range 6 {
			raw[8*i] = byte(5 - i)
		}
		g.Initializer = append(g.Initializer, &onnxpb.TensorProto{Name: proto.String("backwards"),
			Dims: []int64{6}, DataType: proto.Int32(int32(onnxpb.TensorProto_INT64)), RawData: raw})
		return "backwards"
	}
	constant := func(g *onnxpb.GraphProto, name string, value float32) string {
		g.Initializer = append(g.Initializer, floats(t, name, []int64{1}, []float32{value}))
		return name
	}
	for name, test := range map[string]struct {
		edit func(g *onnxpb.GraphProto)
		want string // the node named, as the graph that has it calls it
		kind string // of its first content
	}{
		"exchanged operator": {func(g *onnxpb.GraphProto) {
			nodeNamed(g, "stem_relu").OpType = proto.String("LeakyRelu")
		}, "stem_relu", "operator"},
		"exchanged operator, without names": {func(g *onnxpb.GraphProto) {
			nodeNamed(g, "stem_relu").OpType = proto.String("Sigmoid")
			renameAll(g)
			noNames(g)
		}, "stem_relu", "operator"},
		"changed attribute": {func(g *onnxpb.GraphProto) {
			nodeNamed(g, "pool").Attribute[0].Ints = []int64{3, 3} // as many windows, wider ones
		}, "pool", "attribute"},
		"changed weight": {func(g *onnxpb.GraphProto) { nudge(g, "right.weight", 5, 0.25) },
			"right", "initializer"},
		"changed weight, renamed": {func(g *onnxpb.GraphProto) {
			nudge(g, "right.weight", 5, 0.25)
			renameAll(g)
		}, "right", "initializer"},
		"changed bias at the end": {func(g *onnxpb.GraphProto) { nudge(g, "dense.bias", 2, 0.25) },
			"dense", "initializer"},
		"swapped inputs of Concat": {func(g *onnxpb.GraphProto) {
			slices.Reverse(nodeNamed(g, "concat").Input)
		}, "concat", "wiring"},
		"swapped inputs, without names": {func(g *onnxpb.GraphProto) {
			slices.Reverse(nodeNamed(g, "concat").Input)
			noNames(g)
		}, "concat", "wiring"},
		"an input taken from elsewhere": {func(g *onnxpb.GraphProto) {
			nodeNamed(g, "concat").Input[1] = "left.output"
		}, "concat", "wiring"},
		"inserted Gather": {func(g *onnxpb.GraphProto) {
			insertNode(g, "concat", "Gather", "extra", []string{permutation(g)}, integer("axis", 1))
		}, "extra", "inserted"},
		"inserted Mul": {func(g *onnxpb.GraphProto) {
			insertNode(g, "stem_relu", "Mul", "extra", []string{constant(g, "factor", 1.5)})
		}, "extra", "inserted"},
		"inserted at the end": {func(g *onnxpb.GraphProto) {
			nodeNamed(g, "dense").Output[0] = "dense.output"
			g.Node = append(g.Node, node("Neg", "extra", []string{"dense.output"}))
			nodeNamed(g, "extra").Output[0] = "logits"
		}, "extra", "inserted"},
		"inserted before the first node": {func(g *onnxpb.GraphProto) {
			g.Node = slices.Insert(g.Node, 0,
				node("Sub", "extra", []string{"image", constant(g, "mean", 1)}))
			nodeNamed(g, "stem").Input[0] = "extra.output"
		}, "extra", "inserted"},
		"a sound node inserted before the one at fault": {func(g *onnxpb.GraphProto) {
			insertNode(g, "stem_relu", "Identity", "sound", nil)
			nudge(g, "left.bias", 0, 0.25)
		}, "left", "initializer"},
		"a Relu that does nothing removed": {func(g *onnxpb.GraphProto) {
			insertNode(g, "stem_relu", "Relu", "again", nil)
			nudge(g, "dense.weight", 9, 0.25)
		}, "dense", "initializer"},
		"removed node": {func(g *onnxpb.GraphProto) { remove(g, indexOfNode(g, "stem_relu")) },
			"stem_relu", "removed"},
		"two sound nodes in the place of one": {func(g *onnxpb.GraphProto) { // Relu = max(x, 0), by way of −x
			relu := nodeNamed(g, "stem_relu")
			relu.OpType = proto.String("Max")
			relu.Input = append(relu.Input, constant(g, "least", 0))
			insertNode(g, "stem_relu", "Identity", "sound", nil)
			nudge(g, "left.bias", 0, 0.25)
		}, "left", "initializer"},
		"values that meet again": {func(g *onnxpb.GraphProto) { // −(−x) is x: what differs between is not at fault
			insertNode(g, "stem_relu", "Neg", "there", nil)
			insertNode(g, "there", "Neg", "back", nil)
			nudge(g, "left.bias", 0, 0.25)
		}, "left", "initializer"},
		"the scale of the steps": {func(g *onnxpb.GraphProto) {
			nodeNamed(g, "quantize").Input[1] = constant(g, "other_scale", 0.06)
			g.Initializer[len(g.Initializer)-1].Dims = nil
		}, "quantize", "initializer"},
		"the zero point on the way back": {func(g *onnxpb.GraphProto) {
			g.Initializer = append(g.Initializer, &onnxpb.TensorProto{Name: proto.String("other_zero"),
				DataType: proto.Int32(int32(onnxpb.TensorProto_UINT8)), RawData: []byte{121}})
			nodeNamed(g, "dequantize").Input[2] = "other_zero"
		}, "dequantize", "initializer"},
	} {
		opposite := map[string]string{"inserted": "removed", "removed": "inserted"}
		for _, runtimes := range [][2]string{
			{infer.RuntimeNative, infer.RuntimeNative}, {infer.RuntimeONNXRuntime, infer.RuntimeONNXRuntime},
			{infer.RuntimeONNXRuntime, infer.RuntimeNative}, {infer.RuntimeNative, infer.RuntimeONNXRuntime},
		} {
			for _, backwards := range []bool{false, true} {
				title := name + "/" + strings.Join(runtimes[:], " and ")
				kind := test.kind
				edits := []func(*onnxpb.GraphProto){unchanged, test.edit}
				if backwards {
					title += ", backwards"
					slices.Reverse(edits)
					if other, ok := opposite[kind]; ok {
						kind = other
					}
				}
				t.Run(title, func(t *testing.T) {
					a, b := openIn(t, runtimes[0], branched(t, edits[0])), openIn(t, runtimes[1],
						branched(t, edits[1]))
					finding, err := Run(t.Context(), a, b, infer.DefaultTolerance)
					if err != nil {
						t.Fatal(err)
					}
					culprit := finding.Culprit
					if culprit == nil {
						t.Fatalf("no node is named: %q", finding.Notes)
					}
					name := originalName(culprit, a, b)
					if name != test.want || len(culprit.Contents) == 0 || culprit.Contents[0].Kind != kind {
						t.Errorf("%s %q is named for %v, want %q for its %s\n%v\n%q", culprit.Operator, name,
							culprit.Contents, test.want, kind, finding.Structure, finding.Notes)
					}
					if culprit.InputsEqual && (len(culprit.InputsNotCompared) > 0 || culprit.InputsDiffer != 0) {
						t.Errorf("inputs are called equal: %+v", culprit)
					}
				})
			}
		}
	}
}

// originalName is the name that the unchanged graph has for a node whose output is
// that of a renamed one.
func originalName(n *Node, a, b Side) string {
	model, index := a.Model, n.IndexA
	if index < 0 {
		model, index = b.Model, n.IndexB
	}
	output := model.Proto.Graph.Node[index].Output[0]
	if output == "logits" && n.IndexA >= 0 && n.IndexB >= 0 {
		return "dense"
	}
	if output == "logits" {
		return "extra"
	}
	return strings.TrimSuffix(strings.TrimPrefix(output, "value/"), ".output")
}

// TestNotCompared has a fault in a value of float64, which is not shown: neither it
// nor what takes it may be called compared, and the node named says what is not known.
func TestNotCompared(t *testing.T) {
	wide := func(factor float64) func(g *onnxpb.GraphProto) {
		return func(g *onnxpb.GraphProto) {
			raw := make([]byte, 8)
			binary.LittleEndian.PutUint64(raw, math.Float64bits(factor))
			g.Initializer = append(g.Initializer, &onnxpb.TensorProto{Name: proto.String("factor"),
				DataType: proto.Int32(int32(onnxpb.TensorProto_DOUBLE)), RawData: raw})
			insertNode(g, "concat", "Cast", "widen", nil, integer("to", int64(onnxpb.TensorProto_DOUBLE)))
			insertNode(g, "widen", "Mul", "scaled", []string{"factor"})
			insertNode(g, "scaled", "Cast", "narrow", nil, integer("to", int64(onnxpb.TensorProto_FLOAT)))
		}
	}
	for _, runtime := range []string{infer.RuntimeNative, infer.RuntimeONNXRuntime} {
		t.Run(runtime, func(t *testing.T) {
			a, b := openIn(t, runtime, branched(t, wide(1))), openIn(t, runtime, branched(t, wide(1.5)))
			finding, err := Run(t.Context(), a, b, infer.DefaultTolerance)
			if err != nil {
				t.Fatal(err)
			}
			first := finding.First
			if first == nil || first.Name != "narrow" || first.InputsEqual || first.InputsAgree ||
				len(first.InputsNotCompared) != 1 {
				t.Fatalf("%+v", first)
			}
			if text := first.InputsNotCompared[0]; !strings.Contains(text, `input 0 "scaled.output"`) ||
				!strings.Contains(text, "DOUBLE") {
				t.Errorf("the input that was not compared: %q", text)
			}
			if notes := strings.Join(finding.Notes, "; "); !strings.Contains(notes,
				"2 nodes before it could not be compared") {
				t.Errorf("notes %q", notes)
			}
		})
	}
}

// TestBytesAreCompared compares the graph's bytes in two runtimes, and says of one
// step between them what it is.
func TestBytesAreCompared(t *testing.T) {
	a, b := openIn(t, infer.RuntimeONNXRuntime, branched(t, unchanged)), openIn(t, infer.RuntimeNative,
		branched(t, unchanged))
	finding, err := Run(t.Context(), a, b, infer.DefaultTolerance)
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range finding.Nodes {
		if !node.Compared || !node.InputsAgree || len(node.InputsNotCompared) != 0 || node.Inputs == 0 {
			t.Errorf("%+v", node)
		}
	}
	// A shift within rounding moves a value that lies on an edge.
	nearEdge := func(by float32) *onnx.Model {
		return branched(t, func(g *onnxpb.GraphProto) {
			g.Initializer = append(g.Initializer, floats(t, "edge", []int64{1}, []float32{0.125 + by}),
				floats(t, "step", []int64{1}, []float32{0.25}))
			insertNode(g, "pool", "Floor", "whole", nil)
			insertNode(g, "whole", "Mul", "stepped", []string{"step"})
			insertNode(g, "stepped", "Add", "shift", []string{"edge"})
			for _, tensor := range g.Initializer {
				if tensor.GetName() == "scale" {
					tensor.RawData = floats(t, "scale", nil, []float32{0.25}).RawData
				}
			}
		})
	}
	a, b = openIn(t, infer.RuntimeONNXRuntime, nearEdge(0)), openIn(t, infer.RuntimeNative,
		nearEdge(1e-7))
	finding, err = Run(t.Context(), a, b, infer.DefaultTolerance)
	if err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(finding.Notes, "; "); finding.First == nil ||
		!strings.Contains(notes, "differ by one step") {
		t.Errorf("first %+v, notes %q", finding.First, notes)
	}
}
