package native

import (
	"slices"

	"slipway/internal/hugepages"
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
	plan *plan // nil without one
	next int
	live []*memoryplan.Life
}

func (p *placement) end(l *memoryplan.Life) {
	p.live = slices.DeleteFunc(p.live, func(other *memoryplan.Life) bool { return other == l })
}

// planned returns the memory that the plan has for the next value, nil if it has none of n
// elements, or if something lies there still.
func (a *arena) planned(n int) *memory {
	p := &a.place
	if p.plan == nil || p.next >= len(p.plan.lives) {
		return nil
	}
	l, boxes := p.plan.lives[p.next], p.plan.boxes[p.next:p.next+1:p.next+1]
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
	m := a.memory()
	m.bytes, m.users, m.place, m.life = 4*n, 1, l, a.trace.begin(n)
	m.floats = a.block[l.Offset:end:end]
	if boxes[0] == nil {
		boxes[0] = m.floats
	}
	m.boxes = boxes
	return m
}

// follow makes the next run lie as the plan says; nil is none.
func (a *arena) follow(p *plan) error {
	a.place = placement{live: a.place.live[:0]}
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
		a.block = hugepages.Floats(p.elements)
	}
	if len(p.lives) > 0 && p.block != &a.block[0] {
		p.block, p.boxes = &a.block[0], make([]any, len(p.lives))
	}
	a.place.plan = p
	return nil
}

// plan is where the values of a run lie.
type plan struct {
	images   int
	elements int
	lives    []*memoryplan.Life // by order of their beginning
	// boxes are the lives' memory as interfaces, once they were needed, in the block that
	// begins here.
	boxes []any
	block *float32
}

// image is how one image's values lie in time, and how their sizes grow by a second one.
type image struct {
	one, two []*memoryplan.Life
	plans    []*plan // of the numbers of images last seen, the latest last
}

// images returns the number of images that a run is of, 0 where the model fixes it or has
// several inputs.
func (e *Evaluator) images(inputs []*Tensor) int {
	if len(e.program.inputs) != 1 {
		return 0
	}
	port, shape := e.program.inputs[0], inputs[0].Shape
	if len(shape) < 2 || port.Shape != nil && port.Shape[0] >= 0 {
		return 0
	}
	return shape[0]
}

// seenOf returns what was seen of images of the run's size, nil if none were.
func (e *Evaluator) seenOf(inputs []*Tensor) *image {
	if e.seen == nil || !slices.Equal(e.seenShape, inputs[0].Shape[1:]) {
		return nil
	}
	return e.seen
}

// planOf returns the plan of a run with these inputs, and nil where it has none: of few
// images, or where images alone are not answered.
func (e *Evaluator) planOf(r *run, inputs []*Tensor) (*plan, error) {
	images := e.images(inputs)
	if images <= smallBatch {
		return nil, nil
	}
	seen := e.seenOf(inputs)
	if seen == nil {
		var err error
		if seen, err = e.see(r, inputs); err != nil {
			return nil, err
		}
		// Images are of one size as a rule.
		e.seen, e.seenShape = seen, slices.Clone(inputs[0].Shape[1:])
	}
	return seen.plan(images), nil
}

// see runs one image and two.
func (e *Evaluator) see(r *run, inputs []*Tensor) (*image, error) {
	one, err := e.traced(r, inputs, 1)
	if err != nil {
		return nil, err
	}
	two, err := e.traced(r, inputs, 2)
	if err != nil {
		return nil, err
	}
	return &image{one: one, two: two}, nil
}

// plan returns that of so many images, nil if one and two did not do alike.
func (i *image) plan(images int) *plan {
	if at := slices.IndexFunc(i.plans, func(p *plan) bool { return p.images == images }); at >= 0 {
		return i.plans[at]
	}
	p := i.newPlan(images)
	if p != nil {
		if len(i.plans) == keptPlans {
			i.plans = slices.Delete(i.plans, 0, 1)
		}
		i.plans = append(i.plans, p)
	}
	return p
}

func (i *image) newPlan(images int) *plan {
	if len(i.one) != len(i.two) {
		return nil
	}
	p := &plan{images: images}
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
func (e *Evaluator) traced(r *run, inputs []*Tensor, images int) (
	[]*memoryplan.Life, error,
) {
	first := make([]*Tensor, len(inputs))
	for i, t := range inputs {
		shape := slices.Clone(t.Shape)
		shape[0] = images
		part, err := r.part(t, shape)
		if err != nil {
			return nil, err
		}
		first[i] = part
	}
	if err := e.arena.follow(nil); err != nil {
		return nil, err
	}
	e.arena.trace = new(trace)
	defer func() { e.arena.trace = nil }()
	_, err := e.program.execute(r, first, nil, span{})
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
