package torchfile

import (
	"errors"
	"fmt"

	"slipway/internal/safetensors"
)

// callable is what a name stands for.
type callable struct {
	// run is what it does when it is called, nil for a name that is only a value.
	run func(arguments tuple) (any, error)
	// dtype is that of a storage's elements, or of a torch.dtype; untyped that the storage
	// counts bytes.
	dtype   safetensors.DType
	storage bool
	untyped bool
}

func (g *global) call(arguments tuple) (any, error) {
	if g.run == nil {
		return nil, fault(ErrUnsupported, g.name+" is called as a function; "+saveWeights)
	}
	value, err := g.run(arguments)
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			return nil, e
		}
		return nil, fault(ErrDamaged, g.name+": "+err.Error()+"; "+copyAgain)
	}
	return value, nil
}

// storages are the typed storages of module torch, and of torch.cuda for tensors that lay on a
// GPU.
func storages() map[string]safetensors.DType {
	return map[string]safetensors.DType{
		"FloatStorage":        safetensors.F32,
		"DoubleStorage":       safetensors.F64,
		"HalfStorage":         safetensors.F16,
		"BFloat16Storage":     safetensors.BF16,
		"LongStorage":         safetensors.I64,
		"IntStorage":          safetensors.I32,
		"ShortStorage":        safetensors.I16,
		"CharStorage":         safetensors.I8,
		"ByteStorage":         safetensors.U8,
		"BoolStorage":         safetensors.Bool,
		"ComplexFloatStorage": safetensors.Complex,
	}
}

// dtypes are torch's element types.
func dtypes() map[string]safetensors.DType {
	return map[string]safetensors.DType{
		"float32":        safetensors.F32,
		"float64":        safetensors.F64,
		"float16":        safetensors.F16,
		"bfloat16":       safetensors.BF16,
		"int64":          safetensors.I64,
		"int32":          safetensors.I32,
		"int16":          safetensors.I16,
		"int8":           safetensors.I8,
		"uint8":          safetensors.U8,
		"uint16":         safetensors.U16,
		"uint32":         safetensors.U32,
		"uint64":         safetensors.U64,
		"bool":           safetensors.Bool,
		"complex64":      safetensors.Complex,
		"float8_e4m3fn":  safetensors.F8E4M3,
		"float8_e5m2":    safetensors.F8E5M2,
		"float8_e8m0fnu": safetensors.F8E8M0,
	}
}

// functions are the names that are called.
func functions() map[string]func(tuple) (any, error) {
	return map[string]func(tuple) (any, error){
		"collections.OrderedDict":                    orderedDict,
		"collections.Counter":                        orderedDict,
		"builtins.set":                               set,
		"_codecs.encode":                             encode,
		"torch.Size":                                 size,
		"torch.device":                               device,
		"torch._utils._rebuild_tensor":               rebuildTensor,
		"torch._utils._rebuild_tensor_v2":            rebuildTensor,
		"torch._utils._rebuild_tensor_v3":            rebuildTypedTensor,
		"torch._utils._rebuild_parameter":            rebuildParameter,
		"torch._utils._rebuild_parameter_with_state": rebuildParameter,
		"torch._tensor._rebuild_from_type_v2":        rebuildFromType,
	}
}

// known returns what a name stands for. A name that is not on the list is refused.
func known(module, name string) (*global, error) {
	full := module + "." + name
	if module == "__builtin__" { // of Python 2, which pickles of protocol 2 speak
		full = "builtins." + name
	}
	if run, ok := functions()[full]; ok {
		return &global{full, callable{run: run}}, nil
	}
	if module == "torch" || module == "torch.cuda" {
		if dtype, ok := storages()[name]; ok {
			return &global{full, callable{dtype: dtype, storage: true}}, nil
		}
	}
	if module == "torch" {
		if dtype, ok := dtypes()[name]; ok {
			return &global{full, callable{dtype: dtype}}, nil
		}
	}
	switch full {
	case "torch.storage.UntypedStorage":
		return &global{full, callable{storage: true, untyped: true, dtype: safetensors.U8}}, nil
	case "torch.Tensor", "torch.nn.parameter.Parameter",
		"torch.nn.parameter.Buffer": // as arguments
		return &global{full, callable{}}, nil
	}
	return nil, fault(ErrName, quote(full)+"; "+saveWeights)
}

// orderedDict makes a dict, of nothing, of another dict or of pairs.
func orderedDict(arguments tuple) (any, error) {
	d := &dict{}
	if len(arguments) == 0 {
		return d, nil
	}
	switch from := arguments[0].(type) {
	case *dict:
		for i, key := range from.keys {
			if err := d.set(key, from.values[i]); err != nil {
				return nil, err
			}
		}
		return d, nil
	case *list:
		for _, item := range from.items {
			pair, ok := item.(tuple)
			if l, isList := item.(*list); isList {
				pair, ok = l.items, true
			}
			if !ok || len(pair) != 2 {
				return nil, fmt.Errorf("made of %s, not of pairs", kindOf(item))
			}
			if err := d.set(pair[0], pair[1]); err != nil {
				return nil, err
			}
		}
		return d, nil
	}
	return nil, fmt.Errorf("made of %s", kindOf(arguments[0]))
}

// set makes a list of a list: in which order its values are is not asked.
func set(arguments tuple) (any, error) {
	if len(arguments) == 0 {
		return &list{}, nil
	}
	l, ok := arguments[0].(*list)
	if !ok || len(arguments) != 1 {
		return nil, fmt.Errorf("made of %s", kindOf(arguments[0]))
	}
	return l, nil
}

// encode makes bytes of a text: what pickles of protocol 2 have for them.
func encode(arguments tuple) (any, error) {
	if len(arguments) != 2 || arguments[1] != "latin1" {
		return nil, fmt.Errorf("called with %d arguments, or for another code than latin1",
			len(arguments))
	}
	return other("bytes"), nil
}

// device is where a tensor lay, of which nothing is asked.
func device(tuple) (any, error) { return other("torch.device"), nil }

// size is a tuple by another name.
func size(arguments tuple) (any, error) {
	if len(arguments) != 1 {
		return nil, fmt.Errorf("called with %d arguments", len(arguments))
	}
	t, ok := arguments[0].(tuple)
	if !ok {
		return nil, fmt.Errorf("made of %s", kindOf(arguments[0]))
	}
	return t, nil
}
