package native_test

import (
	"slices"
	"strings"
	"testing"

	"slipway/infer/native"
	"slipway/internal/graphmaker"
)

// Exporters name outputs that nobody reads: Dropout's mask of old opsets, the indices
// of MaxPool's largest elements. What nobody reads need not be supported.
func TestUnreadOutputsAreNotComputed(t *testing.T) {
	x := &native.Tensor{Shape: []int{1, 1, 2, 4}, Data: []float32{1, -2, 3, 4, 5, 6, -7, 8}}
	for _, opset := range []int64{7, 9, 10, 13} {
		dropout := nodeOf("Dropout", in("x"), in("kept", "mask"))
		model := graphOf(t, opset, x, nil, dropout, nodeOf("MaxPool", in("kept"), in("y", "indices"),
			graphmaker.Ints("kernel_shape", 2, 2)))
		e, err := native.New(t.Context(), model, native.Options{})
		if err != nil {
			t.Fatalf("opset %d: %v", opset, err)
		}
		defer e.Close()
		out, err := e.Run(t.Context(), map[string]*native.Tensor{"x": x})
		if err != nil || !slices.Equal(out[0].Data.([]float32), []float32{6, 6, 8}) {
			t.Errorf("opset %d: %v, %v", opset, out, err)
		}
	}
	// A mask that is read is another matter.
	model := graphOf(t, 9, x, nil, nodeOf("Dropout", in("x"), in("kept", "mask")),
		nodeOf("Add", in("kept", "mask"), in("y")))
	if _, err := native.New(t.Context(), model, native.Options{}); err == nil ||
		!strings.Contains(err.Error(), "mask is not supported before opset 10") {
		t.Errorf("%v", err)
	}
}
