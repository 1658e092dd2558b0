package infer

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"slipway/infer/port"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

const (
	// probedImages of a set's first batch are asked about alone, too.
	probedImages = 3
	// probedTolerance is how far, as a fraction of the scores' range, an image's answers
	// alone and in a batch may be apart by rounding. A runtime may sum in another order
	// in a batch: that moves float32 by 1e-6, and a graph of float16 or int8 by a few
	// steps of 2⁻¹¹ or 2⁻⁸. Where a node mixes the images, it is of the scores' own size.
	probedTolerance = 1.0 / 64
)

// probeBatching asks about the first images of a batch alone and says, for a note, how
// far their answers depend on the images beside them; "" where they do not.
func probeBatching(ctx context.Context, runtime Runtime, batch Batch, together Logits) (note string,
	err error) {
	if batch.N < 2 || together.N != batch.N {
		return "", nil
	}
	limit := probedTolerance * valueRange(together.Values)
	probed, parted, farthest := min(probedImages, batch.N), 0, 0.0
	for i := range probed {
		alone, err := runtime.Run(ctx, batch.Slice(i, i+1))
		if ctx.Err() != nil {
			return "", port.Ended(ctx)
		}
		if err != nil {
			return fmt.Sprintf(
				"whether answers depend on how images are batched could not be tried: a batch of %d is answered, a single image is not (%v)",
				batch.N, err), nil
		}
		if alone.N != 1 || alone.K != together.K {
			return "", fmt.Errorf(
				"%s answers %d scores of an image alone and %d in a batch of %d: give -batch 1",
				runtime.Info().Runtime, alone.K, together.K, batch.N)
		}
		if d := apart(alone.Values, together.Row(i)); d > limit {
			parted++
			farthest = max(farthest, d)
		}
	}
	// A single step of a quantised graph may fall on the other side once.
	if 2*parted < probed {
		return "", nil
	}
	again, err := runtime.Run(ctx, batch)
	if err != nil {
		return "", err
	}
	if apart(again.Values, together.Values) > limit {
		return "THE MODEL ANSWERS THE SAME IMAGES OTHERWISE WHEN IT IS ASKED AGAIN: it has nodes of chance, or that change with each run, such as Dropout " +
			"and BatchNormalization in training mode; export it for inference", nil
	}
	note = fmt.Sprintf(
		"THE ANSWERS DEPEND ON HOW IMAGES ARE BATCHED: of the first %d images, %d have other scores alone than in a batch of %d, up to %.3g apart "+
			"(the scores' range is %.3g); -batch 1 asks about each image alone", probed, parted, batch.N,
		farthest, valueRange(together.Values))
	if m, ok := runtime.(interface{ graph() *onnx.Model }); ok {
		if nodes := mixingNodes(m.graph()); len(nodes) > 0 {
			note += ". The reason may be " + strings.Join(nodes, ", ")
		}
	}
	return note, nil
}

// apart is the largest difference of two rows, +Inf where only one is NaN.
func apart(a, b []float32) float64 {
	farthest := 0.0
	for i, v := range a {
		if v != v && b[i] != b[i] {
			continue
		}
		farthest = max(farthest, difference(v, b[i]))
	}
	return farthest
}

// explainBatch adds to the error of a batch what can be done about it: images that are
// answered alone, or in batches of another size, are refused for the number of them.
func explainBatch(ctx context.Context, runtime Runtime, batch Batch, before int, err error) error {
	if ctx.Err() != nil || batch.N == before {
		return err
	}
	if before > 0 {
		return fmt.Errorf(
			"%w; batches of %d images were answered before, so the graph fixes their number inside: give a -batch that divides the number of images",
			err, before)
	}
	if batch.N == 1 {
		return err
	}
	if _, alone := runtime.Run(ctx, batch.Slice(0, 1)); alone != nil {
		return err
	}
	return fmt.Errorf(
		"%w; a single image is answered, so the graph fixes inside that it takes one at a time: give -batch 1",
		err)
}

// mixingNodes describes the nodes of the main graph that may compute with several
// images at once, the first few of many.
func mixingNodes(model *onnx.Model) []string {
	const most = 3
	var found []string
	for i, node := range onnx.Inspect(model).Nodes {
		if mixes(model.Proto.GetGraph().GetNode()[i], node, model) && len(found) < most {
			found = append(found, fmt.Sprintf("%s %q", node.Operator, node.Name))
		}
	}
	return found
}

func mixes(node *onnxpb.NodeProto, report onnx.NodeReport, model *onnx.Model) bool {
	// What is no float is a shape or an index as a rule.
	if len(report.Outputs) == 0 ||
		!slices.Contains(append(port.ScoreTypes(), onnxpb.TensorProto_UNDEFINED),
			report.Outputs[0].Type) {
		return false
	}
	switch operator := report.Operator; {
	case operator == "BatchNormalization":
		return port.Trains(node, model)
	case operator == "LpNormalization", operator == "Softmax", operator == "LogSoftmax",
		operator == "Hardmax":
		axis := onnx.Integers(node, "axis")
		return len(axis) == 1 && (axis[0] == 0 || len(report.Inputs) > 0 && report.Inputs[0].HasShape &&
			axis[0] == -int64(len(report.Inputs[0].Dims)))
	case operator == "MeanVarianceNormalization":
		axes := onnx.Integers(node, "axes")
		return len(axes) == 0 || slices.Contains(axes, 0)
	case strings.HasPrefix(operator, "Reduce"):
		axes := onnx.Integers(node, "axes")
		if len(node.GetInput()) > 1 {
			if tensor, ok := model.Initializer(node.GetInput()[1]); ok {
				if axes, ok = int64s(tensor); !ok {
					return false
				}
			}
		}
		return len(axes) == 0 && len(onnx.Integers(node, "noop_with_empty_axes")) == 0 ||
			slices.Contains(axes, 0)
	case operator == "DynamicQuantizeLinear":
		return true
	case operator == "Reshape":
		// A first size of 0 keeps the batch, and −1 takes what is left: both may be meant.
		if len(node.GetInput()) > 1 {
			if tensor, ok := model.Initializer(node.GetInput()[1]); ok {
				shape, ok := int64s(tensor)
				return ok && len(shape) > 0 && shape[0] > 0
			}
		}
	}
	return false
}

// int64s returns the numbers of a tensor of int64.
func int64s(tensor *onnxpb.TensorProto) ([]int64, bool) {
	if onnxpb.TensorProto_DataType(tensor.GetDataType()) != onnxpb.TensorProto_INT64 {
		return nil, false
	}
	if len(tensor.GetRawData()) == 0 {
		return tensor.GetInt64Data(), true
	}
	values := make([]int64, len(tensor.GetRawData())/8)
	for i := range values {
		values[i] = int64(binary.LittleEndian.Uint64(tensor.GetRawData()[8*i:]))
	}
	return values, true
}
