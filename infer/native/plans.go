package native

import "errors"

// planKey is what of a shape changes from run to run, and the padding, which is the
// plan's own for some shapes and in the image already for others.
type planKey [9]int

// plansOf is a node's plans of one kind, of which each session has its own.
type plansOf[P any] struct{ kept kept[planCache[P]] }

// get is planCache's for the session's.
func (s *plansOf[P]) get(r *run, key planKey, bytes int, plan func() (P, error)) (P, error) {
	return s.kept.of(r).get(r, key, bytes, plan)
}

// planCache keeps the plans of a node for the shapes last seen: that of a whole batch, that of a
// data set's short last one, and those of one image and of two, by which memory is planned.
type planCache[P any] struct {
	entries []planEntry[P] // the latest first
}

type planEntry[P any] struct {
	key   planKey
	plan  P
	bytes int
}

// keptPlans is how many shapes a node keeps plans for.
const keptPlans = 4

// get returns the plan for a shape and makes it if it is not there. An error that
// wraps errNoPlan says that the kernels have none.
func (c *planCache[P]) get(r *run, key planKey, bytes int, plan func() (P, error)) (P, error) {
	var none P
	for i, e := range c.entries {
		if e.key == key {
			copy(c.entries[1:i+1], c.entries[:i])
			c.entries[0] = e
			return e.plan, nil
		}
	}
	for len(c.entries) >= keptPlans {
		last := len(c.entries) - 1
		r.unreserve(c.entries[last].bytes)
		c.entries = c.entries[:last]
	}
	if err := r.reserve(bytes, "the plan of a node"); err != nil {
		return none, err
	}
	p, err := plan()
	if err != nil {
		r.unreserve(bytes)
		if errors.Is(err, ErrMemory) {
			return none, err // what another way computes has other bits
		}
		return none, errNoPlan
	}
	c.entries = append([]planEntry[P]{{key, p, bytes}}, c.entries...)
	return p, nil
}
