package onnx

import (
	"slipway/internal/onnxgraph"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// uncounted are operators with multiplications that multiplyAdds does not count.
var uncounted = map[string]bool{
	"Attention": true, "DFT": true, "Einsum": true, "FlexAttention": true, "GRU": true, "If": true,
	"LSTM":            true,
	"LinearAttention": true, "Loop": true, "RNN": true, "STFT": true, "Scan": true, "DeformConv": true,
}

// lookups are operators of other domains than ONNX's own that multiply nothing.
var lookups = map[string]bool{
	"ai.onnx.ml.ArrayFeatureExtractor": true, "ai.onnx.ml.CastMap": true,
	"ai.onnx.ml.LabelEncoder": true, "ai.onnx.ml.ZipMap": true,
}

// multiplyAdds counts a node's multiplications with an addition, as Report
// defines them. known is false where the count is a lower bound.
func multiplyAdds(node *onnxpb.NodeProto, line NodeReport) (count int64, known bool) {
	switch line.Operator {
	case "Conv", "ConvInteger":
		return perElement(line.output(), line.input(1), 1)
	case "QLinearConv":
		return perElement(line.output(), line.input(3), 1)
	case "ConvTranspose":
		// Each input element is multiplied by the kernels of all output channels of its group.
		return perElement(line.input(0), line.input(1), 1)
	case "Gemm":
		inner := 0
		if message.Attribute(node, "transB").GetI() != 0 {
			inner = 1
		}
		return matrixProduct(line.output(), line.input(1), inner)
	case "MatMul", "MatMulInteger":
		b := line.input(1)
		return matrixProduct(line.output(), b, max(0, len(b.Dims)-2))
	case "QLinearMatMul":
		b := line.input(3)
		return matrixProduct(line.output(), b, max(0, len(b.Dims)-2))
	}
	foreign := onnxgraph.Domain(node.GetDomain()) != ""
	return 0, (!foreign || lookups[line.Operator]) && !uncounted[line.Operator]
}

func (n NodeReport) input(i int) Value {
	if i < len(n.Inputs) {
		return n.Inputs[i]
	}
	return Value{}
}

func (n NodeReport) output() Value {
	if len(n.Outputs) > 0 {
		return n.Outputs[0]
	}
	return Value{}
}

// perElement counts the dimensions of weight from the one given on, for each
// element of value.
func perElement(value, weight Value, from int) (count int64, known bool) {
	if !weight.HasShape || len(weight.Dims) < from {
		return 0, false
	}
	elements, known := elementCount(value)
	return multiplyDims(elements, weight.Dims[from:], known)
}

// matrixProduct counts the product of b, whose dimension inner is summed over.
// Where the output is not known it is taken for one row.
func matrixProduct(output, b Value, inner int) (count int64, known bool) {
	if !b.HasShape || len(b.Dims) <= inner {
		return 0, false
	}
	if !output.HasShape {
		count, _ := multiplyDims(1, b.Dims, false)
		return count, false
	}
	elements, known := elementCount(output)
	return multiplyDims(elements, b.Dims[inner:inner+1], known)
}

// elementCount counts a value's elements with a free first dimension, the batch,
// as 1. known is false if another one is free.
func elementCount(value Value) (count int64, known bool) {
	if !value.HasShape {
		return 0, false
	}
	if len(value.Dims) > 0 && !value.Dims[0].Known() {
		return multiplyDims(1, value.Dims[1:], true)
	}
	return multiplyDims(1, value.Dims, true)
}

func multiplyDims(count int64, dims []Dim, known bool) (int64, bool) {
	for _, dim := range dims {
		if !dim.Known() {
			known = false
			continue
		}
		count = saturatingMultiply(count, dim.Size)
	}
	return count, known
}

const saturated = int64(1) << 62

func saturatingAdd(a, b int64) int64 { return min(saturated, a+b) }

func saturatingMultiply(a, b int64) int64 {
	if b > 0 && a > saturated/b {
		return saturated
	}
	return a * b
}
