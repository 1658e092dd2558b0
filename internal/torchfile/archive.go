package torchfile

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"strings"

	"slipway/internal/safetensors"
)

// zipBegin is how a ZIP archive with something in it begins.
const zipBegin = "PK\x03\x04"

// archive is a file of the newer form: its records by their names without the folder that is
// before them all.
type archive struct {
	records  map[string][]byte
	storages map[string]*storage
}

// readArchive returns what the pickle of a ZIP archive comes to.
func readArchive(data []byte) (any, error) {
	a, err := openArchive(data)
	if err != nil {
		return nil, err
	}
	order, given := a.records["byteorder"]
	if text := strings.TrimSpace(string(order)); given && text != "little" {
		return nil, fault(ErrUnsupported, "numbers of byte order "+quote(text)+
			", where little is read; "+
			"save it again on a machine of x86 or ARM")
	}
	pickle := a.records["data.pkl"]
	value, rest, err := run(pickle, a.storage)
	if err == nil && len(rest) > 0 {
		err = fault(ErrDamaged, fmt.Sprintf("%d bytes behind the pickle; %s", len(rest), copyAgain))
	}
	return value, err
}

// openArchive finds the records, and checks their sums.
func openArchive(data []byte) (*archive, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fault(ErrDamaged, err.Error()+"; "+copyAgain)
	}
	folder, err := folderOf(z)
	if err != nil {
		return nil, err
	}
	a := &archive{records: make(map[string][]byte), storages: make(map[string]*storage)}
	left := uint64(len(data)) // each byte is of one record: one that many share is read as often
	for _, entry := range z.File {
		name, ok := strings.CutPrefix(entry.Name, folder)
		if !ok {
			continue
		}
		if _, twice := a.records[name]; twice {
			return nil, fault(ErrDamaged, "two records are called "+quote(entry.Name)+"; "+
				copyAgain)
		}
		if a.records[name], err = record(data, entry); err != nil {
			return nil, err
		}
		if entry.UncompressedSize64 > left {
			return nil, fault(ErrDamaged, "its records take more bytes than the file has; "+copyAgain)
		}
		left -= entry.UncompressedSize64
	}
	return a, nil
}

// folderOf returns what is before the records' names, which is that before data.pkl.
func folderOf(z *zip.Reader) (string, error) {
	folder, found := "", false
	for _, entry := range z.File {
		before, ok := strings.CutSuffix(entry.Name, "data.pkl")
		switch {
		case strings.HasSuffix(entry.Name, "/constants.pkl"),
			strings.Contains(entry.Name, "/code/"):
			return "", fault(ErrUnsupported, "a TorchScript program ("+quote(entry.Name)+"); "+
				saveWeights)
		case !ok, before != "" && strings.Index(before, "/") != len(before)-1:
			continue // not NAME/data.pkl
		case found:
			return "", fault(ErrDamaged, "two pickles, in "+quote(folder)+" and in "+quote(before)+
				"; "+copyAgain)
		}
		folder, found = before, true
	}
	if !found {
		return "", fault(ErrFormat, "it is a ZIP archive without a record data.pkl; give a file "+
			"of torch.save")
	}
	return folder, nil
}

// record returns the bytes of a record, which is a part of data.
func record(data []byte, entry *zip.File) ([]byte, error) {
	if entry.Method != zip.Store || entry.CompressedSize64 != entry.UncompressedSize64 {
		return nil, fault(ErrUnsupported, fmt.Sprintf("record %s is compressed, of %d bytes; "+
			"torch.save compresses nothing: save it again",
			quote(entry.Name), entry.UncompressedSize64))
	}
	if entry.Flags&1 != 0 {
		return nil, fault(ErrUnsupported, "record "+quote(entry.Name)+" is encrypted")
	}
	begin, err := entry.DataOffset()
	if err != nil {
		return nil, fault(ErrDamaged, fmt.Sprintf("record %s: %v; %s", quote(entry.Name), err,
			copyAgain))
	}
	size := entry.UncompressedSize64
	if begin < 0 || uint64(begin) > uint64(len(data)) || size > uint64(len(data))-uint64(begin) {
		return nil, fault(ErrTruncated, fmt.Sprintf("record %s takes %d bytes from %d on, and "+
			"the file has %d; %s",
			quote(entry.Name), size, begin, len(data), copyAgain))
	}
	content := data[uint64(begin) : uint64(begin)+size : uint64(begin)+size]
	// PyTorch writes 0 where it was told to compute no sums.
	if sum := crc32.ChecksumIEEE(content); entry.CRC32 != 0 && sum != entry.CRC32 {
		return nil, fault(ErrDamaged, fmt.Sprintf("record %s: its sum is %08x, and was %08x; %s",
			quote(entry.Name), sum, entry.CRC32, copyAgain))
	}
	return content, nil
}

// storage is what ("storage", type, key, location, elements) stands for.
func (a *archive) storage(id any) (any, error) {
	claim, err := parseStorage(id, 5)
	if err != nil {
		return nil, err
	}
	if s, ok := a.storages[claim.key]; ok {
		return s, claim.same(s)
	}
	content, ok := a.records["data/"+claim.key]
	if !ok {
		return nil, fault(ErrDamaged, "record data/"+claim.key+" is missing; "+copyAgain)
	}
	if err := claim.fits(uint64(len(content))); err != nil {
		return nil, err
	}
	claim.data = content
	a.storages[claim.key] = claim
	return claim, nil
}

// parseStorage reads a persistent id of that many values; their first five are the same in both
// forms.
func parseStorage(id any, values int) (*storage, error) {
	t, ok := id.(tuple)
	if !ok || len(t) == 0 {
		return nil, fault(ErrUnsupported, "a reference to "+kindOf(id)+
			", where one to a storage is; "+saveWeights)
	}
	if t[0] != "storage" {
		what, _ := t[0].(string)
		return nil, fault(ErrUnsupported, "a reference to "+quote(what)+
			", where one to a storage is; "+saveWeights)
	}
	if len(t) != values {
		return nil, fault(ErrDamaged, fmt.Sprintf("a reference to a storage has %d values, not "+
			"%d; %s", len(t), values, copyAgain))
	}
	kind, ok := t[1].(*global)
	key, isText := t[2].(string)
	location, hasLocation := t[3].(string)
	elements, isNumber := t[4].(int64)
	if !ok || !kind.storage || !isText || !hasLocation || !isNumber || elements < 0 {
		return nil, fault(ErrDamaged, fmt.Sprintf("a reference to a storage is of %s, %s, %s, "+
			"%s; %s",
			kindOf(t[1]), kindOf(t[2]), kindOf(t[3]), shown(t[4]), copyAgain))
	}
	if location == "meta" {
		return nil, fault(ErrUnsupported, "storage "+quote(key)+
			" is on the device meta, which keeps no values")
	}
	return &storage{key: key, dtype: kind.dtype, untyped: kind.untyped, elements: uint64(elements)},
		nil
}

// same refuses a second claim of another size or type to a storage.
func (s *storage) same(other *storage) error {
	if s.dtype != other.dtype || s.untyped != other.untyped || s.elements != other.elements {
		return fault(ErrDamaged, fmt.Sprintf("storage %s is of %d %s, and of %d %s; %s",
			quote(s.key), s.elements, s.dtype, other.elements, other.dtype, copyAgain))
	}
	return nil
}

// fits compares what is claimed with the bytes that are there.
func (s *storage) fits(have uint64) error {
	size := uint64(1)
	if !s.untyped {
		size = uint64(s.dtype.Size())
	}
	if need, ok := product(s.elements, size); !ok || need != have {
		return fault(ErrClaim, fmt.Sprintf("storage %s is to have %d elements of %s, and the "+
			"file has %d bytes of it; %s",
			quote(s.key), s.elements, s.elementName(), have, copyAgain))
	}
	return nil
}

func (s *storage) elementName() safetensors.DType {
	if s.untyped {
		return "a byte"
	}
	return s.dtype
}
