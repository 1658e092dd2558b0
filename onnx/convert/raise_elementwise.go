package convert

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"slipway/builder"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// decimal is the number of the fewest digits that a float32 is nearest to: the one
// that was written, 0.1 rather than 0.10000000149.
func decimal(x float32) float64 {
	value, err := strconv.ParseFloat(strconv.FormatFloat(float64(x), 'g', -1, 32), 64)
	if err != nil {
		return float64(x)
	}
	return value
}

// near compares a number of a graph, float32 or computed of some, with the one that
// a formula has.
func near(x, want float64) bool { return math.Abs(x-want) <= 2e-6*math.Max(1, math.Abs(want)) }

// single takes the operator that a layer reads itself from.
func single(importer builder.Importer) raiser {
	return func(r *raising, node *onnxpb.NodeProto) (operand, error) {
		v, err := r.data(node, 0, false)
		if err != nil {
			return operand{}, err
		}
		layer, err := importer.Import(r.call(node))
		if err != nil {
			return operand{}, err
		}
		return r.same(v, item{layer: layer})
	}
}

// operation is an operator of one input that is a layer only together with others.
func (r *raising) operation(node *onnxpb.NodeProto) (operand, error) {
	v, err := r.data(node, 0, false)
	if err != nil {
		return operand{}, err
	}
	return r.same(v, item{operation: node.GetOpType()})
}

func (r *raising) pow(node *onnxpb.NodeProto) (operand, error) {
	v, err := r.data(node, 0, false)
	if err != nil {
		return operand{}, err
	}
	exponent, err := r.scalar(node, 1, 0)
	if err != nil {
		return operand{}, err
	}
	return r.same(v, item{operation: "Pow", numbers: []float64{exponent}})
}

// scalar is an input that must be a constant of one number, otherwise where it is left out.
func (r *raising) scalar(node *onnxpb.NodeProto, i int, otherwise float64) (float64, error) {
	if message.Input(node, i) == "" {
		return otherwise, nil
	}
	if value := r.values[message.Input(node, i)]; value.sizes != nil || value.tensor != nil &&
		r.isSizes(message.Input(node, i)) {
		whole, err := r.constantSizes(node, i, nil) // an exponent may be an integer
		if err != nil || len(whole) != 1 {
			return 0, fmt.Errorf("its input %d is no number", i)
		}
		return float64(whole[0]), nil
	}
	constant, err := r.constantInput(node, i)
	if err != nil {
		return 0, err
	}
	if len(constant.data) != 1 {
		return 0, fmt.Errorf("its input %d has %d values; one number is needed",
			i, len(constant.data))
	}
	return float64(constant.data[0]), nil
}

// clip is Clip, and Min and Max with a constant. What it leaves of a Relu or another
// one before it is one.
func (r *raising) clip(node *onnxpb.NodeProto) (operand, error) {
	low, high := math.Inf(-1), math.Inf(1)
	data := 0
	var err error
	switch operator := node.GetOpType(); operator {
	case "Clip":
		if attribute := message.Attribute(node, "min"); attribute != nil { // before opset 11
			low = float64(attribute.GetF())
		}
		if attribute := message.Attribute(node, "max"); attribute != nil {
			high = float64(attribute.GetF())
		}
		if low, err = r.scalar(node, 1, low); err != nil {
			return operand{}, err
		}
		if high, err = r.scalar(node, 2, high); err != nil {
			return operand{}, err
		}
	default:
		if len(node.GetInput()) != 2 {
			return operand{}, fmt.Errorf("it has %d inputs; the data and one number are needed",
				len(node.GetInput()))
		}
		constant := 1
		if r.values[message.Input(node, 0)].view == nil {
			data, constant = 1, 0
		}
		if r.values[message.Input(node, constant)].view != nil {
			return operand{}, errors.New("it compares two values that are both computed; a " +
				"network has no layer that does")
		}
		bound, err := r.scalar(node, constant, 0)
		if err != nil {
			return operand{}, err
		}
		if operator == "Min" {
			high = bound
		} else {
			low = bound
		}
	}
	v, err := r.data(node, data, false)
	if err != nil {
		return operand{}, err
	}
	if v.of >= 0 && !r.own {
		switch before := r.items[v.of]; {
		case before.operation == "Clip" && low <= before.numbers[1] && high >= before.numbers[0]:
			low, high = max(low, before.numbers[0]), min(high, before.numbers[1])
			v = *v.on(before.inputs[0]).view
		case before.isLayer(builder.ReLU{}) && high > 0:
			low = max(low, 0)
			v = *v.on(before.inputs[0]).view
		}
	}
	switch {
	case low == 0 && high == 6:
		return r.same(v, item{layer: builder.ReLU6{}})
	case low == 0 && math.IsInf(high, 1):
		return r.same(v, item{layer: builder.ReLU{}})
	}
	return r.same(v, item{operation: "Clip", numbers: []float64{low, high}})
}

// prelu is PRelu with one slope, or one for each channel.
func (r *raising) prelu(node *onnxpb.NodeProto) (operand, error) {
	v, err := r.data(node, 0, false)
	if err != nil {
		return operand{}, err
	}
	slopes, err := r.constantInput(node, 1)
	if err != nil {
		return operand{}, err
	}
	names := r.weightNames(slopes.name, "weight")
	if len(slopes.data) == 1 && (r.shapeOf(v.of)[0] > 1 || len(slopes.dims) < 2) {
		shared := builder.PReLU{Shared: true}
		return r.same(v, item{layer: shared, names: names, tensors: [][]float32{slopes.data}})
	}
	values, err := r.perChannel(v, slopes)
	if err != nil {
		return operand{}, fmt.Errorf("its input 1: %w", err)
	}
	tensors := [][]float32{float32sOf(values)}
	return r.same(v, item{layer: builder.PReLU{}, names: names, tensors: tensors})
}

func float32sOf(values []float64) []float32 {
	narrow := make([]float32, len(values))
	for i, value := range values {
		narrow[i] = float32(value)
	}
	return narrow
}
