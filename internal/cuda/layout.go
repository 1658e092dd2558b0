//go:build gpu && linux && amd64

package cuda

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/builder"
	"slipway/internal/device"
)

// span is where a tensor lies in a buffer of several, in values.
type span struct{ offset, length int }

// layout is how tensors lie in one buffer, one after another; what lies between is 0 and stays so.
type layout struct {
	specs []builder.TensorSpec
	spans []span
	total int // values of the buffer
}

func newLayout(specs []builder.TensorSpec) layout {
	l := layout{specs: specs}
	for _, spec := range specs {
		length := spec.Shape.Elements()
		l.spans = append(l.spans, span{l.total, length})
		l.total += (length + alignment - 1) / alignment * alignment
	}
	return l
}

// pack returns the values of a buffer of these tensors.
func (l layout) pack(weights builder.Weights) ([]float32, error) {
	if len(weights) != len(l.specs) {
		return nil, fmt.Errorf("%d tensors, the network has %d", len(weights), len(l.specs))
	}
	all := make([]float32, l.total)
	for i, tensor := range weights {
		if tensor.Name != l.specs[i].Name || len(tensor.Data) != l.spans[i].length {
			return nil, fmt.Errorf("%s has %d values, want %s with %d", tensor.Name, len(tensor.Data), l.specs[i].Name, l.spans[i].length)
		}
		copy(all[l.spans[i].offset:], tensor.Data)
	}
	return all, nil
}

// unpack returns the tensors of a buffer with these values, which they share.
func (l layout) unpack(all []float32) builder.Weights {
	var weights builder.Weights
	for i, spec := range l.specs {
		first, end := l.spans[i].offset, l.spans[i].offset+l.spans[i].length
		weights = append(weights, builder.Tensor{Name: spec.Name, Shape: spec.Shape, Data: all[first:end:end]})
	}
	return weights
}

// put notes where in a buffer of values of that many bytes each the tensors of nodes lie, in the
// order of the layout.
func (l layout) put(at map[*gorgonia.Node]*buffer, nodes gorgonia.Nodes, b *buffer, bytes int64) {
	for i, node := range nodes {
		at[node] = b.part(int64(l.spans[i].offset)*bytes, int64(l.spans[i].length)*bytes)
	}
}

// role is what a tensor of a network is to a session.
type role int

const (
	trained role = iota // a parameter that the optimizer updates
	frozen              // one that stays as it is
	kept                // what a layer keeps beside its parameters
	roles
)

// rolesOf returns the roles of the network's tensors, in order.
func rolesOf(job device.Job) []role {
	all := make([]role, 0, len(job.Network.Tensors()))
	next := job.Trained
	for i, spec := range job.Network.Tensors() {
		switch {
		case spec.Role != builder.Learned:
			all = append(all, kept)
		case len(next) > 0 && next[0].Tensor == i:
			all, next = append(all, trained), next[1:]
		default:
			all = append(all, frozen)
		}
	}
	return all
}

// byRole divides what belongs to the network's tensors, each part in order.
func byRole[T any](of []role, all []T) (divided [roles][]T) {
	for i, value := range all {
		divided[of[i]] = append(divided[of[i]], value)
	}
	return divided
}

// inOrder undoes byRole.
func inOrder[T any](of []role, divided [roles][]T) []T {
	var all []T
	for _, r := range of {
		all = append(all, divided[r][0])
		divided[r] = divided[r][1:]
	}
	return all
}
