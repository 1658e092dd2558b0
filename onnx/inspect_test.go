package onnx_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// fixBatch gives the model's input that batch.
func fixBatch(g *onnxpb.GraphProto, batch int64) {
	g.Input[0].Type.GetTensorType().Shape.Dim[0].Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: batch}
}

func inspected(t *testing.T, change func(m *onnxpb.ModelProto, g *onnxpb.GraphProto)) onnx.Report {
	t.Helper()
	model := tinyModel(t)
	change(model.Proto, model.Proto.Graph)
	return onnx.Inspect(model)
}

// A report's batch, size, sums and order.
func TestReportOfWhatTheFileSays(t *testing.T) {
	plain := inspected(t, func(*onnxpb.ModelProto, *onnxpb.GraphProto) {})
	if plain.Batch != -1 || plain.Bytes != int64(len(encode(t, tinyModel(t)))) ||
		strings.Contains(plain.String(), "functions") {
		t.Errorf("batch %d, %d bytes:\n%s", plain.Batch, plain.Bytes, plain)
	}
	if !slices.IsSortedFunc(plain.Metadata, func(a, b onnx.MetadataEntry) int {
		return strings.Compare(a.Key, b.Key)
	}) || len(plain.Metadata) < 2 {
		t.Errorf("metadata %v, want them in order", plain.Metadata)
	}
	report := inspected(t, func(m *onnxpb.ModelProto, g *onnxpb.GraphProto) {
		slices.Reverse(m.MetadataProps)
		fixBatch(g, 7)
		importDomain(m, "local")
		m.Functions = []*onnxpb.FunctionProto{functionOf("F",
			nodeOf("Relu", []string{"x"}, []string{"y"}))}
		g.Initializer = append(g.Initializer, sizes("axes", 0, 1), sizes("more", 1))
	})
	text := report.String()
	if report.Batch != 7 || report.Parameters != plain.Parameters ||
		!strings.Contains(text, "\n1 functions of the model's own\n") ||
		!strings.Contains(text, "for a run of 7.") || !slices.Equal(report.Metadata, plain.Metadata) {
		t.Errorf("batch %d, %d parameters, metadata %v:\n%s", report.Batch, report.Parameters,
			report.Metadata, text)
	}
	want := []onnx.InitializerReport{{Type: "float", Tensors: 4, Elements: plain.Parameters,
		Bytes: 4 * plain.Parameters}, {Type: "int64", Tensors: 2, Elements: 3, Bytes: 24}}
	if !slices.Equal(report.Initializers, want) {
		t.Errorf("initializers %+v, want %+v", report.Initializers, want)
	}
	for name, change := range map[string]func(*onnxpb.ModelProto, *onnxpb.GraphProto){
		"no input": func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) { g.Input = nil },
		"no shape": func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Input[0].Type.GetTensorType().Shape = nil
		},
		"a scalar": func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Input[0].Type.GetTensorType().Shape.Dim = nil
		},
	} {
		if report := inspected(t, change); report.Batch != -1 {
			t.Errorf("%s: batch %d", name, report.Batch)
		}
	}
}

// A node has the parameters of its initializers, which count at the first node that uses
// them, or of its Constant.
func TestParametersOfNodes(t *testing.T) {
	report := inspected(t, func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
		constant := nodeOf("Constant", nil, []string{"five"})
		constant.Attribute = []*onnxpb.AttributeProto{{Name: proto.String("value_floats"),
			Type: onnxpb.AttributeProto_FLOATS.Enum(), Floats: make([]float32, 5)}}
		text := nodeOf("Constant", nil, []string{"text"})
		text.Attribute = []*onnxpb.AttributeProto{{Name: proto.String("value_string"),
			Type: onnxpb.AttributeProto_STRING.Enum(), S: []byte("five")}}
		again := nodeOf("Conv", []string{"image", "conv1.weight", "conv1.bias"}, []string{"again"})
		g.Node = append(g.Node, constant, text, again)
	})
	var got []string
	for _, node := range report.Nodes {
		got = append(got, fmt.Sprintf("%s %d", node.Operator, node.Parameters))
	}
	want := []string{"Conv 20", "Relu 0", "MaxPool 0", "Flatten 0", "Gemm 27", "Constant 5",
		"Constant 0", "Conv 0"}
	if report.Problem != "" || !slices.Equal(got, want) || report.Parameters != 52 ||
		report.ParameterBytes != 4*52 {
		t.Errorf("%s: %v, %d parameters in %d bytes; want %v, 52", report.Problem, got, report.Parameters,
			report.ParameterBytes, want)
	}
}

// The title of a node has what shapes its output, where it is not the default.
func TestTitles(t *testing.T) {
	for want, node := range map[string]onnx.NodeReport{
		"Conv 3×3": {Operator: "Conv", Attributes: []onnx.AttributeReport{{"kernel_shape", "[3, 3]"},
			{"strides", "[1, 1]"}, {"pads", "[0, 0, 0, 0]"}, {"dilations", "[1, 1]"}, {"group", "1"},
			{"auto_pad", `"NOTSET"`}}},
		"Conv 3×5 stride 2×1 pad 1 dilation 2 groups 4": {Operator: "Conv",
			Attributes: []onnx.AttributeReport{{"kernel_shape", "[3, 5]"}, {"strides", "[2, 1]"},
				{"pads", "[1, 1, 1, 1]"}, {"dilations", "[2, 2]"}, {"group", "4"}}},
		"MaxPool 2×2 pad 0×0×1×1 SAME_UPPER": {Operator: "MaxPool",
			Attributes: []onnx.AttributeReport{{"kernel_shape", "[2, 2]"},
				{"pads", "[0, 0, 1, 1]"}, {"auto_pad", `"SAME_UPPER"`}}},
		"Cast to float16": {Operator: "Cast", Attributes: []onnx.AttributeReport{{"to", "10"}}},
		"Cast": {Operator: "Cast",
			Attributes: []onnx.AttributeReport{{"to", "the function's type"}}},
		"CastLike": {Operator: "CastLike", Attributes: []onnx.AttributeReport{{"to", "10"}}},
	} {
		if got := node.Title(); got != want {
			t.Errorf("title %q, want %q", got, want)
		}
	}
}

// An attribute's text is short.
func TestTextsOfAttributes(t *testing.T) {
	sixteen := slices.Repeat([]int64{8}, 16)
	report := inspected(t, func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
		setInts(g.Node[0], "sixteen", sixteen...)
		setInts(g.Node[0], "more", append(sixteen, 9)...)
		g.Node[0].Attribute = append(g.Node[0].Attribute,
			&onnxpb.AttributeProto{Name: proto.String("float"),
				Type: onnxpb.AttributeProto_FLOAT.Enum(), F: proto.Float32(0.125)})
	})
	all := "[" + strings.Repeat("8, ", 15) + "8"
	for _, want := range []onnx.AttributeReport{{"sixteen", all + "]"},
		{"more", all + ", and 1 more]"}, {"float", "0.125"}} {
		if !slices.Contains(report.Nodes[0].Attributes, want) {
			t.Errorf("attributes %v, want %v among them", report.Nodes[0].Attributes, want)
		}
	}
}

// Multiplications with an addition by the definition of Report, for one example where the
// batch is free, and whether it is a lower bound.
func TestMultiplyAdds(t *testing.T) {
	float := func(name string, dims ...int64) *onnxpb.TensorProto {
		count := int64(1)
		for _, size := range dims {
			count *= size
		}
		return &onnxpb.TensorProto{Name: proto.String(name), Dims: dims,
			FloatData: make([]float32, count),
			DataType:  proto.Int32(int32(onnxpb.TensorProto_FLOAT))}
	}
	byteTensor := func(name string, dims ...int64) *onnxpb.TensorProto {
		tensor := float(name, dims...)
		tensor.RawData, tensor.FloatData = make([]byte, len(tensor.FloatData)), nil
		tensor.DataType = proto.Int32(int32(onnxpb.TensorProto_UINT8))
		return tensor
	}
	foreign := func(domain, operator string) *onnxpb.NodeProto {
		node := nodeOf(operator, []string{"image"}, []string{"of " + operator})
		node.Domain = proto.String(domain)
		return node
	}
	for name, test := range map[string]struct {
		add     func(m *onnxpb.ModelProto, g *onnxpb.GraphProto)
		want    int64 // beside those of tinyModel
		partial bool
	}{
		"none": {func(*onnxpb.ModelProto, *onnxpb.GraphProto) {}, 0, false},
		"a product": {func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Initializer = append(g.Initializer, float("w", 3, 5))
			g.Node = append(g.Node, nodeOf("MatMul", []string{"logits", "w"}, []string{"product"}))
		}, 3 * 5, false},
		"products of a stack": {func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Initializer = append(g.Initializer, float("a", 4, 2, 3), float("b", 4, 3, 5))
			g.Node = append(g.Node, nodeOf("MatMul", []string{"a", "b"}, []string{"product"}))
		}, 4 * 2 * 5 * 3, false},
		"with a vector": {func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Initializer = append(g.Initializer, float("v", 3))
			g.Node = append(g.Node, nodeOf("MatMul", []string{"logits", "v"}, []string{"product"}))
		}, 3, false},
		"a product of vectors": {func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Initializer = append(g.Initializer, float("a", 3), float("b", 3))
			g.Node = append(g.Node, nodeOf("MatMul", []string{"a", "b"}, []string{"product"}))
		}, 3, false},
		"a product of integers": {func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			a, b := byteTensor("a", 2, 3), byteTensor("b", 3, 5)
			g.Initializer = append(g.Initializer, a, b, float("scale"), byteTensor("zero"))
			g.Node = append(g.Node, nodeOf("QLinearMatMul",
				[]string{"a", "scale", "zero", "b", "scale", "zero", "scale", "zero"}, []string{"product"}))
		}, 5 * 3, true}, // at least one row
		"a weight that is not known": {func(m *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			importDomain(m, "com.acme")
			g.Node = append(g.Node, foreign("com.acme", "Sharpen"),
				nodeOf("Conv", []string{"image", "of Sharpen"}, []string{"more"}))
		}, 0, true},
		"a weight without dimensions": {func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Initializer = append(g.Initializer, float("w"))
			g.Node = append(g.Node, nodeOf("Conv", []string{"image", "w"}, []string{"more"}))
		}, 0, true},
		"a factor without dimensions": {func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Initializer = append(g.Initializer, float("w"))
			g.Node = append(g.Node, nodeOf("MatMul", []string{"logits", "w"}, []string{"more"}))
		}, 0, true},
		"a look-up": {func(m *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			importDomain(m, "ai.onnx.ml")
			g.Node = append(g.Node, foreign("ai.onnx.ml", "ZipMap"))
		}, 0, false},
		"what is not known": {func(m *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			importDomain(m, "com.acme")
			g.Node = append(g.Node, foreign("com.acme", "Sharpen"))
		}, 0, true},
		"what is not counted": {func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Node = append(g.Node, nodeOf("LSTM", []string{"image"}, []string{"states"}))
		}, 0, true},
		"a product of what is not known": {func(m *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			importDomain(m, "com.acme")
			g.Node = append(g.Node, foreign("com.acme", "Sharpen"),
				nodeOf("MatMul", []string{"logits", "of Sharpen"}, []string{"product"}))
		}, 0, true},
	} {
		base := inspected(t, func(*onnxpb.ModelProto, *onnxpb.GraphProto) {})
		report := inspected(t, test.add)
		if got := report.MultiplyAdds - base.MultiplyAdds; got != test.want ||
			report.MultiplyAddsPartial != test.partial {
			t.Errorf("%s: %d, a lower bound %v; want %d, %v (%s)", name, got, report.MultiplyAddsPartial,
				test.want, test.partial, report.Problem)
		}
	}
	one := inspected(t, func(*onnxpb.ModelProto, *onnxpb.GraphProto) {})
	seven := inspected(t, func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) { fixBatch(g, 7) })
	if seven.MultiplyAdds != 7*one.MultiplyAdds {
		t.Errorf("%d for a batch of 7, %d for an example", seven.MultiplyAdds, one.MultiplyAdds)
	}
}

// A part of the text stands there where the report has something to say in it.
func TestTextOfReports(t *testing.T) {
	float := onnx.Value{Name: "y", Type: onnxpb.TensorProto_FLOAT, HasShape: true,
		Dims: []onnx.Dim{{Size: 2}}}
	integer := onnx.Value{Name: "z", Type: onnxpb.TensorProto_INT8, HasShape: true,
		Dims: []onnx.Dim{{Size: 3}}}
	unknown := onnx.Value{Name: "u", HasShape: true, Dims: []onnx.Dim{{Size: 4}, {Size: 5}}}
	full := onnx.Report{Path: "folder/m.onnx", DocString: "a text", Functions: 2, Bytes: 5,
		ExternalBytes: 1234, Batch: 0, Parameters: 1234567, MultiplyAdds: 12,
		Metadata: []onnx.MetadataEntry{{"key", "value"}},
		Nodes: []onnx.NodeReport{{Name: "n", Operator: "Op",
			Outputs: []onnx.Value{float, integer, unknown}, Parameters: 1},
			{Name: "m", Operator: "Mine", Checked: true}}}
	for _, want := range []string{"folder/m.onnx\n\nsize ", "5 bytes and 1,234 external\n",
		"says      a text\n", "2, int8[3], 4×5           1              0\n",
		"2 nodes                     1,234,567             12\n", "\n2 functions of the model's own\n",
		"multiply-adds are those of convolutions and matrix products for a run of 0.",
		"\nnot checked (held only against the general rules): Op\n", "\nmetadata\n  key  value\n"} {
		if !strings.Contains(full.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, full)
		}
	}
	problem := onnx.Report{Problem: "it is damaged", Batch: -1, Nodes: full.Nodes}
	checked := onnx.Report{Batch: -1, Nodes: full.Nodes[1:]}
	for _, text := range []string{problem.String(), checked.String()} {
		for _, unwanted := range []string{"functions", "external", "says", "metadata", "not checked",
			"a run of"} {
			if strings.Contains(text, unwanted) || strings.HasPrefix(text, "\n") {
				t.Errorf("the text has %q:\n%s", unwanted, text)
			}
		}
	}
	if text := problem.String(); !strings.HasSuffix(text, "\nproblem: it is damaged\n") {
		t.Errorf("the text does not end in its problem:\n%s", text)
	}
}
