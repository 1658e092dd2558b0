package train

import (
	"slices"
	"strings"

	"slipway/builder"
	"slipway/internal/safetensors"
)

// wrappers are what PyTorch puts before the names of a module's tensors where that is a part
// of another one: DataParallel, torch.compile, and many a class of people's own.
func wrappers() []string { return []string{"module.", "_orig_mod.", "model."} }

// leadingWrappers returns the wrappers that a name begins with.
func leadingWrappers(name string) string {
	rest := name
	for found := true; found; {
		found = false
		for _, wrapper := range wrappers() {
			if shorter, ok := strings.CutPrefix(rest, wrapper); ok {
				rest, found = shorter, true
			}
		}
	}
	return name[:len(name)-len(rest)]
}

// wrapperOf returns the prefix with which the file has most of the network's parameters,
// none where it has as many without, and of several that have as many the first.
func (f *weightsFile) wrapperOf(network *builder.Network) string {
	best, missing := "", len(compare(f.file, "", network).missing)
	for _, prefix := range f.prefixes(network) {
		if m := len(compare(f.file, prefix, network).missing); m < missing {
			best, missing = prefix, m
		}
	}
	return best
}

// prefixes lists those that the names of a network's tensors may have in the file, in its order.
func (f *weightsFile) prefixes(network *builder.Network) []string {
	// A file may have thousands of containers, of which one has the weights: a prefix without any
	// of some parameters is none.
	names := make(map[string]bool, len(f.file.Tensors))
	for _, tensor := range f.file.Tensors {
		names[tensor.Name] = true
	}
	specs := network.Tensors()
	const looked = 8
	some := append(slices.Clone(specs[:min(looked, len(specs))]), specs[max(0,
		len(specs)-looked):]...)
	const most = 64
	var prefixes []string
	for _, tensor := range f.file.Tensors {
		container := f.containerOf(tensor.Name)
		prefix := container + leadingWrappers(tensor.Name[len(container):])
		has := func(spec builder.TensorSpec) bool { return names[prefix+spec.Name] }
		if !slices.Contains(prefixes, prefix) && slices.ContainsFunc(some, has) {
			if prefixes = append(prefixes, prefix); len(prefixes) == most {
				break
			}
		}
	}
	return prefixes
}

// containerOf is the longest path of a container that the name begins with.
func (f *weightsFile) containerOf(name string) string {
	for end := strings.LastIndex(name, "."); end >= 0; end = strings.LastIndex(name[:end], ".") {
		if f.containers[name[:end+1]] {
			return name[:end+1]
		}
	}
	return ""
}

// take returns the prefix of the network's tensors, and what lies outside of their container,
// which it takes out of the file.
func (f *weightsFile) take(network *builder.Network) (prefix string, outside []safetensors.Tensor) {
	prefix = f.wrapperOf(network)
	container := f.containerOf(prefix)
	if container == "" {
		return prefix, nil
	}
	var inside []safetensors.Tensor
	for _, tensor := range f.file.Tensors {
		if strings.HasPrefix(tensor.Name, container) {
			inside = append(inside, tensor)
		} else {
			outside = append(outside, tensor)
		}
	}
	f.file = &safetensors.File{Tensors: inside}
	return prefix, outside
}

// tops are the first parts of the tensors' names, each once.
func tops(tensors []safetensors.Tensor) []string {
	var first []string
	for _, tensor := range tensors {
		top, _, _ := strings.Cut(tensor.Name, ".")
		if !slices.Contains(first, top) {
			first = append(first, top)
		}
	}
	return first
}
