package ops

import (
	"math"

	"gorgonia.org/tensor"

	"slipway/internal/hugepages"
)

var nan = float32(math.NaN())

// buffer is the memory of an operator's output: its own, made when it is first asked for, or
// what PlanMemory gave it.
type buffer struct {
	shape  tensor.Shape
	values []float32
	dense  *tensor.Dense
}

func newBuffer(shape ...int) *buffer { return &buffer{shape: tensor.Shape(shape).Clone()} }

// elements returns the number of values.
func (b *buffer) elements() int { return b.shape.TotalSize() }

// data returns the values.
func (b *buffer) data() []float32 {
	if b.values == nil {
		b.place(hugepages.Floats(b.elements()))
	}
	return b.values
}

// value returns the tensor of the values, the same at every step.
func (b *buffer) value() *tensor.Dense {
	b.data()
	return b.dense
}

// place gives the buffer its memory.
func (b *buffer) place(values []float32) {
	b.values = values
	b.dense = tensor.New(tensor.WithShape(b.shape...), tensor.WithBacking(values))
}
