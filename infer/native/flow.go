package native

import "slices"

// flow is which steps make and use values, while steps are joined.
type flow struct {
	makers map[int]int
	users  map[int][]int
	taken  []bool // steps that another one computes
}

func (c *compiler) flow() *flow {
	f := &flow{makers: make(map[int]int), users: make(map[int][]int),
		taken: make([]bool, len(c.steps))}
	for i := range c.steps {
		for _, v := range c.steps[i].outputs {
			if v >= 0 {
				f.makers[v] = i
			}
		}
		for _, v := range c.steps[i].inputs {
			if v >= 0 {
				f.users[v] = append(f.users[v], i)
			}
		}
	}
	for _, v := range c.results {
		f.users[v] = append(f.users[v], len(c.steps))
	}
	return f
}

// user returns the step that alone uses a value.
func (f *flow) user(value int) (int, bool) {
	users := f.users[value]
	if len(users) != 1 || users[0] == len(f.taken) {
		return 0, false
	}
	return users[0], true
}

// maker returns the step that makes a value, of which there is one user, and that is not taken.
func (f *flow) maker(value int) (int, bool) {
	i, made := f.makers[value]
	_, alone := f.user(value)
	return i, made && alone && !f.taken[i]
}

func (f *flow) take(steps []int) {
	for _, i := range steps {
		f.taken[i] = true
	}
}

// keep drops the steps that were taken.
func (c *compiler) keep(f *flow) {
	at := 0
	c.steps = slices.DeleteFunc(c.steps, func(step) bool {
		at++
		return f.taken[at-1]
	})
}
