package bisect

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// A ContentDifference is one thing in a node itself that the two models say
// differently: an attribute's value, the contents of a constant input, its operator,
// where an input comes from, or that it is there at all.
type ContentDifference struct {
	// Kind is "attribute", "initializer", "operator", "wiring", or, of a node in one
	// graph alone, "inserted" (in B) or "removed" (from B).
	Kind string
	// Name of the attribute, of the initializer in A, or of the input.
	Name string
	// A and B are the values of an attribute, the type and shape of an
	// initializer, the operators, or what makes the input; "absent" where there is none.
	A, B string
	// Changed counts the values of an initializer that differ, of Values in all.
	Changed, Values int
	// Index is where the largest difference is, ValueA and ValueB what is there;
	// Index is nil where the values cannot be set against each other one by one.
	Index          []int
	ValueA, ValueB float64
}

// String says the difference for a reader.
func (d ContentDifference) String() string {
	switch d.Kind {
	case "attribute":
		return fmt.Sprintf("attribute %s: %s in A, %s in B", d.Name, d.A, d.B)
	case "operator":
		return fmt.Sprintf("operator: %s in A, %s in B", d.A, d.B)
	case "wiring":
		return fmt.Sprintf("%s comes from %s in A, from %s in B", d.Name, d.A, d.B)
	case "inserted":
		return "it is in B alone"
	case "removed":
		return "it is in A alone"
	}
	text := fmt.Sprintf("initializer %s", d.Name)
	if d.A != d.B {
		text += fmt.Sprintf(": %s in A, %s in B", d.A, d.B)
	} else {
		text += " " + d.A
	}
	if d.Changed > 0 {
		text += fmt.Sprintf(": %d of %d values differ", d.Changed, d.Values)
	}
	if d.Index != nil {
		text += fmt.Sprintf(", most at %v: %s in A, %s in B", d.Index, number(d.ValueA), number(d.ValueB))
	}
	return text
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 32) }

const absent = "absent"

// contents compares what two matched nodes hold in themselves.
func contents(a, b *graph, p pair) []ContentDifference {
	differences := attributes(a.nodes[p.a], b.nodes[p.b])
	inputsA, inputsB := a.nodes[p.a].GetInput(), b.nodes[p.b].GetInput()
	for i := range min(len(inputsA), len(inputsB)) {
		ta, tb := a.constant(inputsA[i]), b.constant(inputsB[i])
		if ta == nil || tb == nil {
			continue // the structure says that one is there alone
		}
		if d, differ := tensors(ta, tb); differ {
			d.Kind, d.Name = "initializer", inputsA[i]
			differences = append(differences, d)
		}
	}
	return differences
}

func attributes(a, b *onnxpb.NodeProto) (differences []ContentDifference) {
	inB := make(map[string]*onnxpb.AttributeProto)
	for _, attribute := range b.GetAttribute() {
		inB[attribute.GetName()] = attribute
	}
	inA := make(map[string]bool)
	for _, attribute := range a.GetAttribute() {
		name := attribute.GetName()
		inA[name] = true
		other := inB[name]
		if other != nil && sameAttribute(attribute, other) {
			continue
		}
		d := ContentDifference{Kind: "attribute", Name: name, A: attributeText(attribute), B: absent}
		if other != nil {
			d.B = attributeText(other)
		}
		differences = append(differences, d)
	}
	for _, attribute := range b.GetAttribute() {
		if !inA[attribute.GetName()] {
			differences = append(differences, ContentDifference{Kind: "attribute", Name: attribute.GetName(),
				A: absent, B: attributeText(attribute)})
		}
	}
	return differences
}

func sameAttribute(a, b *onnxpb.AttributeProto) bool {
	x, y := proto.CloneOf(a), proto.CloneOf(b)
	x.DocString, y.DocString = nil, nil
	return proto.Equal(x, y)
}

func attributeText(a *onnxpb.AttributeProto) string {
	switch a.GetType() {
	case onnxpb.AttributeProto_INT:
		return fmt.Sprint(a.GetI())
	case onnxpb.AttributeProto_INTS:
		return fmt.Sprint(a.GetInts())
	case onnxpb.AttributeProto_FLOAT:
		return fmt.Sprint(a.GetF())
	case onnxpb.AttributeProto_FLOATS:
		return fmt.Sprint(a.GetFloats())
	case onnxpb.AttributeProto_STRING:
		return fmt.Sprintf("%q", a.GetS())
	case onnxpb.AttributeProto_TENSOR:
		return "a tensor " + shapeText(a.GetT())
	}
	return fmt.Sprintf("a value of type %v", a.GetType())
}

func shapeText(t *onnxpb.TensorProto) string {
	return fmt.Sprintf("%v %v", onnxpb.TensorProto_DataType(t.GetDataType()), t.GetDims())
}

// tensors compares two tensors by what they hold, however it is stored.
func tensors(a, b *onnxpb.TensorProto) (d ContentDifference, differ bool) {
	d.A, d.B = shapeText(a), shapeText(b)
	valuesA, okA := values64(a)
	valuesB, okB := values64(b)
	if !okA || !okB || len(valuesA) != len(valuesB) {
		if d.A != d.B {
			return d, true
		}
		if !bytes.Equal(a.GetRawData(), b.GetRawData()) || !proto.Equal(withoutName(a), withoutName(b)) {
			d.A, d.B = d.A+" of other contents", d.B+" of other contents"
			return d, true
		}
		return d, false
	}
	d.Values = len(valuesA)
	largest := 0.0
	for i, va := range valuesA {
		vb := valuesB[i]
		if va == vb || va != va && vb != vb {
			continue
		}
		d.Changed++
		diff := math.Abs(va - vb)
		if math.IsNaN(diff) {
			diff = math.Inf(1)
		}
		if diff > largest {
			largest = diff
			d.Index, d.ValueA, d.ValueB = indexOf(i, a.GetDims()), va, vb
		}
	}
	return d, d.Changed > 0 || d.A != d.B
}

func withoutName(t *onnxpb.TensorProto) *onnxpb.TensorProto {
	c := proto.CloneOf(t)
	c.Name, c.DocString = nil, nil
	return c
}

// values64 returns a tensor's numbers as float64, of the types that weights, shapes
// and quantized weights have.
func values64(t *onnxpb.TensorProto) ([]float64, bool) {
	switch onnxpb.TensorProto_DataType(t.GetDataType()) {
	case onnxpb.TensorProto_FLOAT:
		floats, err := onnx.Floats(t)
		return convert(floats), err == nil
	case onnxpb.TensorProto_INT64:
		integers, err := onnx.Int64s(t)
		return convert(integers), err == nil
	case onnxpb.TensorProto_INT8:
		return convertBytes(t, func(b byte) float64 { return float64(int8(b)) })
	case onnxpb.TensorProto_UINT8:
		return convertBytes(t, func(b byte) float64 { return float64(b) })
	}
	return nil, false
}

func convert[T float32 | int64](in []T) []float64 {
	out := make([]float64, len(in))
	for i, v := range in {
		out[i] = float64(v)
	}
	return out
}

// convertBytes converts a tensor of 8-bit integers, in whichever field they are.
func convertBytes(t *onnxpb.TensorProto, number func(byte) float64) ([]float64, bool) {
	var out []float64
	for _, b := range t.GetRawData() {
		out = append(out, number(b))
	}
	for _, v := range t.GetInt32Data() {
		out = append(out, number(byte(v)))
	}
	elements := int64(1)
	for _, dim := range t.GetDims() {
		elements *= dim
	}
	return out, int64(len(out)) == elements
}

// indexOf turns a position in row-major order into an index of each dimension.
func indexOf[D int | int64](position int, dims []D) []int {
	index := make([]int, len(dims))
	for i, dim := range slices.Backward(dims) {
		if dim > 0 {
			index[i] = position % int(dim)
			position /= int(dim)
		}
	}
	return index
}
