package torchfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
)

const (
	// maxPickle is the longest pickle in bytes: a state dict takes some 300 a tensor.
	maxPickle = 64 << 20
	// maxValues is how many values a pickle may make: some 40 for each tensor. They take some
	// 100 bytes each.
	maxValues = 1 << 20
	// maxProtocol is the newest form of pickles.
	maxProtocol = 5
)

// machine runs a pickle: a stack of values, and a memo of those that are asked for again.
type machine struct {
	data  []byte
	at    int
	stack []any
	memo  map[uint32]any
	made  int // values so far
	// persistent is what stands for a value that the pickle leaves to its file: a storage.
	persistent func(id any) (any, error)
}

// run returns what the pickle at the beginning of data comes to, and the bytes behind it.
func run(data []byte, persistent func(id any) (any, error)) (value any, rest []byte, err error) {
	m := &machine{data: data, memo: make(map[uint32]any), persistent: persistent}
	for {
		if m.at > maxPickle {
			return nil, nil, fault(ErrLimit, fmt.Sprintf("the pickle is longer than %d bytes",
				maxPickle))
		}
		place := m.at
		code, err := m.byte()
		if err != nil {
			return nil, nil, err
		}
		if opcode(code) == opStop {
			value, err = m.pop()
			if err == nil && len(m.stack) > 0 {
				err = fault(ErrDamaged, fmt.Sprintf("the pickle ends with %d values too many; %s",
					len(m.stack), copyAgain))
			}
			return value, m.data[m.at:], err
		}
		if err := m.step(opcode(code)); err != nil {
			return nil, nil, at(err, place)
		}
		if err := m.enough(); err != nil {
			return nil, nil, err
		}
	}
}

// at adds the place in the pickle to an error that is about its form.
func at(err error, place int) error {
	var e *Error
	if errors.As(err, &e) && errors.Is(e.Err, ErrDamaged) {
		e.Detail = fmt.Sprintf("byte %d of the pickle: %s", place, e.Detail)
	}
	return err
}

func (m *machine) byte() (byte, error) {
	b, err := m.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// take returns the next n bytes, a part of the data.
func (m *machine) take(n uint64) ([]byte, error) {
	if left := uint64(len(m.data) - m.at); n > left {
		return nil, fault(ErrTruncated, fmt.Sprintf("the pickle takes %d bytes more and %d are "+
			"there; %s", n, left, copyAgain))
	}
	b := m.data[m.at : m.at+int(n)]
	m.at += int(n)
	return b, nil
}

// counted returns bytes whose number stands before them, in size bytes.
func (m *machine) counted(size int) ([]byte, error) {
	n, err := m.unsigned(size)
	if err != nil {
		return nil, err
	}
	return m.take(n)
}

// unsigned reads a little-endian number of at most 8 bytes.
func (m *machine) unsigned(size int) (uint64, error) {
	b, err := m.take(uint64(size))
	if err != nil {
		return 0, err
	}
	var whole [8]byte
	copy(whole[:], b)
	return binary.LittleEndian.Uint64(whole[:]), nil
}

// line returns the bytes up to a line feed, which it takes as well.
func (m *machine) line() (string, error) {
	const most = 1 << 10
	for i := m.at; i < len(m.data) && i < m.at+most; i++ {
		if m.data[i] == '\n' {
			text := string(m.data[m.at:i])
			m.at = i + 1
			return text, nil
		}
	}
	return "", fault(ErrDamaged, fmt.Sprintf("a name that does not end within %d bytes; %s", most,
		copyAgain))
}

func (m *machine) push(value any) {
	m.made++
	m.stack = append(m.stack, value)
}

func (m *machine) pop() (any, error) {
	if len(m.stack) == 0 {
		return nil, fault(ErrDamaged, "the stack is empty; "+copyAgain)
	}
	value := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return value, nil
}

// pops returns the last n values, in their order.
func (m *machine) pops(n int) ([]any, error) {
	if len(m.stack) < n {
		return nil, fault(ErrDamaged, fmt.Sprintf("the stack has %d values, and %d are asked "+
			"for; %s", len(m.stack), n, copyAgain))
	}
	values := append([]any(nil), m.stack[len(m.stack)-n:]...)
	m.stack = m.stack[:len(m.stack)-n]
	return values, nil
}

// sinceMark returns the values behind the last mark, which it takes as well.
func (m *machine) sinceMark() ([]any, error) {
	for i := len(m.stack) - 1; i >= 0; i-- {
		if _, ok := m.stack[i].(mark); ok {
			values := append([]any(nil), m.stack[i+1:]...)
			m.stack = m.stack[:i]
			return values, nil
		}
	}
	return nil, fault(ErrDamaged, "a container ends that has not begun; "+copyAgain)
}

// top is the last value, which stays.
func (m *machine) top() (any, error) {
	if len(m.stack) == 0 {
		return nil, fault(ErrDamaged, "the stack is empty; "+copyAgain)
	}
	return m.stack[len(m.stack)-1], nil
}

func (m *machine) put(index uint64) error {
	value, err := m.top()
	if err == nil {
		m.made++ // a place in the memo
		m.memo[uint32(index)] = value
	}
	return err
}

func (m *machine) get(index uint64) error {
	value, ok := m.memo[uint32(index)]
	if !ok {
		return fault(ErrDamaged, fmt.Sprintf("value %d is asked for again, and was not kept; %s",
			index, copyAgain))
	}
	m.push(value)
	return nil
}

// extend appends to the list on the stack.
func (m *machine) extend(values []any) error {
	top, err := m.top()
	if err != nil {
		return err
	}
	l, ok := top.(*list)
	if !ok {
		return fault(ErrDamaged, "a list is appended to, and it is "+kindOf(top)+"; "+copyAgain)
	}
	l.items = append(l.items, values...)
	return nil
}

// setItems sets entries of the dict on the stack: keys and values in turn.
func (m *machine) setItems(pairs []any) error {
	top, err := m.top()
	if err != nil {
		return err
	}
	d, ok := top.(*dict)
	if !ok || len(pairs)%2 != 0 {
		return fault(ErrDamaged, "entries of a dict are set, and it is "+kindOf(top)+"; "+copyAgain)
	}
	for i := 0; i < len(pairs); i += 2 {
		if err := d.set(pairs[i], pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// call is REDUCE and NEWOBJ: a callable and its arguments are on the stack.
func (m *machine) call() error {
	values, err := m.pops(2)
	if err != nil {
		return err
	}
	function, ok := values[0].(*global)
	if !ok {
		return fault(ErrDamaged, kindOf(values[0])+" is called as a function; "+copyAgain)
	}
	arguments, ok := values[1].(tuple)
	if !ok {
		return fault(ErrDamaged, function.name+" is called with "+kindOf(values[1])+"; "+copyAgain)
	}
	// What is made of a container is counted, or a small pickle could copy a large one again and
	// again.
	for _, argument := range arguments {
		switch argument := argument.(type) {
		case *dict:
			m.made += len(argument.keys)
		case *list:
			m.made += len(argument.items)
		}
	}
	if err := m.enough(); err != nil {
		return err
	}
	value, err := function.call(arguments)
	if err != nil {
		return err
	}
	m.push(value)
	return nil
}

// enough refuses a pickle that makes more values than a state dict takes.
func (m *machine) enough() error {
	if m.made > maxValues {
		return fault(ErrLimit, fmt.Sprintf("the pickle makes more than %d values", maxValues))
	}
	return nil
}

// build is BUILD: what torch.save adds to an OrderedDict is the versions of the modules, in an
// attribute, of which nothing is asked.
func (m *machine) build() error {
	values, err := m.pops(2)
	if err != nil {
		return err
	}
	if _, ok := values[0].(*dict); !ok {
		return fault(ErrUnsupported, "attributes of "+kindOf(values[0])+"; "+saveWeights)
	}
	switch values[1].(type) {
	case *dict, tuple, nil:
		m.push(values[0])
		return nil
	}
	return fault(ErrDamaged, "the attributes of a dict are "+kindOf(values[1])+"; "+copyAgain)
}

// global pushes what the name stands for.
func (m *machine) global(module, name string) error {
	g, err := known(module, name)
	if err == nil {
		m.push(g)
	}
	return err
}

// stored pushes what the persistent id on the stack stands for.
func (m *machine) stored() error {
	id, err := m.pop()
	if err != nil {
		return err
	}
	value, err := m.persistent(id)
	if err == nil {
		m.push(value)
	}
	return err
}

// integer is a signed number of any length, little-endian.
func integer(b []byte) any {
	if len(b) > 8 {
		return number(b)
	}
	var whole [8]byte
	copy(whole[:], b)
	u := binary.LittleEndian.Uint64(whole[:])
	if n := len(b); n > 0 && n < 8 && b[n-1]&0x80 != 0 {
		u |= math.MaxUint64 << (8 * n)
	}
	return int64(u)
}

// product multiplies numbers that are not negative; ok is false where 63 bits do not hold it.
func product(factors ...uint64) (result uint64, ok bool) {
	result = 1
	for _, factor := range factors {
		hi, lo := bits.Mul64(result, factor)
		if hi != 0 || lo > math.MaxInt64 {
			return 0, false
		}
		result = lo
	}
	return result, true
}
