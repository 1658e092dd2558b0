package torchfile

import (
	"fmt"
	"strings"

	"slipway/internal/safetensors"
)

const (
	// maxDepth is how deep containers may lie in each other.
	maxDepth = 32
	// maxNames bounds the bytes of all names together, in which those of outer containers
	// are repeated.
	maxNames = 16 << 20
)

// flattener collects the tensors of nested containers.
type flattener struct {
	file    File
	path    []any           // the keys and the places that lead to where it is
	seen    map[string]bool // names of tensors, and containers with their dots
	visited int
	names   int    // bytes of all names
	copies  uint64 // bytes that copies may still take
}

// flatten lists the tensors below the root by their paths. Copies take at most room bytes.
func flatten(root any, room uint64) (*File, error) {
	switch root.(type) {
	case *dict, *list, tuple:
	default:
		return nil, fault(ErrUnsupported, "it is "+kindOf(root)+" and no state dict; "+saveWeights)
	}
	f := &flattener{seen: make(map[string]bool), copies: room}
	if err := f.walk(root); err != nil {
		return nil, err
	}
	return &f.file, nil
}

func (f *flattener) walk(value any) error {
	f.visited++
	switch {
	case len(f.path) > maxDepth:
		return fault(ErrLimit, fmt.Sprintf("containers lie more than %d deep in each other, or "+
			"in themselves", maxDepth))
	case f.visited > maxValues:
		// A pickle can make a container of others twice each, thirty times over.
		return fault(ErrLimit, fmt.Sprintf("containers that are used again hold more than %d "+
			"values together", maxValues))
	}
	switch value := value.(type) {
	case *dict:
		for i, key := range value.keys {
			if err := f.below(key, value.values[i]); err != nil {
				return err
			}
		}
	case *list:
		return f.items(value.items)
	case tuple:
		return f.items(value)
	case *tensor:
		return f.add(value)
	}
	return nil // a number, a text and the like, of which nothing is asked
}

func (f *flattener) items(items []any) error {
	for i, item := range items {
		if err := f.below(int64(i), item); err != nil {
			return err
		}
	}
	return nil
}

func (f *flattener) below(key, value any) error {
	f.path = append(f.path, key)
	err := f.walk(value)
	f.path = f.path[:len(f.path)-1]
	return err
}

// name is the path with dots. The containers on it are noted where they are not yet.
func (f *flattener) name() (string, error) {
	var name strings.Builder
	for i, key := range f.path {
		if i > 0 {
			name.WriteString(".")
			if container := name.String(); !f.seen[container] {
				f.seen[container] = true
				f.file.Containers = append(f.file.Containers, container)
			}
		}
		name.WriteString(keyText(key))
		if f.names+name.Len() > maxNames {
			return "", fault(ErrLimit, fmt.Sprintf("the tensors' names take more than %d bytes "+
				"together",
				maxNames))
		}
	}
	f.names += name.Len()
	return name.String(), nil
}

func (f *flattener) add(t *tensor) error {
	name, err := f.name()
	if err != nil {
		return err
	}
	if f.seen[name] {
		return fault(ErrUnsupported, "two tensors are called "+quote(name)+
			", by different containers; "+saveWeights)
	}
	f.seen[name] = true
	if !t.isContiguous() {
		n := t.bytes()
		if n > f.copies {
			return fault(ErrLimit, fmt.Sprintf("tensor %s: views of shared storages take more "+
				"together than the file; save tensor.contiguous() instead", quote(name)))
		}
		f.copies -= n
	}
	f.file.Tensors = append(f.file.Tensors, safetensors.Tensor{
		Name: name, DType: t.dtype, Shape: t.shape, Data: t.rows(),
	})
	return nil
}
