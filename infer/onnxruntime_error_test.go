package infer

import (
	"errors"
	"strings"
	"testing"

	"slipway/internal/graphmaker"
)

// The texts are onnxruntime 1.32.0's own, but for the last six, whose forms are
// those of other kernels.
func TestErrorsLoseTheirSource(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"Error running network: Non-zero status code returned while running Reshape node. Name:'the_r' Status Message: " +
			"/onnxruntime_src/onnxruntime/core/providers/cpu/tensor/reshape_helper.h:91 onnxruntime::ReshapeHelper::ReshapeHelper(" +
			"const onnxruntime::TensorShape&, onnxruntime::TensorShapeVector&, bool) input_shape_size == requested_shape_size was false. " +
			"The input tensor cannot be reshaped to the requested shape. Input shape:{3,2,2,2}, requested shape:{1,8}",
			`Reshape "the_r": The input tensor cannot be reshaped to the requested shape. Input shape:{3,2,2,2}, requested shape:{1,8}`},
		{"Error running network: Non-zero status code returned while running MatMul node. Name:'the_y' Status Message: matmul_helper.h:59 Compute MatMul dimension mismatch",
			`MatMul "the_y": MatMul dimension mismatch`},
		{"Error running network: Non-zero status code returned while running MaxPool node. Name:'the_c' Status Message: " +
			"/onnxruntime_src/onnxruntime/core/providers/cpu/nn/pool_attributes.h:236 int64_t onnxruntime::PoolAttributes::ComputeOutputSize(" +
			"int64_t, int64_t, int64_t, int64_t, int64_t, int64_t) const out_size >= 0 was false. Calculated output dimension is negative. Check kernel_shape.",
			`MaxPool "the_c": Calculated output dimension is negative. Check kernel_shape.`},
		{"Error running network: Got invalid dimensions for input: x for the following indices\n index: 0 Got: 2 Expected: 0\n Please fix either the inputs/outputs or the model.",
			"Got invalid dimensions for input: x for the following indices index: 0 Got: 2 Expected: 0 Please fix either the inputs/outputs or the model."},
		{"Error creating C session: Node (the_y) Op (MatMul) [ShapeInferenceError] Incompatible dimensions for matrix multiplication",
			"Node (the_y) Op (MatMul) [ShapeInferenceError] Incompatible dimensions for matrix multiplication"},
		{`D:\a\_work\1\s\onnxruntime\core\x.cc:12 auto onnxruntime::Run(int)::<lambda(const A&)>::operator()(const A&) const [with A = float] a.size() == 2 was false. Two are wanted.`,
			"Two are wanted."},
		{"/src/a.cc:3 onnxruntime::F() x > 0 was false. ", "x > 0 was false."},
		{"x.cc:12 auto onnxruntime::Run(int)::<lambda(const A&)>::operator()(const A&) const Two are wanted.",
			"Two are wanted."},
		{"Failed at x.cc:3 onnxruntime::F()", "Failed at "},
		{"Failed at x.cc:3 onnxruntime::F(int", "Failed at "},
		{"plain words (in brackets) stay", "plain words (in brackets) stay"},
	} {
		if got := withoutSource(test.text); got != test.want {
			t.Errorf("%q\n becomes %q,\n want    %q", test.text, got, test.want)
		}
	}
}

func TestRunErrorsNameTheNodeAlone(t *testing.T) {
	needLibrary(t)
	model := graphmaker.New(graphmaker.Free, 2, 2, 2).Integers("s", 1, 8).Node("r = Reshape x s").
		Dense("r", 8).Model()
	r, err := OpenONNXRuntime(t.Context(), model, ONNXRuntimeOptions{Device: DeviceCPU})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = r.Run(t.Context(), Batch{N: 3, C: 2, H: 2, W: 2, Pixels: make([]float32, 24)})
	if err == nil || !strings.Contains(err.Error(), `Reshape "the_r": `) ||
		!strings.Contains(err.Error(), "requested shape:{1,8}") {
		t.Fatal(err)
	}
	if text := err.Error(); strings.Contains(text, "::") || strings.Contains(text, ".h:") ||
		strings.Contains(text, "\n") || errors.Unwrap(err) == nil {
		t.Errorf("%q has C++ in it, or no cause", text)
	}
}

// A node's name moves no terminal's cursor.
func TestErrorsLoseTerminalEscapes(t *testing.T) {
	err := plainError(
		errors.New("Error running network: Non-zero status code returned while running Add node. " +
			"Name:'\x1b[2J\x1b]0;owned\a' Status Message: wrong"))
	if text := err.Error(); strings.ContainsAny(text, "\x1b\a") || !strings.Contains(text, "owned") ||
		!strings.Contains(text, "wrong") {
		t.Errorf("%q", text)
	}
}
