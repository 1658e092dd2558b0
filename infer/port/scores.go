package port

import (
	"fmt"
	"slices"
	"sync/atomic"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// ScorePort is a model's score output and how it is read.
type ScorePort struct {
	Output     string
	OutputType onnxpb.TensorProto_DataType // one of scoreTypes
	// OutputDims are what the model or shape inference says, N first; nil where neither
	// says anything.
	OutputDims []int
	// single is how a single score an image is read, and readSingle whether one was.
	single     singleScore
	readSingle *atomic.Bool
}

// ScoreTypes are the element types that scores may have; all become float32.
func ScoreTypes() []onnxpb.TensorProto_DataType {
	return []onnxpb.TensorProto_DataType{onnxpb.TensorProto_FLOAT, onnxpb.TensorProto_FLOAT16,
		onnxpb.TensorProto_DOUBLE}
}

// scoreForm is what an output can be by its type and its shape.
type scoreForm int

const (
	noScores   scoreForm = iota
	oneScore             // N or N×1: one score an image
	manyScores           // N×K, or a shape that is not known
)

// findScores chooses the score Output: the one named, or the only one that can be it.
func findScores(model *onnx.Model, name string) (ScorePort, error) {
	outputs := model.Proto.GetGraph().GetOutput()
	chosen, err := chooseScores(outputs, name)
	if err != nil {
		return ScorePort{}, err
	}
	p := ScorePort{
		Output:     chosen.GetName(),
		OutputType: onnxpb.TensorProto_DataType(chosen.GetType().GetTensorType().GetElemType()),
		single:     singleScoreOf(model.Proto.GetGraph(), chosen.GetName()),
		readSingle: new(atomic.Bool),
	}
	if chosen.GetType().GetTensorType().GetShape() != nil {
		p.OutputDims = dims(chosen)
	}
	if p.OutputDims == nil || slices.Contains(p.OutputDims[min(1, len(p.OutputDims)):], Unknown) {
		if inferred, ok := inferredDims(model, p.Output); ok {
			p.OutputDims = inferred
		}
	}
	// A vector can also be the scores of the only image of a fixed batch.
	isVector := len(p.OutputDims) == 1 && p.OutputDims[0] != Unknown
	p.readSingle.Store(!isVector && formOf(p.OutputDims) == oneScore)
	return p, nil
}

func chooseScores(outputs []*onnxpb.ValueInfoProto, name string) (*onnxpb.ValueInfoProto, error) {
	if name != "" {
		i := slices.IndexFunc(outputs, func(o *onnxpb.ValueInfoProto) bool { return o.GetName() == name })
		if i < 0 {
			return nil, fmt.Errorf("the model has no output %q, its outputs are%s", name,
				describeAll(outputs))
		}
		if scoresOf(outputs[i]) == noScores {
			return nil, fmt.Errorf(
				"output %s cannot be the scores: a tensor N×K, or N×1 for two classes, of float32, float16 or float64 is wanted",
				describe(outputs[i]))
		}
		return outputs[i], nil
	}
	// A single score is taken where there is nothing better.
	for _, form := range []scoreForm{manyScores, oneScore} {
		var scores []*onnxpb.ValueInfoProto
		for _, output := range outputs {
			if scoresOf(output) == form {
				scores = append(scores, output)
			}
		}
		switch len(scores) {
		case 0:
		case 1:
			return scores[0], nil
		default:
			return nil, fmt.Errorf(
				"the model has %d outputs that could be the scores: choose one with -output:%s", len(scores),
				describeAll(scores))
		}
	}
	for _, output := range outputs {
		if output.GetType().GetSequenceType() != nil || output.GetType().GetMapType() != nil {
			return nil, fmt.Errorf(
				"output %s is not a tensor and is not supported: export a scikit-learn model with "+
					"convert_sklearn(…, options={id(model): {'zipmap': False}}), which gives the probabilities as a tensor",
				describe(output))
		}
	}
	return nil, fmt.Errorf(
		"the model has no score output, a tensor N×K, or N×1 for two classes, of float32, float16 or float64; its outputs are%s",
		describeAll(outputs))
}

// scoresOf says what scores a value can be. The shape may be missing.
func scoresOf(value *onnxpb.ValueInfoProto) scoreForm {
	tensor := value.GetType().GetTensorType()
	if tensor == nil ||
		!slices.Contains(ScoreTypes(), onnxpb.TensorProto_DataType(tensor.GetElemType())) {
		return noScores
	}
	if tensor.GetShape() == nil {
		return manyScores
	}
	return formOf(dims(value))
}

// formOf says what scores a tensor of that shape can be: K may be followed by 1s.
func formOf(shape []int) scoreForm {
	if len(shape) == 0 {
		return noScores
	}
	for _, d := range shape[min(2, len(shape)):] {
		if d != 1 && d != Unknown {
			return noScores
		}
	}
	if len(shape) == 1 || shape[1] == 1 {
		return oneScore
	}
	return manyScores
}

// inferredDims is the shape of an output as inference knows it.
func inferredDims(model *onnx.Model, name string) ([]int, bool) {
	for _, node := range onnx.Inspect(model).Nodes {
		for _, output := range node.Outputs {
			if output.Name != name || !output.HasShape {
				continue
			}
			shape := make([]int, len(output.Dims))
			for i, dim := range output.Dims {
				shape[i] = Unknown
				if dim.Known() && dim.Size > 0 && dim.Size <= 1<<31-1 {
					shape[i] = int(dim.Size)
				}
			}
			return shape, true
		}
	}
	return nil, false
}

// Logits reads an output's values, row-major and of that shape, as the scores of n
// images, N×K. One score an image becomes two, see singleScore.
func (p ScorePort) Logits(values []float32, shape []int, n int) (Logits, error) {
	return p.LogitsInto(new([]float32), values, shape, n)
}

// LogitsInto is Logits with memory for two scores of each image, which grows where it is too
// small.
func (p ScorePort) LogitsInto(memory *[]float32, values []float32, shape []int, n int) (Logits,
	error) {
	switch {
	case len(values) == n && (len(shape) == 1 || len(shape) == 0 || shape[0] == n):
		p.readSingle.Store(true)
		*memory = atLeast(*memory, 2*n)
		return p.single.logits(*memory, values), nil
	case n == 1 && len(shape) == 1:
		return Logits{N: n, K: len(values), Values: values}, nil
	case len(shape) < 2 || shape[0] != n || len(values) != n*shape[1]:
		return Logits{}, fmt.Errorf("output %q has shape %v for %d images: N×K is wanted", p.Output,
			shape, n)
	}
	return Logits{N: n, K: shape[1], Values: values}, nil
}

// Tell adds to a runtime's notes how a single score is read, where there is one.
func (p ScorePort) Tell(info Info) Info {
	if p.readSingle.Load() {
		info.Notes = append(slices.Clip(info.Notes), p.single.note(p.Output))
	}
	return info
}

// Classes returns the number of scores of an image, 0 where the model does not say. A single
// score is of two classes.
func (p ScorePort) Classes() int {
	switch formOf(p.OutputDims) {
	case oneScore:
		return 2
	case manyScores:
		if p.OutputDims[1] != Unknown {
			return p.OutputDims[1]
		}
	}
	return 0
}
