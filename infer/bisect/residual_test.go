package bisect

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"slipway/infer"
	"slipway/internal/networktest"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// residual returns ResNet-20 with a change.
func residual(t *testing.T, edit func(g *onnxpb.GraphProto)) *onnx.Model {
	t.Helper()
	model := networktest.Model(t, networktest.ResNet20(t, 8))
	edit(model.Proto.Graph)
	if err := model.Check(); err != nil {
		t.Fatal(err)
	}
	return model
}

func side(t *testing.T, runtime string, model *onnx.Model) Side {
	t.Helper()
	if os.Getenv("SLIPWAY_SKIP_ONNXRUNTIME") == "1" && runtime == infer.RuntimeONNXRuntime {
		t.Skip("SLIPWAY_SKIP_ONNXRUNTIME=1: nothing of onnxruntime is tested")
	}
	r, err := infer.OpenRuntime(t.Context(), runtime, model,
		infer.RuntimeOptions{Device: infer.DeviceCPU})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	random := rand.New(rand.NewPCG(3, 5))
	images := infer.Batch{N: 3, C: 3, H: 32, W: 32, Pixels: make([]float32, 3*3*32*32)}
	for i := range images.Pixels {
		images.Pixels[i] = float32(random.NormFloat64())
	}
	return Side{Model: model, Tracer: r.(infer.Tracer), Images: images}
}

// TestResidualNetworks finds what is wrong in a network of residual blocks, in each runtime.
func TestResidualNetworks(t *testing.T) {
	nodeAt := func(g *onnxpb.GraphProto, name string) *onnxpb.NodeProto {
		for _, node := range g.Node {
			if node.GetName() == name {
				return node
			}
		}
		t.Fatalf("no node %s", name)
		return nil
	}
	for name, test := range map[string]struct {
		edit func(g *onnxpb.GraphProto)
		want string // the culprit's name, and what the finding says
		says string
	}{
		"a weight": {func(g *onnxpb.GraphProto) { nudge(g, "layer2.1.conv2.weight", 5, 0.5) },
			"layer2.1.conv2", ""},
		"a running variance": {func(g *onnxpb.GraphProto) {
			nudge(g, "layer3.0.downsample.1.running_var", 2, 0.75)
		}, "layer3.0.downsample.1", ""},
		"a wrong shortcut": {func(g *onnxpb.GraphProto) {
			nodeAt(g, "layer1.1.add").Input[1] = "relu.output"
		}, "layer1.1.add", "wiring"},
		"an epsilon": {func(g *onnxpb.GraphProto) {
			for _, a := range nodeAt(g, "layer1.2.bn1").Attribute {
				if a.GetName() == "epsilon" {
					*a.F = 0.1
				}
			}
		}, "layer1.2.bn1", ""},
	} {
		for _, runtime := range []string{infer.RuntimeONNXRuntime, infer.RuntimeNative} {
			t.Run(name+" "+runtime, func(t *testing.T) {
				finding, err := Run(t.Context(), side(t, runtime, residual(t, unchanged)),
					side(t, runtime, residual(t, test.edit)), infer.DefaultTolerance)
				if err != nil {
					t.Fatal(err)
				}
				if finding.Culprit == nil || finding.Culprit.Name != test.want {
					t.Fatalf("the culprit is %+v, want %s", finding.Culprit, test.want)
				}
				var kinds []string
				for _, s := range finding.Structure {
					kinds = append(kinds, s.Kind)
				}
				if got := strings.Join(kinds, " "); got != test.says {
					t.Errorf("the structure differs by %q, want %q", got, test.says)
				}
			})
		}
	}
}

// TestResidualNetworkInTwoRuntimes: one model in onnxruntime and in native differs nowhere; folded,
// its BatchNormalizations are missed, and that each Conv has a bias is said.
func TestResidualNetworkInTwoRuntimes(t *testing.T) {
	model := residual(t, unchanged)
	finding, err := Run(t.Context(), side(t, infer.RuntimeONNXRuntime, model),
		side(t, infer.RuntimeNative, model), infer.DefaultTolerance)
	if err != nil {
		t.Fatal(err)
	}
	if finding.First != nil || len(finding.Structure) != 0 {
		t.Errorf("%+v differs first, structure %v", finding.First, finding.Structure)
	}
	folded, err := onnx.FoldNormalization(model)
	if err != nil {
		t.Fatal(err)
	}
	finding, err = Run(t.Context(), side(t, infer.RuntimeNative, model),
		side(t, infer.RuntimeNative, folded), infer.DefaultTolerance)
	if err != nil {
		t.Fatal(err)
	}
	removed, biases := 0, 0
	for _, s := range finding.Structure {
		switch {
		case s.Kind == "removed" && strings.Contains(s.Text, "BatchNormalization"):
			removed++
		case s.Kind == "wiring" && strings.HasSuffix(s.Text, "has 2 inputs in A and 3 in B"):
			biases++
		default:
			t.Errorf("%s: %s", s.Kind, s.Text)
		}
	}
	if removed != 21 || biases != 21 {
		t.Errorf("%d BatchNormalizations are missed and %d biases are new, want 21 of each", removed,
			biases)
	}
}
