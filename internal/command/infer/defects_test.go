package infer

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/dataset"
	"slipway/infer"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// e1Graph is the exported first experiment; beside it lie its trainer's answers.
const e1Graph = "../../../graphs/e1.onnx"

// Positions of E1's nodes.
const (
	conv1, relu1, pool1, conv2, relu2, pool2, flatten, fc1, relu3, fc2 = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
)

// planted writes a copy of E1 with a defect, which is still a valid model.
func planted(t *testing.T, defect func(t *testing.T, graph *onnxpb.GraphProto)) string {
	t.Helper()
	model, err := infer.LoadModel(e1Graph)
	if err != nil {
		t.Fatal(err)
	}
	changed := &onnx.Model{Proto: proto.CloneOf(model.Proto)}
	defect(t, changed.Proto.Graph)
	path := filepath.Join(t.TempDir(), "planted.onnx")
	if err := changed.Write(path); err != nil {
		t.Fatal(err)
	}
	if _, err := infer.LoadModel(path); err != nil {
		t.Fatalf("the planted model is not valid: %v", err)
	}
	return path
}

// smallReference writes the trainer's logits of the first n images.
func smallReference(t *testing.T, n int) string {
	t.Helper()
	whole, err := infer.ReadReference("../../../graphs/e1/trainer_logits.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "trainer.safetensors")
	writeLogits(t, path, "",
		infer.Logits{N: n, K: whole.Logits.K, Values: whole.Logits.Values[:n*whole.Logits.K]})
	return path
}

func setAttribute(node *onnxpb.NodeProto, name string, values ...int64) {
	node.Attribute = slices.DeleteFunc(node.Attribute, func(a *onnxpb.AttributeProto) bool {
		return a.GetName() == name
	})
	attribute := &onnxpb.AttributeProto{Name: proto.String(name),
		Type: onnxpb.AttributeProto_INTS.Enum(), Ints: values}
	if name == "transA" || name == "transB" {
		attribute = &onnxpb.AttributeProto{Name: proto.String(name),
			Type: onnxpb.AttributeProto_INT.Enum(), I: proto.Int64(values[0])}
	}
	node.Attribute = append(node.Attribute, attribute)
}

// changeFloats changes the values of an initializer, which is stored raw: all of
// them, or the one at a position.
func changeFloats(t *testing.T, graph *onnxpb.GraphProto, name string, position []int,
	change func(values []float32)) {
	t.Helper()
	for _, tensor := range graph.Initializer {
		if tensor.GetName() != name {
			continue
		}
		values, err := onnx.Floats(tensor)
		if err != nil {
			t.Fatal(err)
		}
		if position == nil {
			change(values)
		} else {
			index := 0
			for i, at := range position {
				index = index*int(tensor.Dims[i]) + at
			}
			change(values[index : index+1])
		}
		changed, err := onnx.FloatTensor(name, tensor.Dims, values)
		if err != nil {
			t.Fatal(err)
		}
		tensor.RawData = changed.RawData
		return
	}
	t.Fatalf("there is no initializer %s", name)
}

// strongestUnits names, for each of E1's values, the channel or unit whose outputs
// sum to most over the images. A unit that answers 0 to every image, as a trained
// network has some, would hide what is wrong with its weights.
func strongestUnits(t *testing.T, data string, names ...string) []int {
	t.Helper()
	model, err := infer.LoadModel(e1Graph)
	if err != nil {
		t.Fatal(err)
	}
	set, err := dataset.Open(t.Context(), data+":t10k", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pixels := make([]float32, len(set.Images))
	for i, value := range set.Images {
		pixels[i] = float32(value)
	}
	runtime, err := infer.OpenRuntime(t.Context(), "native", model, infer.RuntimeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.Close()
	tensors, err := runtime.(infer.Tracer).
		Trace(t.Context(), infer.Batch{N: len(set.Labels), C: 1, H: 28, W: 28, Pixels: pixels}, names)
	if err != nil {
		t.Fatal(err)
	}
	strongest := make([]int, len(names))
	for i, tensor := range tensors {
		sums := make([]float32, tensor.Shape[1])
		each := len(tensor.Values) / tensor.Shape[0] / len(sums)
		for j, value := range tensor.Values {
			sums[j/each%len(sums)] += value
		}
		most := slices.Max(sums)
		if most <= 0 {
			t.Fatalf("%s is 0 for every image", names[i])
		}
		strongest[i] = slices.Index(sums, most)
	}
	return strongest
}

// TestPlantedDefects plants defects that a converter or a slip of the hand makes
// into E1, and wants each found three times: by -cross-validate, which holds the
// graph against the trainer's logits, by compare, and by the bisection, which must
// name the node in one runtime, in the other, and between the two.
func TestPlantedDefects(t *testing.T) {
	if testing.Short() {
		t.Skip("compares some thirty models")
	}
	needLibrary(t)
	const images = 64
	data, reference := smallData(t, images), smallReference(t, images)
	strongest := strongestUnits(t, data, "pool1.output", "pool2.output", "flatten.output",
		"relu3.output")
	filter1, filter2, feature, hidden := strongest[0], strongest[1], strongest[2], strongest[3]
	// Half a unit is some ten standard deviations of a weight, what a bit that flips in
	// an exponent makes.
	oneWeight := func(name string, position ...int) (defect func(*testing.T, *onnxpb.GraphProto),
		different string) {
		return func(t *testing.T, graph *onnxpb.GraphProto) {
			changeFloats(t, graph, name, position, func(value []float32) { value[0] += 0.5 })
		}, fmt.Sprintf(" values differ, most at %d", position)
	}
	conv1Weight, conv1Differs := oneWeight("conv1.weight", filter1, 0, 4, 1)
	conv2Weight, conv2Differs := oneWeight("conv2.weight", filter2, filter1, 3, 4)
	fc1Weight, fc1Differs := oneWeight("fc1.weight", hidden, feature)
	fc2Weight, fc2Differs := oneWeight("fc2.weight", 1, hidden)
	zeroed := func(name string) func(*testing.T, *onnxpb.GraphProto) {
		return func(t *testing.T, graph *onnxpb.GraphProto) {
			changeFloats(t, graph, name, nil, func(values []float32) { clear(values) })
		}
	}
	window := func(node int, attributes map[string][]int64) func(*testing.T, *onnxpb.GraphProto) {
		return func(_ *testing.T, graph *onnxpb.GraphProto) {
			for name, values := range attributes {
				setAttribute(graph.Node[node], name, values...)
			}
		}
	}
	for name, test := range map[string]struct {
		defect    func(*testing.T, *onnxpb.GraphProto)
		node      string
		different string // what the report must say of the node itself
	}{
		"one weight of conv1": {conv1Weight, "conv1", "conv1.weight FLOAT [32 1 5 5]: 1 of 800" +
			conv1Differs},
		"one weight of conv2": {conv2Weight, "conv2", "1 of 51200" + conv2Differs},
		"one weight of fc1":   {fc1Weight, "fc1", "1 of 131072" + fc1Differs},
		"one weight of fc2":   {fc2Weight, "fc2", "1 of 1280" + fc2Differs},
		"bias of conv1 zero": {zeroed("conv1.bias"), "conv1",
			"conv1.bias FLOAT [32]: 32 of 32 values differ"},
		"bias of conv2 zero": {zeroed("conv2.bias"), "conv2",
			"conv2.bias FLOAT [64]: 64 of 64 values differ"},
		"bias of fc1 zero": {zeroed("fc1.bias"), "fc1",
			"fc1.bias FLOAT [128]: 128 of 128 values differ"},
		"bias of fc2 zero": {zeroed("fc2.bias"), "fc2", "fc2.bias FLOAT [10]: 10 of 10 values differ"},
		// 25 rows pooled by 2 are 12, as 24 are: only the convolution's output changes its
		// shape. Padding at the end would be pooled away, and nothing would be wrong.
		"padding of conv1": {window(conv1, map[string][]int64{"pads": {1, 1, 0, 0}}), "conv1",
			"attribute pads: [0 0 0 0] in A, [1 1 0 0] in B"},
		"padding of conv2": {window(conv2, map[string][]int64{"pads": {1, 1, 0, 0}}), "conv2",
			"shape [8 64 8 8] in A, [8 64 9 9] in B"},
		"kernel of pool1": {window(pool1, map[string][]int64{"kernel_shape": {1, 1}}), "pool1",
			"attribute kernel_shape: [2 2] in A, [1 1] in B"},
		"kernel and padding, pool2": {window(pool2, map[string][]int64{"kernel_shape": {3, 3},
			"pads": {0, 0, 1, 1}}), "pool2", "attribute kernel_shape: [2 2] in A, [3 3] in B"},
		"kernel and stride of pool2": {window(pool2, map[string][]int64{"kernel_shape": {5, 5},
			"strides": {1, 1}}), "pool2", "attribute strides: [2 2] in A, [1 1] in B"},
		"average instead of maximum": {func(_ *testing.T, graph *onnxpb.GraphProto) {
			node := graph.Node[pool1]
			node.OpType = proto.String("AveragePool")
			node.Attribute = slices.DeleteFunc(node.Attribute, func(a *onnxpb.AttributeProto) bool {
				return a.GetName() == "storage_order"
			})
		}, "", `node 2 (MaxPool "pool1") is in A where node 2 (AveragePool "pool1") is in B`},
		"transB of fc1 dropped": {func(t *testing.T, graph *onnxpb.GraphProto) {
			node := graph.Node[fc1]
			node.Attribute = slices.DeleteFunc(node.Attribute, func(a *onnxpb.AttributeProto) bool {
				return a.GetName() == "transB"
			})
			// The same bytes read as In×Out: the shapes fit, the answers do not.
			for _, tensor := range graph.Initializer {
				if tensor.GetName() == "fc1.weight" {
					slices.Reverse(tensor.Dims)
				}
			}
		}, "fc1", "attribute transB: 1 in A, absent in B"},
		"transB of fc2 zero": {func(t *testing.T, graph *onnxpb.GraphProto) {
			setAttribute(graph.Node[fc2], "transB", 0)
			for _, tensor := range graph.Initializer {
				if tensor.GetName() == "fc2.weight" {
					slices.Reverse(tensor.Dims)
				}
			}
		}, "fc2", "attribute transB: 1 in A, 0 in B"},
	} {
		t.Run(name, func(t *testing.T) {
			model := planted(t, test.defect)
			code, stdout, stderr := runCommand(t, "-model", model, "-data", data, "-cross-validate",
				"-reference", reference, "-device", "cpu")
			if code != 1 || !strings.Contains(stderr, "onnxruntime and trainer: ") ||
				!strings.Contains(stdout, "DISAGREES") {
				t.Errorf("-cross-validate: exit %d\n%s%s", code, stdout, stderr)
			}
			code, stdout, stderr = runCommand(t, "compare", e1Graph, model, "-data", data, "-device", "cpu")
			if code != 1 || !strings.Contains(stdout, "they DIFFER") ||
				!strings.Contains(stderr, "the answers disagree") {
				t.Errorf("compare: exit %d\n%s%s", code, stdout, stderr)
			}
			if !strings.Contains(stdout, test.different) {
				t.Errorf("compare does not say %q:\n%s", test.different, stdout)
			}
			for _, runtimes := range []string{"onnxruntime", "native", "native,onnxruntime"} {
				_, stdout, _ = runCommand(t, "compare", e1Graph, model, "-runtimes", runtimes, "-data", data,
					"-device", "cpu", "-json")
				bisection, ok := decoded(t, stdout)["bisection"].(map[string]any)
				if !ok {
					t.Fatalf("no bisection in %s", stdout)
				}
				if test.node == "" {
					if len(bisection["structure"].([]any)) != 1 {
						t.Errorf("structure: %v", bisection["structure"])
					}
					continue
				}
				node, ok := bisection["node"].(map[string]any)
				// Two runtimes' inputs agree, but not to the last bit.
				equal := node["inputs_equal"] == true || runtimes == "native,onnxruntime" &&
					node["inputs_agree"] == true
				if !ok || node["name"] != test.node || !equal || len(bisection["structure"].([]any)) != 0 {
					t.Errorf("in %s the bisection names %v, want %s with equal inputs", runtimes,
						bisection["node"], test.node)
				}
			}
		})
	}
}

// TestPlantedTransA transposes a Gemm's left side: no runtime can run that on
// batches of another size than the features, and the graphs alone say why.
func TestPlantedTransA(t *testing.T) {
	needLibrary(t)
	data, reference := smallData(t, 10), smallReference(t, 10)
	model := planted(t, func(_ *testing.T, graph *onnxpb.GraphProto) {
		setAttribute(graph.Node[fc1], "transA", 1)
	})
	if code, stdout, stderr := runCommand(t, "-model", model, "-data", data, "-cross-validate",
		"-reference", reference); code != 1 || stdout != "" || !strings.Contains(stderr, "fc1") {
		t.Errorf("-cross-validate: exit %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr := runCommand(t, "compare", e1Graph, model, "-data", data)
	if code != 1 || stdout != "" || !strings.Contains(stderr, "B cannot be compared") ||
		!strings.Contains(stderr, "Gemm fc1 has another attribute transA: 0 in A, 1 in B") {
		t.Errorf("compare: exit %d\n%s%s", code, stdout, stderr)
	}
	// What an absent attribute means is what it says: nothing differs.
	model = planted(t, func(_ *testing.T, graph *onnxpb.GraphProto) {
		node := graph.Node[fc1]
		node.Attribute = slices.DeleteFunc(node.Attribute, func(a *onnxpb.AttributeProto) bool {
			return a.GetName() == "transA"
		})
	})
	if code, stdout, stderr := runCommand(t, "compare", e1Graph, model, "-data", data); code != 0 ||
		!strings.Contains(stdout, "they agree") {
		t.Errorf("without transA: exit %d\n%s%s", code, stdout, stderr)
	}
}
