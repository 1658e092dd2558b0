package main

import (
	"fmt"
	"math"

	"slipway/internal/cuda/trace"
)

// library is what is known of a library's call.
type library struct {
	what       string  // its algorithm, where it has one
	operations float64 // of floating-point arithmetic
	arithmetic span    // µs of them
	kernels    span    // that the call launches
}

// libraryCalls has a rule for each call of cuDNN's, cuBLAS's and the driver's that a step makes.
// What has none stops the prediction: no launch counts as nothing.
var libraryCalls = map[string]func(trace.Launch) (library, error){
	"cudnnBackendExecute":            planned,
	"cudnnConvolutionForward":        convolved("IMPLICIT_PRECOMP_GEMM", span{1, 2}),
	"cudnnConvolutionBackwardFilter": convolved("ALGO_1", span{1, 3}),
	"cudnnConvolutionBackwardData":   convolved("ALGO_1", span{1, 2}),
	"cublasSgemm":                    multiplied,
	"cublasLtMatmul":                 multiplied,
	"cudnnAddTensor":                 eachValue(span{1, 1}),
	"cudnnActivationForward":         eachValue(span{1, 1}),
	"cudnnActivationBackward":        eachValue(span{1, 1}),
	"cudnnPoolingForward":            eachValue(span{1, 1}),
	"cudnnPoolingBackward":           eachValue(span{1, 2}),
	"cudnnConvolutionBackwardBias":   eachValue(span{1, 2}),
	"cuMemcpyDtoDAsync":              eachValue(span{1, 1}),
}

func libraryOf(l trace.Launch) (library, error) {
	rule := libraryCalls[l.Name]
	if rule == nil {
		return library{}, fmt.Errorf("there is no rule for %s (%s): add one to libraryCalls in "+
			"scripts/gpu/predict/library.go", l.Name, l.Node)
	}
	return rule(l)
}

// eachValue is for calls that do one operation, at most, with each value that they read.
func eachValue(kernels span) func(trace.Launch) (library, error) {
	return func(l trace.Launch) (library, error) {
		read, _ := l.Bytes()
		operations := float64(read) / 4
		time := operations / floatRate * 1e6
		return library{operations: operations, arithmetic: span{time, time}, kernels: kernels}, nil
	}
}

// convolved is for a convolution and its gradients: products of matrices, each group by itself.
func convolved(algorithm string, kernels span) func(trace.Launch) (library, error) {
	return func(l trace.Launch) (library, error) {
		c := l.Convolution
		if c == nil {
			return library{}, fmt.Errorf("the simulator did not say which convolution %s (%s) is",
				l.Name, l.Node)
		}
		if c.Algorithm != 1 {
			return library{}, fmt.Errorf(
				"%s is made with algorithm %d: its name and its rule are those of 1",
				l.Name, c.Algorithm)
		}
		return productOf(c, algorithm, kernels), nil
	}
}

// planned is for a convolution by cuDNN's graph API, by whatever engine, with its bias and its
// ReLU: they add one operation or two for each output to some hundred.
func planned(l trace.Launch) (library, error) {
	if l.Convolution == nil {
		return library{}, fmt.Errorf("the simulator did not say which convolution %s (%s) is",
			l.Name, l.Node)
	}
	return productOf(l.Convolution, "graph API", span{1, 2}), nil
}

// productOf is a convolution or one of its gradients as products of matrices.
func productOf(c *trace.Convolution, algorithm string, kernels span) library {
	outputs, taps := c.Images*c.OutHeight*c.OutWidth, c.KernelHeight*c.KernelWidth
	filters, channels := c.Filters/c.Groups, c.Channels/c.Groups
	m, n, depth := outputs, filters, channels*taps
	switch c.Pass {
	case 1:
		m, n, depth = filters, channels*taps, outputs
	case 2:
		m, n, depth = c.Images*c.Height*c.Width, channels, filters*taps
	}
	each := 2 * float64(filters) * float64(channels*taps)
	operations := float64(outputs) * each * float64(c.Groups)
	return library{what: algorithm, operations: operations, kernels: kernels,
		arithmetic: productTime(operations, m, n, depth, c.Groups, c.Pass == 1)}
}

func multiplied(l trace.Launch) (library, error) {
	p := l.Product
	if p == nil {
		return library{}, fmt.Errorf("the simulator did not say which product %s (%s) is", l.Name, l.Node)
	}
	operations := 2 * float64(p.Rows) * float64(p.Columns) * float64(p.Inner)
	return library{operations: operations, kernels: span{1, 2},
		arithmetic: productTime(operations, p.Rows, p.Columns, p.Inner, 1, false)}, nil
}

// productTime returns the µs of products of matrices with m×n outputs that are sums of so many
// products. At best all multiprocessors work all the time; at worst each block computes one tile,
// a share of the tiles is padding, and few multiprocessors have one.
func productTime(operations float64, m, n, depth, groups int, divided bool) span {
	tiles := math.Ceil(float64(m)/tileRows) * math.Ceil(float64(n)/tileColumns) * float64(groups)
	each := 2 * float64(tileRows*tileColumns) * float64(depth)
	if divided && tiles < leastDivided {
		each *= tiles / leastDivided
		tiles = leastDivided
	}
	rate := floatRate / multiprocessors * libraryShare.low
	low := operations / (floatRate * libraryShare.high) * 1e6
	return span{low, max(low, math.Ceil(tiles/multiprocessors)*each/rate*1e6)}
}
