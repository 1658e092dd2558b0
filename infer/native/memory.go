package native

import (
	"errors"
	"fmt"
	"slices"

	"slipway/internal/hugepages"
	"slipway/internal/memoryplan"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// memory is what one or more tensors lie in: a view, such as Flatten's output,
// shares its input's.
type memory struct {
	bytes int
	users int
	// floats is what can be used again, nil where the memory is for the garbage
	// collector.
	floats []float32
	// boxes are the first floats as tensors had them: a slice in an interface is allocated.
	boxes []any
	// place is where it lies in the planned memory, nil where it lies elsewhere.
	place *memoryplan.Life
	// life is what the trace keeps of it.
	life *memoryplan.Life
}

// keptBoxes is for how many sizes of tensors a memory keeps the interface.
const keptBoxes = 32

// data returns the first n floats as a tensor has them.
func (m *memory) data(n int) any {
	for _, box := range m.boxes {
		if len(box.([]float32)) == n {
			return box
		}
	}
	if len(m.boxes) == keptBoxes {
		m.boxes = m.boxes[:0]
	}
	m.boxes = append(m.boxes, m.floats[:n])
	return m.boxes[len(m.boxes)-1]
}

// arena hands out tensors within a limit. Memory of float32 tensors is used
// again, in the same run by later nodes and by later runs: it lies where the plan says, or,
// without one, where something lay before.
type arena struct {
	headers
	limit int // bytes
	used  int // bytes of tensors in use, of free memory, of planned memory and of plans
	free  []*memory

	block []float32 // the planned memory
	place placement
	trace *trace // nil where nobody asks for it

	scratch int // bytes that plans work in one after the other
}

// ErrMemory says that a model needs more than Options.MemoryLimit.
var ErrMemory = errors.New("more than the limit")

// reserve counts bytes that something else allocates.
func (a *arena) reserve(bytes int, what string) error {
	if bytes > a.limit-a.used {
		a.dropFree()
	}
	if bytes < 0 || bytes > a.limit-a.used {
		return fmt.Errorf("%s needs %d MiB, which together with the %d MiB in use is %w of %d MiB",
			what, bytes>>20, a.used>>20, ErrMemory, a.limit>>20)
	}
	a.used += bytes
	return nil
}

// reserveScratch counts bytes that plans work in one after the other: the most that one does.
func (a *arena) reserveScratch(bytes int) error {
	if bytes <= a.scratch {
		return nil
	}
	err := a.reserve(bytes-a.scratch, "what filtered convolutions work in")
	if err == nil {
		a.scratch = bytes
	}
	return err
}

func (a *arena) unreserve(bytes int) { a.used -= bytes }

func (a *arena) dropFree() {
	for _, m := range a.free {
		a.used -= m.bytes
	}
	a.free = nil
}

// tensor returns a tensor whose elements are of no particular value if they are
// float32, and zero otherwise.
func (a *arena) tensor(elementType onnxpb.TensorProto_DataType, shape []int) (*Tensor, error) {
	n, err := countElements(shape)
	if err != nil {
		return nil, err
	}
	t := a.headers.tensor()
	t.Shape = a.shape(shape, nil)
	if elementType == onnxpb.TensorProto_FLOAT {
		if t.memory, err = a.floats(n); err != nil {
			return nil, err
		}
		t.Data = t.memory.data(n)
		return t, nil
	}
	width := widthOf(elementType)
	if width == 0 {
		return nil, fmt.Errorf("the element type %s is not supported; those that are: %s",
			typeName(elementType), supportedTypes())
	}
	if err := a.reserve(n*width, "a tensor "+typeName(elementType)+formatShape(shape)); err != nil {
		return nil, err
	}
	t.memory = &memory{bytes: n * width, users: 1}
	t.Data = makeData(elementType, n)
	return t, nil
}

func makeData(elementType onnxpb.TensorProto_DataType, n int) any {
	switch elementType {
	case onnxpb.TensorProto_FLOAT:
		return make([]float32, n)
	case onnxpb.TensorProto_DOUBLE:
		return make([]float64, n)
	case onnxpb.TensorProto_INT8:
		return make([]int8, n)
	case onnxpb.TensorProto_INT16:
		return make([]int16, n)
	case onnxpb.TensorProto_INT32:
		return make([]int32, n)
	case onnxpb.TensorProto_INT64:
		return make([]int64, n)
	case onnxpb.TensorProto_UINT8:
		return make([]uint8, n)
	case onnxpb.TensorProto_UINT16:
		return make([]uint16, n)
	case onnxpb.TensorProto_UINT32:
		return make([]uint32, n)
	case onnxpb.TensorProto_UINT64:
		return make([]uint64, n)
	case onnxpb.TensorProto_FLOAT16:
		return make([]onnx.Float16, n)
	}
	return make([]bool, n)
}

// floats returns memory of at least n elements: the smallest free one that is
// not more than twice as large, or new.
func (a *arena) floats(n int) (*memory, error) {
	if m := a.planned(n); m != nil {
		return m, nil
	}
	best := -1
	for i, m := range a.free {
		if size := len(m.floats); size >= n && size <= 2*n &&
			(best < 0 || size < len(a.free[best].floats)) {
			best = i
		}
	}
	if best >= 0 {
		m := a.free[best]
		a.free = slices.Delete(a.free, best, best+1)
		m.users = 1
		m.life = a.trace.begin(n)
		return m, nil
	}
	if err := a.reserve(4*n, fmt.Sprintf("a tensor of %d elements", n)); err != nil {
		return nil, err
	}
	return &memory{bytes: 4 * n, users: 1, floats: hugepages.Floats(n), life: a.trace.begin(n)}, nil
}

// view returns a tensor of another shape on the same elements.
func (a *arena) view(t *Tensor, shape []int) *Tensor {
	if t.memory != nil {
		t.memory.users++
	}
	v := a.headers.tensor()
	v.Shape, v.Data, v.memory = a.shape(shape, nil), t.Data, t.memory
	return v
}

// release ends a tensor's use. What the caller gave and constants have no memory
// of the arena.
func (a *arena) release(t *Tensor) {
	if t == nil || t.memory == nil {
		return
	}
	m := t.memory
	t.memory = nil
	if m.users--; m.users > 0 {
		return
	}
	a.trace.end(m.life)
	if m.place != nil {
		a.place.end(m.place)
		return
	}
	if m.floats != nil {
		a.free = append(a.free, m)
		return
	}
	a.used -= m.bytes
}

// result is an operator's only output; after an error its memory goes back.
func (r *run) result(y *Tensor, err error) ([]*Tensor, error) {
	if err != nil {
		r.release(y)
		return nil, err
	}
	return r.list(y), nil
}
