package torchfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// legacyMagic is what the first pickle of the legacy form holds.
var legacyMagic = number{0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19}

// legacyVersion is what the second one holds.
const legacyVersion = 1001

// legacy is a file of the form before PyTorch 1.6.
type legacy struct {
	roots map[string]*storage
	views map[string]*storageView
}

// storageView is a storage that is a part of another one.
type storageView struct {
	*storage
	root   *storage
	offset uint64
}

// readLegacy returns what the fourth pickle comes to: the first three say what the file is, the
// fifth lists the storages behind it.
func readLegacy(data []byte) (any, error) {
	rest, err := legacyHeader(data)
	if err != nil {
		return nil, err
	}
	l := &legacy{roots: make(map[string]*storage), views: make(map[string]*storageView)}
	value, rest, err := run(rest, l.storage)
	if err != nil {
		return nil, err
	}
	keys, rest, err := run(rest, noStorage)
	if err != nil {
		return nil, err
	}
	order, ok := keys.(*list)
	if !ok {
		return nil, fault(ErrDamaged, "the list of storages is "+kindOf(keys)+"; "+copyAgain)
	}
	return value, l.fill(order.items, rest)
}

// noStorage is the machine's where no storage can be.
func noStorage(any) (any, error) {
	return nil, fault(ErrDamaged, "a reference to a storage where none can be; "+copyAgain)
}

// legacyHeader reads the first three pickles, and returns what is behind them.
func legacyHeader(data []byte) ([]byte, error) {
	magic, rest, err := run(data, noStorage)
	if err != nil {
		return nil, err
	}
	if found, ok := magic.(number); !ok || !bytes.Equal(found, legacyMagic) {
		return nil, fault(ErrFormat, "it is a pickle, and not one of torch.save; "+saveWeights)
	}
	version, rest, err := run(rest, noStorage)
	if err != nil {
		return nil, err
	}
	if version != int64(legacyVersion) {
		return nil, fault(ErrUnsupported, fmt.Sprintf("version %s of the legacy form, where %d "+
			"is read; save it again", shown(version), legacyVersion))
	}
	system, rest, err := run(rest, noStorage)
	if err != nil {
		return nil, err
	}
	about, ok := system.(*dict)
	if !ok {
		return nil, fault(ErrDamaged, "what is said of the system is "+kindOf(system)+"; "+
			copyAgain)
	}
	if at, given := about.at["little_endian"]; given && about.values[at] != true {
		return nil, fault(ErrUnsupported, "numbers of byte order \"big\", where little is read; "+
			"save it again on a machine of x86 or ARM")
	}
	return rest, nil
}

// storage is what ("storage", type, key, location, elements, view) stands for, view being None
// or (key, offset, elements).
func (l *legacy) storage(id any) (any, error) {
	claim, err := parseStorage(id, 6)
	if err != nil {
		return nil, err
	}
	if claim.untyped {
		return nil, fault(ErrUnsupported, "an untyped storage in the legacy form, which PyTorch "+
			"does not read either; save it again without _use_new_zipfile_serialization=False")
	}
	root, ok := l.roots[claim.key]
	if !ok {
		root = claim
		l.roots[claim.key] = root
	} else if err := claim.same(root); err != nil {
		return nil, err
	}
	view := id.(tuple)[5]
	if view == nil {
		return root, nil
	}
	return l.part(root, view)
}

// part returns the storage that is a part of the root.
func (l *legacy) part(root *storage, view any) (*storage, error) {
	t, ok := view.(tuple)
	if !ok || len(t) != 3 {
		return nil, fault(ErrDamaged, "a part of a storage is "+kindOf(view)+"; "+copyAgain)
	}
	key, isText := t[0].(string)
	offset, isOffset := t[1].(int64)
	elements, isNumber := t[2].(int64)
	if !isText || !isOffset || !isNumber || offset < 0 || elements < 0 {
		return nil, fault(ErrDamaged, fmt.Sprintf("a part of a storage is of %s, %s, %s; %s",
			kindOf(t[0]), shown(t[1]), shown(t[2]), copyAgain))
	}
	if uint64(offset) > root.elements || uint64(elements) > root.elements-uint64(offset) {
		return nil, fault(ErrClaim, fmt.Sprintf("elements %d to %d of storage %s, which has %d; %s",
			offset, uint64(offset)+uint64(elements), quote(root.key), root.elements, copyAgain))
	}
	// The same part of another root would be a file's trick.
	name := root.key + "\x00" + key
	made := &storage{key: key, dtype: root.dtype, untyped: root.untyped, elements: uint64(elements)}
	if known, ok := l.views[name]; ok {
		if known.offset != uint64(offset) {
			return nil, fault(ErrDamaged, "two parts of a storage are called "+quote(key)+"; "+
				copyAgain)
		}
		return known.storage, made.same(known.storage)
	}
	l.views[name] = &storageView{made, root, uint64(offset)}
	return made, nil
}

// fill gives the storages their bytes: of each its number of elements, 8 bytes, and those.
func (l *legacy) fill(keys []any, data []byte) error {
	filled := make(map[string]bool)
	for _, key := range keys {
		name, ok := key.(string)
		root := l.roots[name]
		if !ok || root == nil || filled[name] {
			return fault(ErrDamaged, "the list of storages has "+quote(name)+
				", to which no tensor refers, or twice; "+copyAgain)
		}
		filled[name] = true
		if len(data) < 8 {
			return fault(ErrTruncated, "storage "+quote(name)+" is missing; "+copyAgain)
		}
		elements := binary.LittleEndian.Uint64(data)
		data = data[8:]
		if elements != root.elements {
			return fault(ErrClaim, fmt.Sprintf("storage %s is to have %d elements, and the file "+
				"has %d of it; %s", quote(name), root.elements, elements, copyAgain))
		}
		each := uint64(root.dtype.Size())
		size, ok := product(elements, each)
		if !ok || size > uint64(len(data)) {
			return fault(ErrTruncated, fmt.Sprintf("storage %s takes %d elements of %d bytes, "+
				"and %d bytes are there; %s",
				quote(name), elements, each, len(data), copyAgain))
		}
		root.data, data = data[:size:size], data[size:]
	}
	for name := range l.roots {
		if !filled[name] {
			return fault(ErrDamaged, "storage "+quote(name)+" is missing; "+copyAgain)
		}
	}
	if len(data) > 0 {
		return fault(ErrDamaged, fmt.Sprintf("%d bytes behind the last storage; %s", len(data),
			copyAgain))
	}
	for _, v := range l.views {
		size := uint64(v.dtype.Size())
		v.data = v.root.data[v.offset*size : (v.offset+v.elements)*size]
	}
	return nil
}
