package torchfile

import (
	"fmt"
	"strconv"
)

// The values of the machine. Beside these there are nil for None, bool, int64, float64, string,
// []byte, and tuple.
type (
	tuple []any
	// list is a Python list, or a set: it grows while others hold it.
	list struct{ items []any }
	// dict keeps its keys in the order in which they came, as Python does.
	dict struct {
		keys   []any // strings, int64 and bool
		values []any
		at     map[any]int // places in both, nil while there are none
	}
	// global is a name of the closed list.
	global struct {
		name string // module.name, with Python 3's modules
		callable
	}
	// number is an integer of more than 64 bits, little-endian. No state dict needs its value.
	number []byte
	// other is a value that a state dict may hold beside its tensors and of which nothing is
	// asked, such as torch.device.
	other string
	// mark is on the stack where a container begins.
	mark struct{}
)

func (d *dict) set(key, value any) error {
	switch key.(type) {
	case string, int64, bool:
	default:
		return fault(ErrUnsupported, "a key that is "+kindOf(key)+
			", where a state dict has names or numbers; "+saveWeights)
	}
	if at, ok := d.at[key]; ok {
		d.values[at] = value
		return nil
	}
	if d.at == nil {
		d.at = make(map[any]int)
	}
	d.at[key] = len(d.keys)
	d.keys = append(d.keys, key)
	d.values = append(d.values, value)
	return nil
}

// keyText is how a key stands in a tensor's name.
func keyText(key any) string {
	switch key := key.(type) {
	case string:
		return key
	case int64:
		return strconv.FormatInt(key, 10)
	}
	return fmt.Sprint(key)
}

// kindOf names a value's type for messages.
func kindOf(value any) string {
	switch value := value.(type) {
	case nil:
		return "None"
	case bool:
		return "a bool"
	case int64, number:
		return "an integer"
	case float64:
		return "a float"
	case string:
		return "a text"
	case []byte:
		return "bytes"
	case tuple:
		return "a tuple"
	case *list:
		return "a list"
	case *dict:
		return "a dict"
	case *global:
		return value.name
	case *storage:
		return "a storage"
	case *tensor:
		return "a tensor"
	case other:
		return string(value)
	case mark:
		return "the beginning of a container"
	}
	return fmt.Sprintf("%T", value)
}
