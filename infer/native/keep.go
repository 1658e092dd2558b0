package native

// An operation is made once and may be computed by several sessions at the same time. What it
// keeps from run to run, such as plans for the shapes last seen, is each session's own.

// kept is the place of what an operation keeps, of which every session has one. It must not be
// copied once it is used.
type kept[T any] struct {
	_ byte // places differ by their addresses, which those of nothing need not
}

// of returns the session's.
func (k *kept[T]) of(r *run) *T {
	if have, ok := r.kept[k]; ok {
		return have.(*T)
	}
	fresh := new(T)
	if r.kept == nil {
		r.kept = make(map[any]any)
	}
	r.kept[k] = fresh
	return fresh
}

// headers are what a run needs beside the elements of its tensors: the tensors themselves, their
// shapes, and lists of them. They are handed out once in a run and again in the next one, so
// that a run like the one before allocates none.
type headers struct {
	on       bool // during a run; what is computed once keeps its own
	tensors  []*Tensor
	memories []*memory
	sizes    []int
	lists    []*Tensor

	usedTensors, usedMemories int
}

// again makes all of them free.
func (h *headers) again() {
	h.on = true
	h.usedTensors, h.usedMemories = 0, 0
	h.sizes, h.lists = h.sizes[:0], h.lists[:0]
}

// tensor returns an empty one.
func (h *headers) tensor() *Tensor {
	if !h.on {
		return &Tensor{}
	}
	if h.usedTensors == len(h.tensors) {
		h.tensors = append(h.tensors, &Tensor{})
	}
	t := h.tensors[h.usedTensors]
	h.usedTensors++
	*t = Tensor{}
	return t
}

// memory returns an empty one, for memory that does not outlive the run.
func (h *headers) memory() *memory {
	if !h.on {
		return &memory{}
	}
	if h.usedMemories == len(h.memories) {
		h.memories = append(h.memories, &memory{})
	}
	m := h.memories[h.usedMemories]
	h.usedMemories++
	*m = memory{}
	return m
}

// shape returns the sizes, those of the first list and then those of the second.
func (h *headers) shape(first, second []int) []int {
	n := len(first) + len(second)
	if !h.on {
		return append(append(make([]int, 0, n), first...), second...)
	}
	if len(h.sizes)+n > cap(h.sizes) {
		// What was handed out stays where it is.
		h.sizes = make([]int, 0, 2*(cap(h.sizes)+n))
	}
	at := len(h.sizes)
	h.sizes = append(append(h.sizes, first...), second...)
	return h.sizes[at : at+n : at+n]
}

// images returns the shape of n images of so many channels.
func (h *headers) images(n, channels int, spatial []int) []int {
	return h.shape([]int{n, channels}, spatial)
}

// list returns a list of one tensor, an operation's only result.
func (h *headers) list(t *Tensor) []*Tensor {
	l := h.room(1)
	l[0] = t
	return l
}

// room returns a list of n tensors that are nil.
func (h *headers) room(n int) []*Tensor {
	if !h.on {
		return make([]*Tensor, n)
	}
	if len(h.lists)+n > cap(h.lists) {
		h.lists = make([]*Tensor, 0, 2*(cap(h.lists)+n))
	}
	at := len(h.lists)
	h.lists = h.lists[:at+n]
	l := h.lists[at : at+n : at+n]
	clear(l)
	return l
}
