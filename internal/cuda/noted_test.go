//go:build gpu && linux && amd64

package cuda

import "testing"

// noted is what a run's steps have counted, and what the first one launches.
type noted struct {
	steps    []counters
	launched []string
}

// by returns a device that notes the steps that a GPU takes.
func (n *noted) by(g *gpu) recorder {
	return recorder{g, func(s *session, images int) error {
		n.steps = append(n.steps, g.count)
		if n.launched == nil {
			for _, l := range s.programs[images].launches {
				n.launched = append(n.launched, l.name)
			}
		}
		return nil
	}}
}

// count returns how many launches of a step are of that name.
func (n *noted) count(name string) (launches int) {
	for _, l := range n.launched {
		if l == name {
			launches++
		}
	}
	return launches
}

// areGraphs reports steps, from first to the one before end, that are more than a graph.
func (n *noted) areGraphs(t *testing.T, first, end int) {
	t.Helper()
	for i := first; i < end; i++ {
		before, now := n.steps[i-1], n.steps[i]
		if now.Allocations != before.Allocations || now.Copies != before.Copies ||
			now.Launches != before.Launches || now.Graphs != before.Graphs+1 {
			t.Errorf("step %d: %+v after %+v; want one graph and nothing else", i+1, now, before)
		}
	}
}
