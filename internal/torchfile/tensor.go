package torchfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"slipway/internal/safetensors"
)

// storage is a row of elements that tensors look at. Its bytes are a part of the file, and come
// after the pickle in the legacy form.
type storage struct {
	key      string
	dtype    safetensors.DType
	untyped  bool
	elements uint64 // bytes where it is untyped
	data     []byte
}

// tensor is a view of a storage: the element at (i, j, …) is that at offset + i·strides[0] +
// j·strides[1] + ….
type tensor struct {
	storage *storage
	dtype   safetensors.DType
	offset  uint64 // in elements
	shape   []int
	strides []uint64
}

// maxDimensions is the most that a tensor may have: a convolution of volumes has 5.
const maxDimensions = 8

// rebuildTensor is torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad,
// backward_hooks, metadata=None), of which _rebuild_tensor has the first four.
func rebuildTensor(arguments tuple) (any, error) {
	if len(arguments) < 4 {
		return nil, fmt.Errorf("called with %d arguments", len(arguments))
	}
	s, ok := arguments[0].(*storage)
	if !ok {
		return nil, fmt.Errorf("a tensor of %s", kindOf(arguments[0]))
	}
	if s.untyped {
		return nil, errors.New("a tensor without a type of elements")
	}
	return view(s, s.dtype, arguments)
}

// rebuildTypedTensor is _rebuild_tensor_v3(storage, offset, size, stride, requires_grad,
// backward_hooks, dtype, metadata=None), of an untyped storage.
func rebuildTypedTensor(arguments tuple) (any, error) {
	if len(arguments) < 7 {
		return nil, fmt.Errorf("called with %d arguments", len(arguments))
	}
	s, ok := arguments[0].(*storage)
	dtype, too := arguments[6].(*global)
	// A storage of elements of its own counts those, and not the tensor's.
	if !ok || !too || !s.untyped || dtype.dtype == "" || dtype.storage {
		return nil, fmt.Errorf("a tensor of %s with elements of %s", kindOf(arguments[0]),
			kindOf(arguments[6]))
	}
	return view(s, dtype.dtype, arguments)
}

// rebuildParameter is torch._utils._rebuild_parameter(data, requires_grad, backward_hooks).
func rebuildParameter(arguments tuple) (any, error) {
	if len(arguments) > 0 {
		if t, ok := arguments[0].(*tensor); ok {
			return t, nil
		}
	}
	return nil, fmt.Errorf("a parameter of %d values without a tensor", len(arguments))
}

// rebuildFromType is torch._tensor._rebuild_from_type_v2(function, type, arguments, state): a
// tensor with attributes, which are left out.
func rebuildFromType(arguments tuple) (any, error) {
	if len(arguments) != 4 {
		return nil, fmt.Errorf("called with %d arguments", len(arguments))
	}
	function, ok := arguments[0].(*global)
	values, too := arguments[2].(tuple)
	// Not itself again, or a file could nest it as deep as it is long.
	if !ok || !too || !strings.HasPrefix(function.name, "torch._utils._rebuild_") {
		return nil, fmt.Errorf("a tensor by %s of %s", kindOf(arguments[0]), kindOf(arguments[2]))
	}
	value, err := function.call(values)
	if err != nil {
		return nil, err
	}
	if _, ok := value.(*tensor); !ok {
		return nil, fmt.Errorf("%s where a tensor is to be", kindOf(value))
	}
	return value, nil
}

// view makes the tensor of (storage, offset, size, stride).
func view(s *storage, dtype safetensors.DType, arguments tuple) (*tensor, error) {
	offset, ok := arguments[1].(int64)
	if !ok || offset < 0 {
		return nil, fmt.Errorf("the offset %v", shown(arguments[1]))
	}
	shape, err := naturals(arguments[2])
	if err != nil {
		return nil, fmt.Errorf("the shape: %w", err)
	}
	strides, err := naturals(arguments[3])
	if err != nil {
		return nil, fmt.Errorf("the strides: %w", err)
	}
	if len(shape) != len(strides) || len(shape) > maxDimensions {
		return nil, fmt.Errorf("%d dimensions with %d strides, where at most %d are read",
			len(shape), len(strides), maxDimensions)
	}
	t := &tensor{storage: s, dtype: dtype, offset: uint64(offset), strides: strides}
	for _, n := range shape {
		t.shape = append(t.shape, int(n))
	}
	return t, t.check()
}

// check refuses a view of more than its storage has.
func (t *tensor) check() error {
	have := t.storage.elements
	if t.storage.untyped {
		have /= uint64(t.dtype.Size())
	}
	claim := func(what string) error {
		return fault(ErrClaim, fmt.Sprintf("shape %v, strides %v, offset %d of storage %s, which "+
			"has %d elements: %s",
			t.shape, t.strides, t.offset, quote(t.storage.key), have, what))
	}
	if slices.Contains(t.shape, 0) {
		if t.offset > have {
			return claim("it begins behind them; " + copyAgain)
		}
		return nil
	}
	elements, last := uint64(1), t.offset
	for i, n := range t.shape {
		count, ok := product(elements, uint64(n))
		far, too := product(uint64(n-1), t.strides[i])
		if !ok || !too || last+far < last {
			return claim("more than 63 bits count; " + copyAgain)
		}
		elements, last = count, last+far
	}
	if last >= have {
		return claim("it ends behind them; " + copyAgain)
	}
	if elements > have {
		return claim("it repeats them; save tensor.contiguous() instead")
	}
	return nil
}

// isContiguous reports whether the elements lie row by row, without gaps.
func (t *tensor) isContiguous() bool {
	next := uint64(1)
	for i := len(t.shape) - 1; i >= 0; i-- {
		if t.shape[i] == 1 {
			continue
		}
		if t.strides[i] != next {
			return false
		}
		next *= uint64(t.shape[i])
	}
	return true
}

func (t *tensor) bytes() uint64 {
	n := uint64(t.dtype.Size())
	for _, dimension := range t.shape {
		n *= uint64(dimension)
	}
	return n
}

// rows returns the elements row by row: a part of the storage where they lie so in it, a copy
// otherwise.
func (t *tensor) rows() []byte {
	size, data := uint64(t.dtype.Size()), t.storage.data
	n := t.bytes()
	if n == 0 {
		return nil
	}
	if t.isContiguous() {
		begin := t.offset * size
		return data[begin : begin+n : begin+n]
	}
	out := make([]byte, 0, n)
	index, at := make([]int, len(t.shape)), t.offset
	for {
		out = append(out, data[at*size:(at+1)*size]...)
		i := len(index) - 1
		for ; i >= 0; i-- {
			index[i]++
			at += t.strides[i]
			if index[i] < t.shape[i] {
				break
			}
			at -= uint64(index[i]) * t.strides[i]
			index[i] = 0
		}
		if i < 0 {
			return out
		}
	}
}

// naturals are the numbers of a tuple or a list.
func naturals(value any) ([]uint64, error) {
	items, ok := value.(tuple)
	if l, isList := value.(*list); isList {
		items, ok = l.items, true
	}
	if !ok {
		return nil, fmt.Errorf("it is %s", kindOf(value))
	}
	if len(items) > maxDimensions {
		return nil, fmt.Errorf("%d dimensions, where at most %d are read", len(items),
			maxDimensions)
	}
	numbers := make([]uint64, 0, len(items))
	for _, item := range items {
		n, ok := item.(int64)
		if !ok || n < 0 {
			return nil, fmt.Errorf("it has %s", shown(item))
		}
		numbers = append(numbers, uint64(n))
	}
	return numbers, nil
}

// shown is a number, or the kind of what is none.
func shown(value any) string {
	if n, ok := value.(int64); ok {
		return fmt.Sprint(n)
	}
	return kindOf(value)
}
