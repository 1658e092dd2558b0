//go:build gpu && linux && amd64

package cuda

// #include "algorithms.h"
// #include <cudnn.h>
import "C"

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	cudnn "gorgonia.org/cu/dnn"
	"gorgonia.org/tensor"

	"slipway/internal/ops"
)

// legacyConvolution is a pass of a convolution as cuDNN's legacy calls take it, with its memory.
type legacyConvolution struct {
	of      C.slipway_convolution
	conv    *cudnn.Convolution
	label   string // its pass and shapes
	x, w, y *buffer
}

// algorithm is one of cuDNN's for a pass, by cuDNN's numbers.
type algorithm struct{ number, math C.int }

// foundAlgorithm is what cuDNN says of an algorithm: of one that it has run, its time, and else
// the place in the order.
type foundAlgorithm struct {
	algorithm
	status        C.int
	microseconds  float64
	memory        int64
	deterministic bool
}

// preferred are the algorithms that are taken where nothing was measured: deterministic, sums of
// products as they are.
var preferred = [...]C.int{
	C.SLIPWAY_FORWARD: C.CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
	C.SLIPWAY_FILTER:  C.CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1,
	C.SLIPWAY_DATA:    C.CUDNN_CONVOLUTION_BWD_DATA_ALGO_1,
}

// algorithmNames are cuDNN's, by pass and number.
var algorithmNames = [...][]string{
	C.SLIPWAY_FORWARD: {"IMPLICIT_GEMM", "IMPLICIT_PRECOMP_GEMM", "GEMM", "DIRECT", "FFT",
		"FFT_TILING", "WINOGRAD", "WINOGRAD_NONFUSED"},
	C.SLIPWAY_FILTER: {"ALGO_0", "ALGO_1", "FFT", "ALGO_3", "WINOGRAD", "WINOGRAD_NONFUSED",
		"FFT_TILING"},
	C.SLIPWAY_DATA: {"ALGO_0", "ALGO_1", "FFT", "FFT_TILING", "WINOGRAD", "WINOGRAD_NONFUSED"},
}

// mathNames are those of cuDNN's math types.
var mathNames = map[C.int]string{C.CUDNN_FMA_MATH: "FMA", C.CUDNN_DEFAULT_MATH: "DEFAULT",
	C.CUDNN_TENSOR_OP_MATH:                  "TENSOR_OP",
	C.CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION: "TENSOR_OP_CONVERSION"}

// passNames are the passes', by number.
var passNames = [...]string{
	C.SLIPWAY_FORWARD: "forward", C.SLIPWAY_FILTER: "dw", C.SLIPWAY_DATA: "dx",
}

func passOf(kind ops.Kind) C.int {
	switch kind {
	case ops.Conv2DForward:
		return C.SLIPWAY_FORWARD
	case ops.Conv2DWeightGradient:
		return C.SLIPWAY_FILTER
	}
	return C.SLIPWAY_DATA
}

// newLegacyConvolution is the pass of d that reads inputs and writes output, of x, w and y of these
// shapes.
func newLegacyConvolution(dnn *cudnn.Context, d ops.Description, xd, yd *cudnn.TensorDescriptor,
	wd *cudnn.Filter, conv *cudnn.Convolution, x, w, y tensor.Shape, inputs []*buffer,
	output *buffer) *legacyConvolution {
	c := &legacyConvolution{conv: conv, of: C.slipway_convolution{
		handle: dnnHandle(dnn), x: tensorHandle(xd), w: filterHandle(wd), y: tensorHandle(yd),
		convolution: convolutionHandle(conv), pass: passOf(d.Kind),
	}}
	switch c.of.pass {
	case C.SLIPWAY_FORWARD:
		c.x, c.w, c.y = inputs[0], inputs[1], output
	case C.SLIPWAY_FILTER:
		c.y, c.x, c.w = inputs[0], inputs[1], output
	default:
		c.y, c.w, c.x = inputs[0], inputs[1], output
	}
	sizes := func(all ...int) string {
		return strings.Trim(strings.ReplaceAll(fmt.Sprint(all), " ", "×"), "[]")
	}
	c.label = fmt.Sprintf("%s of %s by %s", passNames[c.of.pass], sizes(x...), sizes(w...))
	for _, option := range []struct {
		name   string
		values []int
		usual  int
	}{
		{"padding", []int{d.Window.PaddingHeight, d.Window.PaddingWidth}, 0},
		{"stride", []int{d.Window.StrideHeight, d.Window.StrideWidth}, 1},
		{"dilation", []int{d.DilationHeight, d.DilationWidth}, 1},
		{"groups", []int{d.Groups}, 1},
	} {
		if slices.ContainsFunc(option.values, func(v int) bool { return v != option.usual }) {
			c.label += fmt.Sprintf(", %s %s", option.name, sizes(option.values...))
		}
	}
	return c
}

// name is cuDNN's of an algorithm of the pass.
func (c *legacyConvolution) name(a algorithm) string {
	if names := algorithmNames[c.of.pass]; a.number >= 0 && int(a.number) < len(names) {
		return names[a.number]
	}
	return fmt.Sprintf("algorithm %d", int(a.number))
}

// named is the algorithm of a name and a math type's.
func (c *legacyConvolution) named(name, math string) (a algorithm, ok bool) {
	place := slices.Index(algorithmNames[c.of.pass], name)
	for number, known := range mathNames {
		if known == math && place >= 0 {
			return algorithm{C.int(place), number}, true
		}
	}
	return a, false
}

// mathOf is the math type of products in that arithmetic, as setMath has it.
func mathOf(in arithmetic) C.int {
	if in == tf32 {
		return C.CUDNN_DEFAULT_MATH
	}
	return C.CUDNN_FMA_MATH
}

// workspace is how many bytes an algorithm needs; the error says if it is not supported.
func (c *legacyConvolution) workspace(a algorithm) (int64, error) {
	var bytes C.size_t
	call := [...]string{"cudnnGetConvolutionForwardWorkspaceSize",
		"cudnnGetConvolutionBackwardFilterWorkspaceSize", "cudnnGetConvolutionBackwardDataWorkspaceSize"}
	err := dnnCall(call[c.of.pass], C.slipway_dnn_workspace(c.of, a.number, &bytes))
	return int64(bytes), err
}

// setMath has the convolution computed in a math type.
func (c *legacyConvolution) setMath(math C.int) error {
	return dnnCall("cudnnSetConvolutionMathType", C.slipway_dnn_set_math_type(c.of.convolution, math))
}

// suggested are the algorithms as cuDNN's heuristics order them, by a rule that is the same each
// time.
func (c *legacyConvolution) suggested() ([]foundAlgorithm, error) {
	found := make([]C.slipway_found, C.SLIPWAY_MOST_FOUND)
	var count C.int
	err := dnnCall("cudnnGetConvolution…Algorithm_v7",
		C.slipway_dnn_suggest(c.of, &found[0], &count))
	return foundAlgorithms(found[:count]), err
}

// mostSearched is the largest workspace that a search gives algorithms to be tried with.
const mostSearched = 1 << 30

// measured are the algorithms as cuDNN has just measured them, the fastest first. It overwrites
// what the pass writes.
func (c *legacyConvolution) measured(memory pool) (all []foundAlgorithm, err error) {
	var bytes int64
	for number := range algorithmNames[c.of.pass] {
		needed, err := c.workspace(algorithm{number: C.int(number)})
		if err == nil && needed <= mostSearched { // what is not supported needs none
			bytes = max(bytes, needed)
		}
	}
	workspace, err := memory.allocate("the workspace of a search for algorithms", bytes)
	if err != nil {
		return nil, err
	}
	found := make([]C.slipway_found, C.SLIPWAY_MOST_FOUND)
	var count C.int
	at := func(b *buffer) C.slipway_address { return C.slipway_address(b.address) }
	err = dnnCall("cudnnFindConvolution…AlgorithmEx", C.slipway_dnn_find(c.of, at(c.x), at(c.w), at(c.y),
		at(workspace), C.size_t(bytes), &found[0], &count))
	err = errors.Join(err, waitFor(memory.gpu.stream), memory.free())
	return foundAlgorithms(found[:count]), err
}

func foundAlgorithms(found []C.slipway_found) (all []foundAlgorithm) {
	for _, f := range found {
		all = append(all, foundAlgorithm{
			algorithm: algorithm{f.algorithm, f.math}, status: f.status,
			microseconds: 1000 * float64(f.milliseconds), memory: int64(f.memory),
			deterministic: f.deterministic != 0,
		})
	}
	return all
}

// serves reports whether a run can be repeated bit for bit with an algorithm, in the arithmetic of
// its products. TF32 is permitted, not forced: without it, too. What converts to less than that is
// not.
func (f foundAlgorithm) serves(products arithmetic) bool {
	permitted := f.math == C.CUDNN_FMA_MATH ||
		products == tf32 && (f.math == C.CUDNN_DEFAULT_MATH || f.math == C.CUDNN_TENSOR_OP_MATH)
	return f.status == C.CUDNN_STATUS_SUCCESS && f.deterministic && permitted
}

// told says what cuDNN has measured.
func (c *legacyConvolution) told(f foundAlgorithm) string {
	if f.status != C.CUDNN_STATUS_SUCCESS {
		return fmt.Sprintf("%s %s: %s", c.name(f.algorithm), mathNames[f.math],
			C.GoString(C.cudnnGetErrorString(C.cudnnStatus_t(f.status))))
	}
	order := "in a fixed order"
	if !f.deterministic {
		order = "in any order"
	}
	return fmt.Sprintf("%s %s %.2f µs, %d bytes, %s", c.name(f.algorithm), mathNames[f.math],
		f.microseconds, f.memory, order)
}

// inAnyOrder reports whether cuDNN documents an algorithm as one that adds up in any order.
func (c *legacyConvolution) inAnyOrder(a algorithm) bool {
	switch c.of.pass {
	case C.SLIPWAY_FILTER:
		return a.number == C.CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0 ||
			a.number == C.CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3
	case C.SLIPWAY_DATA:
		return a.number == C.CUDNN_CONVOLUTION_BWD_DATA_ALGO_0
	}
	return false
}
