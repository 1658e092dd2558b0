package torchfile

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// opcode is an instruction of a pickle.
type opcode byte

// The instructions that torch.save writes, by their names in Python's pickletools.
const (
	opMark            opcode = '('
	opStop            opcode = '.'
	opPop             opcode = '0'
	opPopMark         opcode = '1'
	opBinFloat        opcode = 'G'
	opBinInt          opcode = 'J'
	opBinInt1         opcode = 'K'
	opBinInt2         opcode = 'M'
	opNone            opcode = 'N'
	opBinPersID       opcode = 'Q'
	opReduce          opcode = 'R'
	opBinString       opcode = 'T'
	opShortBinString  opcode = 'U'
	opBinUnicode      opcode = 'X'
	opAppend          opcode = 'a'
	opBuild           opcode = 'b'
	opGlobal          opcode = 'c'
	opAppends         opcode = 'e'
	opBinGet          opcode = 'h'
	opLongBinGet      opcode = 'j'
	opBinPut          opcode = 'q'
	opLongBinPut      opcode = 'r'
	opSetItem         opcode = 's'
	opTuple           opcode = 't'
	opSetItems        opcode = 'u'
	opEmptyDict       opcode = '}'
	opEmptyList       opcode = ']'
	opEmptyTuple      opcode = ')'
	opProto           opcode = 0x80
	opNewObj          opcode = 0x81
	opTuple1          opcode = 0x85
	opTuple2          opcode = 0x86
	opTuple3          opcode = 0x87
	opNewTrue         opcode = 0x88
	opNewFalse        opcode = 0x89
	opLong1           opcode = 0x8a
	opBinBytes        opcode = 'B'
	opShortBinBytes   opcode = 'C'
	opShortBinUnicode opcode = 0x8c
	opBinUnicode8     opcode = 0x8d
	opBinBytes8       opcode = 0x8e
	opEmptySet        opcode = 0x8f
	opAddItems        opcode = 0x90
	opStackGlobal     opcode = 0x93
	opMemoize         opcode = 0x94
	opFrame           opcode = 0x95
)

// step carries out one instruction other than opStop.
func (m *machine) step(code opcode) error {
	switch code {
	case opProto:
		version, err := m.byte()
		if err == nil && (version < 2 || version > maxProtocol) {
			return fault(ErrUnsupported, fmt.Sprintf("a pickle of protocol %d; save it again "+
				"with PyTorch's default, 2", version))
		}
		return err
	case opFrame: // how long what follows is: the data is here already
		_, err := m.take(8)
		return err
	case opMark:
		m.push(mark{})
	case opPop:
		_, err := m.pop()
		return err
	case opPopMark:
		_, err := m.sinceMark()
		return err
	case opNone:
		m.push(nil)
	case opNewTrue:
		m.push(true)
	case opNewFalse:
		m.push(false)
	case opBinInt, opBinInt1, opBinInt2, opLong1, opBinFloat:
		return m.pushNumber(code)
	case opBinString, opShortBinString, opBinUnicode, opShortBinUnicode, opBinUnicode8:
		return m.pushText(code)
	case opBinBytes, opShortBinBytes, opBinBytes8:
		b, err := m.counted(sizeOf(code))
		if err != nil {
			return err
		}
		m.push(b)
	case opBinPut, opLongBinPut, opMemoize, opBinGet, opLongBinGet:
		return m.remember(code)
	case opGlobal, opStackGlobal:
		return m.named(code)
	case opBinPersID:
		return m.stored()
	case opReduce, opNewObj:
		return m.call()
	case opBuild:
		return m.build()
	default:
		return m.collect(code)
	}
	return nil
}

// collect carries out the instructions of containers.
func (m *machine) collect(code opcode) error {
	switch code {
	case opEmptyDict:
		m.push(&dict{})
	case opEmptyList, opEmptySet:
		m.push(&list{})
	case opEmptyTuple:
		m.push(tuple{})
	case opTuple1, opTuple2, opTuple3:
		values, err := m.pops(int(code-opTuple1) + 1)
		if err != nil {
			return err
		}
		m.push(tuple(values))
	case opTuple:
		values, err := m.sinceMark()
		if err != nil {
			return err
		}
		m.push(tuple(values))
	case opAppend:
		values, err := m.pops(1)
		if err != nil {
			return err
		}
		return m.extend(values)
	case opAppends, opAddItems:
		values, err := m.sinceMark()
		if err != nil {
			return err
		}
		return m.extend(values)
	case opSetItem:
		pair, err := m.pops(2)
		if err != nil {
			return err
		}
		return m.setItems(pair)
	case opSetItems:
		pairs, err := m.sinceMark()
		if err != nil {
			return err
		}
		return m.setItems(pairs)
	default:
		return fault(ErrUnsupported, fmt.Sprintf("the pickle's instruction %#02x, which "+
			"torch.save does not write; %s", byte(code), copyAgain))
	}
	return nil
}

// sizeOf is how many bytes the number takes that stands behind the instruction.
func sizeOf(code opcode) int {
	switch code {
	case opBinInt2:
		return 2
	case opBinInt, opBinString, opBinUnicode, opBinBytes, opLongBinPut, opLongBinGet:
		return 4
	case opBinUnicode8, opBinBytes8:
		return 8
	}
	return 1
}

func (m *machine) pushNumber(code opcode) error {
	switch code {
	case opBinFloat: // the only number that is big-endian
		b, err := m.take(8)
		if err != nil {
			return err
		}
		m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
		return nil
	case opLong1:
		b, err := m.counted(1)
		if err != nil {
			return err
		}
		m.push(integer(b))
		return nil
	}
	n, err := m.unsigned(sizeOf(code))
	if err != nil {
		return err
	}
	if code == opBinInt {
		m.push(int64(int32(n)))
	} else {
		m.push(int64(n))
	}
	return nil
}

func (m *machine) pushText(code opcode) error {
	b, err := m.counted(sizeOf(code))
	if err != nil {
		return err
	}
	if !utf8.Valid(b) {
		if code == opBinString || code == opShortBinString { // of Python 2, whose texts were bytes
			m.push(b)
			return nil
		}
		return fault(ErrDamaged, "a text that is not UTF-8: "+quote(string(b))+"; "+copyAgain)
	}
	m.push(string(b))
	return nil
}

// remember carries out the instructions of the memo.
func (m *machine) remember(code opcode) error {
	if code == opMemoize {
		return m.put(uint64(len(m.memo)))
	}
	index, err := m.unsigned(sizeOf(code))
	if err != nil {
		return err
	}
	if code == opBinPut || code == opLongBinPut {
		return m.put(index)
	}
	return m.get(index)
}

// named carries out the instructions that name something of Python's.
func (m *machine) named(code opcode) error {
	if code == opGlobal {
		module, err := m.line()
		if err != nil {
			return err
		}
		name, err := m.line()
		if err != nil {
			return err
		}
		return m.global(module, name)
	}
	values, err := m.pops(2)
	if err != nil {
		return err
	}
	module, ok := values[0].(string)
	name, too := values[1].(string)
	if !ok || !too {
		return fault(ErrDamaged, "a name that is "+kindOf(values[0])+" and "+kindOf(values[1])+"; "+
			copyAgain)
	}
	return m.global(module, name)
}
