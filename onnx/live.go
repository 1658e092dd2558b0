package onnx

import "slipway/onnx/onnxpb"

// LiveBytes returns the most bytes of values that are needed at the same time while the nodes are
// computed in order: a node's inputs, its outputs, and what lies between nodes before it and behind
// it. It is of one example where the batch is free, and else of one run; weights do not count.
// known is false where a shape is not known, so that it is a lower bound.
func (r Report) LiveBytes() (bytes int64, known bool) {
	known = true
	last := make(map[string]int) // by value: the last node that takes it
	sizes := make(map[string]int64)
	note := func(value Value, at int) {
		if _, ok := sizes[value.Name]; !ok {
			size, ok := elementCount(value)
			known = known && ok
			sizes[value.Name] = saturatingMultiply(size, elementBytes(value.Type))
		}
		last[value.Name] = at
	}
	made := make(map[string]bool)
	for _, input := range r.Inputs {
		made[input.Name] = true
		note(input, -1)
	}
	for i, node := range r.Nodes {
		for _, input := range node.Inputs {
			if made[input.Name] {
				note(input, i)
			}
		}
		for _, output := range node.Outputs {
			if output.Name != "" {
				made[output.Name] = true
				note(output, i)
			}
		}
	}
	for _, output := range r.Outputs {
		if made[output.Name] {
			last[output.Name] = len(r.Nodes)
		}
	}
	live := int64(0)
	alive := make(map[string]bool)
	begin := func(name string) {
		if !alive[name] {
			alive[name] = true
			live = saturatingAdd(live, sizes[name])
		}
	}
	for _, input := range r.Inputs {
		begin(input.Name)
	}
	for i, node := range r.Nodes {
		for _, output := range node.Outputs {
			if output.Name != "" {
				begin(output.Name)
			}
		}
		bytes = max(bytes, live)
		for name := range alive {
			if last[name] <= i {
				live -= sizes[name]
				delete(alive, name)
			}
		}
	}
	return max(bytes, live), known
}

// elementBytes is what an element takes in memory; those of an unknown type are taken for float32.
func elementBytes(elementType onnxpb.TensorProto_DataType) int64 {
	switch elementType {
	case onnxpb.TensorProto_DOUBLE, onnxpb.TensorProto_INT64, onnxpb.TensorProto_UINT64:
		return 8
	case onnxpb.TensorProto_FLOAT16, onnxpb.TensorProto_BFLOAT16, onnxpb.TensorProto_INT16,
		onnxpb.TensorProto_UINT16:
		return 2
	case onnxpb.TensorProto_INT8, onnxpb.TensorProto_UINT8, onnxpb.TensorProto_BOOL:
		return 1
	}
	return 4
}
