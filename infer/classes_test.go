package infer

import (
	"fmt"
	"testing"

	"slipway/dataset"
	"slipway/infer/port"
	g "slipway/internal/graphmaker"
	"slipway/onnx/onnxpb"
)

// banded is a set of as many classes as asked for: an image of 3×2×W has one bright
// column, which is its class.
func banded(t *testing.T, classes int) *dataset.Set {
	t.Helper()
	size := 3 * 2 * classes
	images, labels := make([]uint8, classes*size), make([]int32, classes)
	for k := range classes {
		for row := range 3 * 2 {
			images[k*size+row*classes+k] = 200
		}
		labels[k] = int32(k)
	}
	set, err := dataset.NewSet("banded", images, labels, 3, 2, classes, classes)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// Models of two and of two hundred classes, channels first and last, of each type of
// input, are evaluated to the image.
func TestAnyNumberOfClasses(t *testing.T) {
	for _, classes := range []int{2, 200} {
		for _, channelsLast := range []bool{false, true} {
			for _, input := range port.InputTypes() {
				t.Run(fmt.Sprintf("%d classes, channels last %t, %s", classes, channelsLast,
					port.ElementName(input)), func(t *testing.T) {
					shape, axes := []int64{g.Free, 3, 2, int64(classes)}, []int64{1, 2}
					if channelsLast {
						shape, axes = []int64{g.Free, 2, int64(classes), 3}, []int64{1, 3}
					}
					model := g.New(shape...).Node("f = Cast x", g.Int("to", int64(onnxpb.TensorProto_FLOAT))).
						Integers("axes", axes...).Node("y = ReduceMean f axes", g.Int("keepdims", 0)).Model()
					setType(model.Proto.Graph.Input[0], input)
					set := banded(t, classes)
					for _, r := range openBoth(t, model) {
						result, err := Evaluate(t.Context(), r, set, EvaluateOptions{Batch: 7, Probe: true})
						if err != nil {
							t.Fatal(err)
						}
						if result.Correct != classes || len(result.Confusion) != classes ||
							len(result.Info.Notes) != 0 {
							t.Errorf("%s: %d right, %d classes, notes %q", r.Info().Runtime, result.Correct,
								len(result.Confusion), result.Info.Notes)
						}
					}
				})
			}
		}
	}
}
