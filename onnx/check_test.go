package onnx_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"slipway/builder"
	"slipway/internal/cputime"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/onnx/onnxpb"
)

// tinyModel is conv1 → relu1 → pool1 → flatten1 → fc1 on 1×6×6 images.
func tinyModel(t testing.TB) *onnx.Model {
	t.Helper()
	network, err := builder.New("tiny", builder.Shape{1, 6, 6},
		builder.Conv2D{Filters: 2, Kernel: builder.Square(3)}, builder.ReLU{},
		builder.MaxPool2D{Kernel: builder.Square(2)}, builder.Flatten{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	model, err := convert.FromNetwork(network, network.InitialWeights(1), onnx.TrainingRecord{Seed: 1},
		convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func attributeOf(node *onnxpb.NodeProto, name string) *onnxpb.AttributeProto {
	for _, attribute := range node.GetAttribute() {
		if attribute.GetName() == name {
			return attribute
		}
	}
	attribute := &onnxpb.AttributeProto{Name: proto.String(name)}
	node.Attribute = append(node.Attribute, attribute)
	return attribute
}

func setInts(node *onnxpb.NodeProto, name string, values ...int64) {
	attribute := attributeOf(node, name)
	*attribute = onnxpb.AttributeProto{Name: proto.String(name),
		Type: onnxpb.AttributeProto_INTS.Enum(), Ints: values}
}

func setInt(node *onnxpb.NodeProto, name string, value int64) {
	attribute := attributeOf(node, name)
	*attribute = onnxpb.AttributeProto{Name: proto.String(name),
		Type: onnxpb.AttributeProto_INT.Enum(), I: proto.Int64(value)}
}

func nodeOf(operator string, inputs, outputs []string) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{OpType: proto.String(operator), Input: inputs, Output: outputs}
}

func importDomain(m *onnxpb.ModelProto, domain string) {
	m.OpsetImport = append(m.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String(domain),
		Version: proto.Int64(1)})
}

func functionOf(name string, nodes ...*onnxpb.NodeProto) *onnxpb.FunctionProto {
	return &onnxpb.FunctionProto{
		Name: proto.String(name), Domain: proto.String("local"), Input: []string{"x"},
		Output: []string{"y"}, Node: nodes,
		OpsetImport: []*onnxpb.OperatorSetIdProto{
			{Domain: proto.String(""), Version: proto.Int64(13)},
			{Domain: proto.String("local"), Version: proto.Int64(1)}},
	}
}

func local(name, input, output string) *onnxpb.NodeProto {
	node := nodeOf(name, []string{input}, []string{output})
	node.Domain = proto.String("local")
	return node
}

func TestCheckRefuses(t *testing.T) {
	const conv, relu, pool, flatten, gemm = 0, 1, 2, 3, 4
	type g = *onnxpb.GraphProto
	for _, test := range []struct {
		name   string
		change func(m *onnxpb.ModelProto, g g)
		want   string // in the error
	}{
		{"no IR version", func(m *onnxpb.ModelProto, g g) { m.IrVersion = nil }, "no ir_version"},
		{"old IR version", func(m *onnxpb.ModelProto, g g) { m.IrVersion = proto.Int64(2) },
			"IR version is 2; at least 3"},
		{"new IR version", func(m *onnxpb.ModelProto, g g) { m.IrVersion = proto.Int64(14) },
			"newer than 13"},
		{"no opset", func(m *onnxpb.ModelProto, g g) { m.OpsetImport = nil }, "imports no opset"},
		{"opset 0", func(m *onnxpb.ModelProto, g g) { m.OpsetImport[0].Version = proto.Int64(0) },
			"versions begin at 1"},
		{"new opset", func(m *onnxpb.ModelProto, g g) { m.OpsetImport[0].Version = proto.Int64(28) },
			"opset is 28, newer than 27"},
		{"opset twice", func(m *onnxpb.ModelProto, g g) { importDomain(m, "ai.onnx") }, "twice"},
		{"unknown domain", func(m *onnxpb.ModelProto, g g) {
			g.Node[relu].Domain = proto.String("com.acme")
		}, `domain "com.acme"`},
		{"metadata twice", func(m *onnxpb.ModelProto, g g) {
			m.MetadataProps = append(m.MetadataProps, m.MetadataProps[0])
		}, "metadata key"},
		{"no output", func(m *onnxpb.ModelProto, g g) { g.Output = nil }, "no output"},

		{"dangling input", func(m *onnxpb.ModelProto, g g) { g.Node[relu].Input[0] = "ghost" },
			`node 1 (Relu "relu1"): its input "ghost" is made by no node`},
		{"dangling output", func(m *onnxpb.ModelProto, g g) { g.Output[0].Name = proto.String("ghost") },
			`graph output "ghost" is made by no node`},
		{"output twice", func(m *onnxpb.ModelProto, g g) { g.Output = append(g.Output, g.Output[0]) },
			"given twice"},
		{"value made twice", func(m *onnxpb.ModelProto, g g) { g.Node[relu].Output[0] = "conv1.output" },
			"unique"},
		{"initializer twice", func(m *onnxpb.ModelProto, g g) {
			g.Initializer = append(g.Initializer, g.Initializer[0])
		},
			`initializer "conv1.weight" is given twice`},
		{"initializer without name", func(m *onnxpb.ModelProto, g g) { g.Initializer[0].Name = nil },
			"no name"},
		{"input without name", func(m *onnxpb.ModelProto, g g) { g.Input[0].Name = nil }, "no name"},
		{"not sorted", func(m *onnxpb.ModelProto, g g) {
			g.Node[conv], g.Node[relu] = g.Node[relu], g.Node[conv]
		}, "sort the nodes"},
		{"cycle", func(m *onnxpb.ModelProto, g g) { g.Node[conv].Input[0] = "pool1.output" }, "cycle"},
		{"own output", func(m *onnxpb.ModelProto, g g) { g.Node[relu].Input[0] = "relu1.output" },
			"cycle"},
		{"no operator", func(m *onnxpb.ModelProto, g g) { g.Node[relu].OpType = nil },
			"names no operator"},

		{"raw_data short", func(m *onnxpb.ModelProto, g g) {
			g.Initializer[0].RawData = g.Initializer[0].RawData[1:]
		},
			`tensor "conv1.weight": its shape [2 1 3 3] of float needs 72 entries in raw_data, but there are 71`},
		{"data twice", func(m *onnxpb.ModelProto, g g) {
			g.Initializer[0].FloatData = make([]float32, 18)
		}, "raw_data and in float_data"},
		{"no data", func(m *onnxpb.ModelProto, g g) { g.Initializer[0].RawData = nil }, "holds no data"},
		{"2 GB claimed", func(m *onnxpb.ModelProto, g g) { g.Initializer[0].Dims = []int64{1 << 29} },
			"needs 2147483648 entries"},
		{"negative dimension", func(m *onnxpb.ModelProto, g g) { g.Initializer[0].Dims[0] = -2 },
			"none may be negative"},
		{"overflowing dimensions", func(m *onnxpb.ModelProto, g g) {
			g.Initializer[0].Dims = []int64{1 << 33, 1 << 31, 8}
		}, "more than 2^40"},
		{"huge rank", func(m *onnxpb.ModelProto, g g) { g.Initializer[0].Dims = make([]int64, 65) },
			"at most 64"},
		{"unknown element type", func(m *onnxpb.ModelProto, g g) {
			g.Initializer[0].DataType = proto.Int32(99)
		}, "number 99"},
		{"wrong field for the type", func(m *onnxpb.ModelProto, g g) {
			g.Initializer[0].RawData, g.Initializer[0].Int64Data = nil, make([]int64, 18)
		}, "does not store its data in int64_data"},
		{"segment", func(m *onnxpb.ModelProto, g g) {
			g.Initializer[0].Segment = &onnxpb.TensorProto_Segment{}
		}, "segment"},
		{"external data in memory", func(m *onnxpb.ModelProto, g g) {
			g.Initializer[0].DataLocation = onnxpb.TensorProto_EXTERNAL.Enum()
		}, "read the model by its path"},
		{"negative input dimension", func(m *onnxpb.ModelProto, g g) {
			g.Input[0].Type.GetTensorType().Shape.Dim[2].Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: -6}
		}, "dimension 2 is -6"},
		{"input type", func(m *onnxpb.ModelProto, g g) {
			g.Input[0].Type.GetTensorType().ElemType = proto.Int32(77)
		}, "number 77"},

		{"stride 0", func(m *onnxpb.ModelProto, g g) { setInts(g.Node[conv], "strides", 1, 0) },
			"strides holds 0; each must be at least 1"},
		{"negative pads", func(m *onnxpb.ModelProto, g g) { setInts(g.Node[pool], "pads", 0, 0, -1, 0) },
			"pads holds -1"},
		{"dilation 0", func(m *onnxpb.ModelProto, g g) { setInts(g.Node[conv], "dilations", 0, 1) },
			"dilations holds 0"},
		{"kernel 0", func(m *onnxpb.ModelProto, g g) { setInts(g.Node[pool], "kernel_shape", 0, 2) },
			"kernel_shape holds 0"},
		{"group 0", func(m *onnxpb.ModelProto, g g) { setInt(g.Node[conv], "group", 0) },
			"group holds 0"},
		{"huge pads", func(m *onnxpb.ModelProto, g g) {
			setInts(g.Node[conv], "pads", math.MaxInt64, 0, 0, 0)
		}, "cannot be meant"},
		{"huge output", func(m *onnxpb.ModelProto, g g) {
			setInts(g.Node[conv], "pads", 1<<30, 1<<30, 0, 0)
		}, "2^31 elements"},
		{"huge dilation", func(m *onnxpb.ModelProto, g g) {
			setInts(g.Node[conv], "dilations", 1<<30, 1)
		}, "padded input is only 6"},
		{"group does not divide", func(m *onnxpb.ModelProto, g g) { setInt(g.Node[conv], "group", 3) },
			"2 filters do not divide into 3 groups"},
		{"channels", func(m *onnxpb.ModelProto, g g) { setInt(g.Node[conv], "group", 2) }, "channels"},
		{"kernel is not the weight's", func(m *onnxpb.ModelProto, g g) {
			setInts(g.Node[conv], "kernel_shape", 3, 2)
		}, "not that of the weight"},
		{"strides of wrong length", func(m *onnxpb.ModelProto, g g) {
			setInts(g.Node[conv], "strides", 1)
		}, "strides has 1 values"},
		{"pads reach the kernel", func(m *onnxpb.ModelProto, g g) {
			setInts(g.Node[pool], "pads", 2, 2, 2, 2)
		}, "padding alone"},
		{"no kernel_shape", func(m *onnxpb.ModelProto, g g) {
			g.Node[pool].Attribute = g.Node[pool].Attribute[1:]
		}, "kernel_shape is missing"},
		{"attribute of another type", func(m *onnxpb.ModelProto, g g) {
			setInt(g.Node[conv], "strides", 1)
		}, "strides is INT; it must be INTS"},
		{"attribute that lies about its type", func(m *onnxpb.ModelProto, g g) {
			attributeOf(g.Node[conv], "strides").F = proto.Float32(1)
		}, "said to be INTS, but holds FLOAT"},
		{"attribute twice", func(m *onnxpb.ModelProto, g g) {
			g.Node[conv].Attribute = append(g.Node[conv].Attribute, g.Node[conv].Attribute[0])
		}, "given twice"},
		{"unknown attribute", func(m *onnxpb.ModelProto, g g) { setInt(g.Node[relu], "color", 1) },
			`no attribute "color"`},
		{"attribute without type", func(m *onnxpb.ModelProto, g g) {
			g.Node[conv].Attribute[0].Type = nil
		}, "of which type"},
		{"reference outside of a function", func(m *onnxpb.ModelProto, g g) {
			g.Node[conv].Attribute[0].RefAttrName = proto.String("a")
		}, "in no function"},
		{"too few inputs", func(m *onnxpb.ModelProto, g g) {
			g.Node[conv].Input = g.Node[conv].Input[:1]
		}, "1 inputs; Conv takes 2 to 3"},
		{"too many outputs", func(m *onnxpb.ModelProto, g g) {
			g.Node[relu].Output = append(g.Node[relu].Output, "more")
		}, "2 outputs; Relu gives 1"},
		{"flatten axis", func(m *onnxpb.ModelProto, g g) { setInt(g.Node[flatten], "axis", 5) },
			"axis is 5"},
		{"Gemm transposed wrongly", func(m *onnxpb.ModelProto, g g) { setInt(g.Node[gemm], "transB", 0) },
			"inner dimensions 8 and 3 differ"},
		{"Gemm flag", func(m *onnxpb.ModelProto, g g) { setInt(g.Node[gemm], "transB", 2) },
			"must be 0 or 1"},
		{"Gemm without Flatten", func(m *onnxpb.ModelProto, g g) {
			g.Node[gemm].Input[0] = "pool1.output"
		}, "must be a matrix"},
		{"bias", func(m *onnxpb.ModelProto, g g) { g.Node[conv].Input[2] = "fc1.bias" },
			"one value per filter"},
		{"declared output", func(m *onnxpb.ModelProto, g g) {
			g.Output[0].Type.GetTensorType().Shape.Dim[1].Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: 4}
		}, "float[N×4] but computed as float[N×3]"},

		{"stride 0 in an unknown operator", func(m *onnxpb.ModelProto, g g) {
			importDomain(m, "com.acme")
			g.Node[relu].Domain = proto.String("com.acme")
			setInts(g.Node[relu], "strides", 0)
		}, "strides holds 0"},
		{"stride 0 in a subgraph", func(m *onnxpb.ModelProto, g g) {
			node := nodeOf("If", []string{"image"}, []string{"out"})
			inner := &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{nodeOf("ConvTranspose",
				[]string{"image", "conv1.weight"}, []string{"z"})},
				Output: []*onnxpb.ValueInfoProto{{Name: proto.String("z")}}}
			setInts(inner.Node[0], "strides", 0)
			node.Attribute = []*onnxpb.AttributeProto{{Name: proto.String("then_branch"),
				Type: onnxpb.AttributeProto_GRAPH.Enum(), G: inner}}
			g.Node = append(g.Node, node)
		}, `node 5 (If), then_branch, node 0 (ConvTranspose): strides holds 0`},
		{"recursive function", func(m *onnxpb.ModelProto, g g) {
			importDomain(m, "local")
			m.Functions = []*onnxpb.FunctionProto{functionOf("F", local("F", "x", "y"))}
		}, "calls itself"},
		{"functions recursive in a circle", func(m *onnxpb.ModelProto, g g) {
			importDomain(m, "local")
			m.Functions = []*onnxpb.FunctionProto{functionOf("F", local("G", "x", "y")),
				functionOf("G", local("F", "x", "y"))}
		}, "calls itself"},
		{"functions that double", func(m *onnxpb.ModelProto, g g) {
			importDomain(m, "local")
			for i := range 40 {
				next := fmt.Sprintf("F%d", i+1)
				m.Functions = append(m.Functions, functionOf(fmt.Sprintf("F%d", i), local(next, "x", "z"),
					local(next, "z", "y")))
			}
			m.Functions = append(m.Functions,
				functionOf("F40", nodeOf("Relu", []string{"x"}, []string{"y"})))
		}, "more than 1048576 nodes"},
		{"function calls too deep", func(m *onnxpb.ModelProto, g g) {
			for i := range 200 {
				m.Functions = append(m.Functions,
					functionOf(fmt.Sprintf("F%d", i), local(fmt.Sprintf("F%d", i+1), "x", "y")))
			}
		}, "more than 100 deep"},
		{"function twice", func(m *onnxpb.ModelProto, g g) {
			f := functionOf("F", nodeOf("Relu", []string{"x"}, []string{"y"}))
			m.Functions = []*onnxpb.FunctionProto{f, f}
		}, "given twice"},
		{"stride 0 by way of functions", func(m *onnxpb.ModelProto, g g) {
			importDomain(m, "local")
			pool := nodeOf("MaxPool", []string{"x"}, []string{"y"})
			pool.Attribute = []*onnxpb.AttributeProto{
				{Name: proto.String("strides"), Type: onnxpb.AttributeProto_INTS.Enum(),
					RefAttrName: proto.String("inner")}}
			through := local("Pool", "x", "y")
			through.Attribute = []*onnxpb.AttributeProto{
				{Name: proto.String("inner"), Type: onnxpb.AttributeProto_INTS.Enum(),
					RefAttrName: proto.String("outer")}}
			m.Functions = []*onnxpb.FunctionProto{functionOf("Twice", through), functionOf("Pool", pool)}
			m.Functions[0].Attribute, m.Functions[1].Attribute = []string{"outer"}, []string{"inner"}
			use := local("Twice", "image", "pooled")
			setInts(use, "outer", 0, 0)
			g.Node = append(g.Node, use)
		}, "strides holds 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			model := tinyModel(t)
			test.change(model.Proto, model.Proto.Graph)
			err := model.Check()
			if err == nil {
				t.Fatal("the check passes")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q, want one with %q", err, test.want)
			}
			if text := onnx.Inspect(model).String(); !strings.Contains(text, "problem: ") {
				t.Errorf("the report does not name the problem:\n%s", text)
			}
		})
	}
}

func TestCheckAcceptsWhatItDoesNotKnow(t *testing.T) {
	model := tinyModel(t)
	graph := model.Proto.Graph
	importDomain(model.Proto, "com.acme")
	node := nodeOf("Sharpen", []string{"image", ""}, []string{"sharp", ""})
	node.Domain = proto.String("com.acme")
	setInts(node, "anything", -1, 0)
	graph.Node = append([]*onnxpb.NodeProto{node}, graph.Node...)
	graph.Node[1].Input[0] = "sharp"
	// Cropping by negative pads is what Pad is for.
	crop := nodeOf("Pad", []string{"image"}, []string{"cropped"})
	setInts(crop, "pads", 0, 0, -1, -1, 0, 0, -1, -1)
	graph.Node = append(graph.Node, crop)
	if err := model.Check(); err != nil {
		t.Fatal(err)
	}
	report := onnx.Inspect(model)
	if got := strings.Join(report.Unchecked(), " "); got != "com.acme.Sharpen" {
		t.Errorf("not checked: %s", got)
	}
	if !report.MultiplyAddsPartial {
		t.Error("the convolution of an unknown shape does not make the count a lower bound")
	}
}

// A check takes time in proportion to the model, also where names are wrong.
func TestCheckOfManyNodesIsFast(t *testing.T) {
	model := tinyModel(t)
	graph := model.Proto.Graph
	last := graph.Output[0].GetName()
	for i := range 100_000 {
		next := fmt.Sprintf("v%d", i)
		graph.Node = append(graph.Node, nodeOf("Add", []string{last, last}, []string{next}))
		last = next
	}
	start := cputime.Used()
	if err := model.Check(); err != nil {
		t.Fatal(err)
	}
	graph.Node[5].Input[0] = last
	if err := model.Check(); err == nil || !strings.Contains(err.Error(), "cycle") {
		t.Errorf("the cycle gives %v", err)
	}
	if elapsed := cputime.Used() - start; elapsed > 10*time.Second {
		t.Errorf("took %v", elapsed)
	}
}

func TestInspect(t *testing.T) {
	network, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	record := onnx.TrainingRecord{DataSet: "mnist", TestAccuracy: 0.9858, TestImages: 10000}
	model, err := convert.FromNetwork(network, network.InitialWeights(1), record,
		convert.Options{ProducerVersion: "0.1.0"})
	if err != nil {
		t.Fatal(err)
	}
	report := onnx.Inspect(model)
	if report.Problem != "" || report.Parameters != 184_586 || report.ParameterBytes != 4*184_586 {
		t.Errorf("problem %q, %d parameters in %d bytes; want 184586 in 738344", report.Problem,
			report.Parameters, report.ParameterBytes)
	}
	// 24²·32·25 + 8²·64·32·25 + 1024·128 + 128·10
	if want := int64(460_800 + 3_276_800 + 131_072 + 1_280); report.MultiplyAdds != want ||
		report.MultiplyAddsPartial {
		t.Errorf("%d multiply-adds (partial %v), want %d", report.MultiplyAdds,
			report.MultiplyAddsPartial, want)
	}
	text := report.String()
	for _, want := range []string{"slipway 0.1.0", "IR version 7, ai.onnx opset 13",
		"image float[N×1×28×28]", "logits float[N×10]",
		"N×32×24×24", "N×64×4×4", "N×1024", "Conv 5×5", "MaxPool 2×2 stride 2",
		"8 of float: 184,586 values, 738,344 bytes", "184,586      3,869,952", "for an example",
		"slipway.test_accuracy", "0.9858"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	if t.Failed() || testing.Verbose() {
		t.Log("\n" + text)
	}
}

// Names in a file are anybody's; a terminal must not obey them.
func TestReportIsPrintable(t *testing.T) {
	model := tinyModel(t)
	model.Proto.ProducerName = proto.String("evil\x1b[2J\r\n" + strings.Repeat("x", 1<<16))
	model.Proto.Graph.Node[0].OpType = proto.String("Conv\x1b]0;title\x07")
	report := onnx.Inspect(model)
	for _, text := range []string{report.String(), report.Problem} {
		if strings.ContainsAny(text, "\x1b\x07\r") || len(text) > 1<<14 {
			t.Errorf("%d bytes with control characters", len(text))
		}
	}
}
