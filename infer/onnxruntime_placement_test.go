//go:build cgo && linux

package infer

import (
	"slices"
	"strings"
	"testing"

	ort "github.com/yalue/onnxruntime_go"

	"slipway/internal/graphmaker"
	"slipway/onnx"
)

// flattened is a model that flattens its maps by a shape that it computes, as PyTorch's view does.
func flattened() *onnx.Model {
	return graphmaker.New(graphmaker.Free, 1, 4, 4).Node("a = Relu x").Node("s = Shape a").
		Integers("zero.", 0).Node("n = Gather s zero.").Integers("axes", 0).Node("u = Unsqueeze n axes").
		Integers("rest", -1).Node("t = Concat u rest", graphmaker.Int("axis", 0)).
		Node("b = Reshape a t").Dense("b", 16).Model()
}

// placementOf returns the nodes of a session of the model on the CPU. Nothing is optimized there:
// onnxruntime would see that the shape is one of a few it knows.
func placementOf(t *testing.T, model *onnx.Model, options ...string) ([]placed, error) {
	t.Helper()
	needLibrary(t)
	opened, err := OpenONNXRuntime(t.Context(), model, ONNXRuntimeOptions{Device: DeviceCPU})
	if err != nil {
		t.Fatal(err)
	}
	r := opened.(*onnxRuntime)
	defer r.Close()
	from, err := modelToRun(model)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.newSession(t.Context(), from, []string{r.ports.Output},
		func(o *ort.SessionOptions) error {
			for _, option := range options {
				if err := o.AddSessionConfigEntry(option, "1"); err != nil {
					return err
				}
			}
			return o.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll)
		})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return placement(s, r.library)
}

// A session tells what has each of its nodes, and one that was not asked to remember says so.
func TestPlacementOfASession(t *testing.T) {
	nodes, err := placementOf(t, flattened(), placementEntry)
	if err != nil {
		t.Fatal(err)
	}
	var operators []string
	for _, node := range nodes {
		operators = append(operators, node.operator)
		if node.provider != cpuProvider || node.domain != "" {
			t.Errorf("%+v, want ONNX's own on the CPU", node)
		}
	}
	for _, operator := range []string{"Relu", "Shape", "Gather", "Unsqueeze", "Concat", "Reshape"} {
		if !slices.Contains(operators, operator) {
			t.Errorf("the session has no %s: %v", operator, operators)
		}
	}
	if _, err := placementOf(t, flattened()); err == nil ||
		!strings.Contains(err.Error(), placementEntry) {
		t.Errorf("a session that does not remember: %v", err)
	}
}

// onCUDA gives all nodes but those of some operators, or names, to CUDA.
func onCUDA(nodes []placed, but ...string) []placed {
	nodes = slices.Clone(nodes)
	for i, node := range nodes {
		if !slices.Contains(but, node.operator) && !slices.Contains(but, node.name) {
			nodes[i].provider = cudaProvider
		}
	}
	return nodes
}

// Of nodes that stay on the CPU, those are let through that compute of sizes alone.
func TestNodesOnTheCPU(t *testing.T) {
	model := flattened()
	nodes, err := placementOf(t, model, placementEntry)
	if err != nil {
		t.Fatal(err)
	}
	sizes := []string{"Shape", "Gather", "Unsqueeze", "Concat"}
	for _, test := range []struct {
		name  string
		onCPU []string
		want  []string
		err   string
	}{
		{"none", nil, nil, ""},
		{"all of sizes", sizes, sizes, ""},
		{"one of them", []string{"Shape"}, []string{"Shape"}, ""},
		{"one with pictures", []string{"Relu"}, nil, "onnxruntime would compute 1 of the model's"},
		{"what views pictures", append([]string{"Reshape"}, sizes...), nil, "nodes on the CPU, Reshape"},
		{"all", append([]string{"Relu", "Reshape", "Gemm", "MatMul", "Add"}, sizes...), nil, "Relu"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := onTheCPU(onCUDA(nodes, test.onCPU...), model)
			slices.Sort(got)
			want := slices.Sorted(slices.Values(test.want))
			switch {
			case test.err == "" && (err != nil || !slices.Equal(got, want)):
				t.Errorf("%v, %v; want %v", got, err, want)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("%v, want %q", err, test.err)
			}
		})
	}
	unknown := []placed{{provider: cpuProvider, operator: "Shape", name: "of no node of the model"}}
	if _, err := onTheCPU(unknown, model); err == nil {
		t.Error("a node that the model does not have is let through")
	}
	named := []placed{{provider: cpuProvider, domain: "ai.onnx", operator: "Shape",
		name: shapeName(model)}}
	if got, err := onTheCPU(named, model); err != nil || len(got) != 1 {
		t.Errorf("ONNX's domain by its other name: %v, %v", got, err)
	}
}

func shapeName(model *onnx.Model) string {
	for _, node := range model.Proto.GetGraph().GetNode() {
		if node.GetOpType() == "Shape" {
			return node.GetName()
		}
	}
	return ""
}

// Of nodes of one name, as those without a name are, one with pictures is enough to refuse all.
func TestNodesOfOneName(t *testing.T) {
	model := graphmaker.New(graphmaker.Free, 4).Node("s = Shape x").Node("c = Cast s",
		graphmaker.Int("to", 1)).Node("m = ReduceMax c", graphmaker.Int("keepdims", 0)).
		Node("z = Add x m").Node("d = Cast z", graphmaker.Int("to", 1)).Model()
	graph := model.Proto.GetGraph()
	for _, name := range []bool{true, false} {
		for _, node := range graph.GetNode() {
			if !name {
				node.Name = nil
			}
		}
		var cast placed
		for _, node := range graph.GetNode() {
			if node.GetOpType() == "Cast" {
				cast = placed{provider: cpuProvider, operator: "Cast", name: node.GetName()}
				break
			}
		}
		if _, err := onTheCPU([]placed{cast}, model); (err == nil) != name {
			t.Errorf("Cast %q of sizes, with names %t: %v", cast.name, name, err)
		}
	}
}
