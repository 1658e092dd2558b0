package ops

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"unsafe"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
)

// operator implements gorgonia.Op and gorgonia.SDOp for one place in one graph.
type operator struct {
	name   string
	inputs []hm.Type
	output hm.Type
	shape  tensor.Shape
	// description is what Describe returns; of kind 0 if there is none.
	description Description
	// run computes the output. It may return the same Value at every step.
	run func(inputs []gorgonia.Value) (gorgonia.Value, error)
	// gradient adds the nodes of the gradient with respect to each wanted input, nil
	// where there is none. A nil gradient means that the operator has none.
	gradient func(inputs gorgonia.Nodes, output, grad *gorgonia.Node, wanted []bool) (gorgonia.Nodes,
		error)
	// differentiable says of each input whether it has a gradient at all.
	differentiable []bool
	// nodes are the inputs, as Differentiate and PlanMemory see them.
	nodes gorgonia.Nodes
	// result is the memory of the output, nil of a scalar and of what lies in an input's memory:
	// that of input inside, unless inside is -1.
	result *buffer
	// others is memory that is written beside the output, and read through operators whose result
	// it is.
	others []*buffer
	// inside is the input in whose memory the output lies, -1 if it has its own.
	inside int
	// deferred, if not nil, is a normalisation that who reads the output has to compute; takesDeferred
	// says that this operator does so for its inputs.
	deferred      *kernel.BatchNorm
	takesDeferred bool
	// dense, unless nil, computes the output, the gradient of its weights, and can leave it to a
	// tree.
	dense *kernel.Dense
	// shards, unless nil, says how the output is computed of the shards of a batch.
	shards *Shards
	// losses are those of the shards of a batch whose mean loss the output is, unless nil.
	losses []float32
	// measure, unless nil, lets run take the sums of its result for a normalisation of it.
	measure func(*kernel.BatchNorm) error
}

var (
	_ gorgonia.Op   = (*operator)(nil)
	_ gorgonia.SDOp = (*operator)(nil)
)

// apply adds the operator to the graph of its inputs.
func (op *operator) apply(inputs ...*gorgonia.Node) (*gorgonia.Node, error) {
	op.inputs = make([]hm.Type, len(inputs))
	for i, input := range inputs {
		if input == nil {
			return nil, fmt.Errorf("%s: input %d is nil", op.name, i)
		}
		if deferredBy(input) != nil && !op.takesDeferred {
			return nil, fmt.Errorf("%s: input %d is values that are still to be normalised", op.name, i)
		}
		op.inputs[i] = input.Type()
	}
	op.nodes = inputs
	node, err := gorgonia.ApplyOp(op, inputs...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op.name, err)
	}
	return node, nil
}

func (op *operator) Arity() int { return len(op.inputs) }

func (op *operator) Type() hm.Type {
	return hm.NewFnType(append(append([]hm.Type(nil), op.inputs...), op.output)...)
}

func (op *operator) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return op.shape.Clone(), nil
}

func (op *operator) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	if len(inputs) != len(op.inputs) {
		return nil, fmt.Errorf("%s: %d inputs, want %d", op.name, len(inputs), len(op.inputs))
	}
	return op.run(inputs)
}

// UsePreallocDo ignores the preallocated value: the operator has its own.
func (op *operator) UsePreallocDo(_ gorgonia.Value, inputs ...gorgonia.Value) (gorgonia.Value,
	error) {
	return op.Do(inputs...)
}

// ReturnsPtr and CallsExtern are false so that the TapeMachine neither
// preallocates an output nor writes over an input.
func (op *operator) ReturnsPtr() bool     { return false }
func (op *operator) CallsExtern() bool    { return false }
func (op *operator) OverwritesInput() int { return -1 }

func (op *operator) String() string { return op.name }

// WriteHash tells every operator from every other, even of the same kind and
// shape: Gorgonia merges nodes of equal hashes, and these have state.
func (op *operator) WriteHash(h hash.Hash) {
	var identity [8]byte
	binary.LittleEndian.PutUint64(identity[:], uint64(uintptr(unsafe.Pointer(op))))
	h.Write([]byte(op.name))
	h.Write(identity[:])
}

func (op *operator) Hashcode() uint32 {
	h := fnv.New32a()
	op.WriteHash(h)
	return h.Sum32()
}

func (op *operator) DiffWRT(int) []bool {
	if op.gradient == nil {
		return make([]bool, len(op.inputs))
	}
	return op.differentiable
}

func (op *operator) SymDiff(inputs gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes,
	error) {
	if op.gradient == nil {
		return nil, fmt.Errorf("%s has no gradient", op.name)
	}
	return op.gradient(inputs, output, grad, op.differentiable)
}

// tensorType is the Gorgonia type of a float32 tensor of that many dimensions.
func tensorType(dimensions int) hm.Type {
	if dimensions == 0 {
		return tensor.Float32
	}
	return gorgonia.TensorType{Dims: dimensions, Of: tensor.Float32}
}

// float32s returns the values of a contiguous float32 tensor, without a copy.
func float32s(value gorgonia.Value) ([]float32, error) {
	dense, ok := value.(*tensor.Dense)
	if !ok {
		return nil, fmt.Errorf("value is a %T, not a float32 tensor", value)
	}
	if dense.Dtype() != tensor.Float32 || !dense.DataOrder().IsRowMajor() || dense.RequiresIterator() {
		return nil, errors.New("value is not a contiguous, row-major float32 tensor")
	}
	return dense.Float32s(), nil
}

// allFloat32s is float32s of every value, into the caller's slice.
func allFloat32s(into [][]float32, values []gorgonia.Value) error {
	for i, value := range values {
		data, err := float32s(value)
		if err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
		into[i] = data
	}
	return nil
}

// scalar reads a float32 scalar.
func scalar(value gorgonia.Value) (float32, error) {
	switch v := value.(type) {
	case *gorgonia.F32:
		return float32(*v), nil
	case *tensor.Dense:
		if v.Dtype() == tensor.Float32 && v.Shape().TotalSize() == 1 {
			return v.Float32s()[0], nil
		}
	}
	return 0, fmt.Errorf("value is a %T, not a float32 scalar", value)
}
