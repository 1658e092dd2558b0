package native

import (
	"fmt"
	"slices"

	"slipway/internal/memoryplan"
)

// A run's memory is planned by liveness: each value has its place in one block, where another may
// lie as soon as nobody needs it any more. How long values are needed, and how large they are, is
// seen in runs of one image and of two; of more images, sizes grow as from one to two. A run that
// does otherwise than its plan takes memory of its own for what the plan does not have, and is
// right all the same.

// smallBatch is the largest batch that is run without a plan.
const smallBatch = 4

// trace notes the lives of a run's values. A nil trace notes nothing.
type trace struct {
	now   int
	lives []*memoryplan.Life
}

func (t *trace) begin(elements int) *memoryplan.Life {
	if t == nil {
		return nil
	}
	t.now++
	l := &memoryplan.Life{Elements: elements, Begin: t.now, End: t.now}
	t.lives = append(t.lives, l)
	return l
}

func (t *trace) end(l *memoryplan.Life) {
	if t != nil && l != nil {
		t.now++
		l.End = t.now
	}
}

// placement is how far a run has followed its plan.
type placement struct {
	lives []*memoryplan.Life // by order of their beginning; none without a plan
	next  int
	live  []*memoryplan.Life
}

func (p *placement) end(l *memoryplan.Life) {
	p.live = slices.DeleteFunc(p.live, func(other *memoryplan.Life) bool { return other == l })
}

// planned returns the memory that the plan has for the next value, nil if it has none of n
// elements, or if something lies there still.
func (a *arena) planned(n int) *memory {
	p := &a.place
	if p.next >= len(p.lives) {
		return nil
	}
	l := p.lives[p.next]
	p.next++
	if l.Elements != n {
		return nil
	}
	for _, other := range p.live {
		if l.Offset < other.Offset+other.Elements && other.Offset < l.Offset+l.Elements {
			return nil
		}
	}
	p.live = append(p.live, l)
	end := l.Offset + n
	return &memory{
		bytes: 4 * n, users: 1, floats: a.block[l.Offset:end:end], place: l, life: a.trace.begin(n),
	}
}

// follow makes the next run lie as the plan says; nil is none.
func (a *arena) follow(p *plan) error {
	a.place = placement{}
	if p == nil {
		return nil
	}
	if len(a.block) < p.elements {
		a.dropFree()
		a.unreserve(4 * len(a.block))
		a.block = nil
		if err := a.reserve(4*p.elements, "what lies between the nodes"); err != nil {
			return err
		}
		a.block = make([]float32, p.elements)
	}
	a.place.lives = p.lives
	return nil
}

// plan is where the values of a run lie.
type plan struct {
	elements int
	lives    []*memoryplan.Life
}

// image is how one image's values lie in time, and how their sizes grow by a second one.
type image struct{ one, two []*memoryplan.Life }

// images returns the number of images that a run is of, 0 where the model fixes it or has
// several inputs, and the rest of the input's shape as a key.
func (e *Evaluator) images(inputs map[string]*Tensor) (images int, key string) {
	if len(e.program.inputs) != 1 {
		return 0, ""
	}
	port := e.program.inputs[0]
	shape := inputs[port.Name].Shape
	if len(shape) < 2 || port.Shape != nil && port.Shape[0] >= 0 {
		return 0, ""
	}
	return shape[0], fmt.Sprint(shape[1:])
}

// planOf returns the plan of a run with these inputs, and nil where it has none: of few
// images, or where images alone are not answered.
func (e *Evaluator) planOf(r *run, inputs map[string]*Tensor) (*plan, error) {
	images, key := e.images(inputs)
	if images <= smallBatch {
		return nil, nil
	}
	seen, ok := e.seen[key]
	if !ok {
		var err error
		if seen, err = e.see(r, inputs); err != nil {
			return nil, err
		}
		clear(e.seen) // images of one size as a rule
		e.seen[key] = seen
	}
	return seen.plan(images), nil
}

// see runs one image and two.
func (e *Evaluator) see(r *run, inputs map[string]*Tensor) (*image, error) {
	one, err := e.traced(r, inputs, 1)
	if err != nil {
		return nil, err
	}
	two, err := e.traced(r, inputs, 2)
	if err != nil {
		return nil, err
	}
	return &image{one, two}, nil
}

// plan returns that of so many images, nil if one and two did not do alike.
func (i *image) plan(images int) *plan {
	if len(i.one) != len(i.two) {
		return nil
	}
	p := new(plan)
	for k, one := range i.one {
		two := i.two[k]
		grows := two.Elements - one.Elements
		l := &memoryplan.Life{
			Elements: one.Elements + (images-1)*grows, Begin: one.Begin, End: one.End,
		}
		if l.Begin != two.Begin || l.End != two.End || grows < 0 || l.Elements > maxElements {
			return nil
		}
		p.lives = append(p.lives, l)
	}
	p.elements = memoryplan.Place(p.lives)
	return p
}

// traced runs the first images alone and returns the lives of its values, nil where that fails.
func (e *Evaluator) traced(r *run, inputs map[string]*Tensor, images int) (
	[]*memoryplan.Life, error,
) {
	first := make(map[string]*Tensor)
	for name, t := range inputs {
		shape := slices.Clone(t.Shape)
		shape[0] = images
		part, err := r.part(t, shape)
		if err != nil {
			return nil, err
		}
		first[name] = part
	}
	if err := e.arena.follow(nil); err != nil {
		return nil, err
	}
	e.arena.trace = new(trace)
	defer func() { e.arena.trace = nil }()
	_, err := e.program.execute(r, first)
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, nil // the whole batch may be answered, or says why not
	}
	return e.arena.trace.lives, nil
}

// part returns the first elements of a tensor as one of that shape.
func (r *run) part(t *Tensor, shape []int) (*Tensor, error) {
	y := &Tensor{Shape: shape, Data: makeData(t.Type(), product(shape))}
	step := strides([]int{y.elements()})
	copyStrided(y, t, region{shape: []int{y.elements()}, dst: step, src: step})
	return y, nil
}
