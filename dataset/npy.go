package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strconv"
	"strings"

	"slipway/dataset/picture"
)

const (
	npyMagic = "\x93NUMPY"
	// maxNPYHeader is the most that the text of a header takes. Those of arrays of
	// numbers have about a hundred bytes.
	maxNPYHeader = 1 << 16
	// maxDimensions is NumPy's own limit.
	maxDimensions = 64
)

// npyHeader is what the text at the beginning of a .npy file says.
type npyHeader struct {
	descr   string // as '<f4'; empty for a structure of several fields
	fortran bool
	shape   []int
}

// readNPY reads one array in the format that numpy.lib.format describes, versions 1 to 3.
// At most limit bytes of data are read, and memory grows with what is there. What is
// refused is named: objects, which are Python's pickles, texts, structures, complex numbers
// and booleans, which leave open what white is.
func readNPY(r io.Reader, limit int64) (*array, error) {
	text, err := readNPYHeader(r)
	if err != nil {
		return nil, err
	}
	header, err := parseNPYHeader(text)
	if err != nil {
		return nil, fmt.Errorf("%w: its header: %w", ErrNumPy, err)
	}
	of, err := npyElement(header.descr)
	if err != nil {
		return nil, err
	}
	size := uint64(of.size)
	for _, dim := range header.shape {
		high, low := bits.Mul64(size, uint64(dim))
		if high != 0 || low > uint64(limit) || int64(dim) > limit {
			return nil, fmt.Errorf("%w: %s of shape %v, the limit is %d bytes; store images "+
				"as uint8, in several sets if they are more", ErrTooLarge, of.name, header.shape, limit)
		}
		size = low
	}
	if header.fortran && len(header.shape) > 1 {
		return nil, fmt.Errorf("%w: its order is Fortran's, with the first index fastest; store "+
			"np.ascontiguousarray(array)", ErrNumPy)
	}
	data, err := readData(r, size)
	if errors.Is(err, ErrTrailing) {
		return nil, fmt.Errorf("%w: shape %v of %s takes %d bytes and more follow; the header "+
			"or the file is damaged", ErrTrailing, header.shape, of.name, size)
	}
	if err != nil {
		return nil, err
	}
	return &array{element: of, shape: header.shape, data: data}, nil
}

// readNPYHeader returns the text of the header.
func readNPYHeader(r io.Reader) (string, error) {
	begin := make([]byte, len(npyMagic)+2) // and the version
	n, err := io.ReadFull(r, begin)
	if !strings.HasPrefix(string(begin[:n]), npyMagic[:min(n, len(npyMagic))]) {
		if kind := picture.Kind(begin[:n]); kind != "" {
			return "", fmt.Errorf("%w: it begins as %s", ErrNumPy, kind)
		}
		return "", fmt.Errorf("%w: it begins with % x, not with \\x93NUMPY", ErrNumPy, begin[:n])
	}
	if err != nil {
		return "", readError(err, "first 8 bytes")
	}
	version, length := begin[len(npyMagic)], 0
	switch version {
	case 1:
		var short [2]byte
		_, err = io.ReadFull(r, short[:])
		length = int(binary.LittleEndian.Uint16(short[:]))
	case 2, 3: // 3 has UTF-8 in its fields' names
		var long [4]byte
		_, err = io.ReadFull(r, long[:])
		length = int(min(binary.LittleEndian.Uint32(long[:]), maxNPYHeader+1))
	default:
		return "", fmt.Errorf("%w: version %d of the format; there are 1 to 3", ErrNumPy, version)
	}
	if err != nil {
		return "", readError(err, "length of the header")
	}
	if length > maxNPYHeader {
		return "", fmt.Errorf("%w: a header of more than %d bytes", ErrTooLarge, maxNPYHeader)
	}
	text, err := io.ReadAll(io.LimitReader(r, int64(length)))
	if err == nil && len(text) < length {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", readError(err, "header")
	}
	return string(text), nil
}

// npyElement is the type that NumPy writes as '<f4': the byte order, the kind, the bytes.
func npyElement(descr string) (element, error) {
	if descr == "" {
		return element{}, fmt.Errorf("%w: it has several fields; store one array of numbers",
			ErrNumPy)
	}
	var order binary.ByteOrder = binary.LittleEndian
	rest := descr
	switch descr[0] {
	case '>':
		order = binary.BigEndian
		fallthrough
	case '<', '|':
		rest = descr[1:]
	}
	if rest == "" {
		return element{}, fmt.Errorf("%w: %q", ErrElementType, descr)
	}
	switch rest[0] {
	case 'O':
		return element{}, fmt.Errorf("%w: objects (%s), which are Python's pickles and may be "+
			"anything; store one array of numbers: np.stack(images).astype(np.uint8)",
			ErrElementType, descr)
	case 'U', 'S', 'a':
		return element{}, fmt.Errorf("%w: texts (%s); store numbers: np.unique(labels, "+
			"return_inverse=True)[1]", ErrElementType, descr)
	case 'b':
		if rest == "b1" {
			return element{}, fmt.Errorf("%w: booleans (%s); store numbers, labels as "+
				"array.astype(np.uint8), and images with white as 255: "+
				"255 * images.astype(np.uint8)", ErrElementType, descr)
		}
	}
	if size, err := strconv.Atoi(rest[1:]); err == nil {
		if of, ok := elementOf(rest[0], size, order); ok {
			return of, nil
		}
	}
	return element{}, fmt.Errorf("%w: %q; images are uint8, int8 to int64 or float16 to float64",
		ErrElementType, descr)
}

// parseNPYHeader reads the header's text, which is a Python dictionary of three known
// entries: {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }.
func parseNPYHeader(text string) (npyHeader, error) {
	p := &pythonText{rest: text}
	var header npyHeader
	seen := make(map[string]bool)
	if err := p.expect('{'); err != nil {
		return header, err
	}
	for !p.take('}') {
		key, err := p.quoted()
		if err != nil {
			return header, err
		}
		if err := p.expect(':'); err != nil {
			return header, err
		}
		if seen[key] {
			return header, fmt.Errorf("%q is in it twice", key)
		}
		seen[key] = true
		switch key {
		case "descr":
			if p.peek('[') { // a structure; no need to know more
				return npyHeader{}, nil
			}
			if header.descr, err = p.quoted(); err == nil && header.descr == "" {
				err = errors.New("the type is empty")
			}
		case "fortran_order":
			header.fortran, err = p.boolean()
		case "shape":
			header.shape, err = p.numbers()
		default:
			err = fmt.Errorf("unknown entry %q", key)
		}
		if err != nil {
			return header, err
		}
		if !p.take(',') && !p.peek('}') {
			return header, p.unexpected("a comma or }")
		}
	}
	for _, key := range []string{"descr", "fortran_order", "shape"} {
		if !seen[key] {
			return header, fmt.Errorf("%q is missing", key)
		}
	}
	if rest := strings.Trim(p.rest, " \n\x00"); rest != "" {
		return header, p.unexpected("nothing more")
	}
	return header, nil
}

// pythonText takes literals from the beginning of a text.
type pythonText struct{ rest string }

func (p *pythonText) peek(c byte) bool {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	return p.rest != "" && p.rest[0] == c
}

func (p *pythonText) take(c byte) bool {
	if p.peek(c) {
		p.rest = p.rest[1:]
		return true
	}
	return false
}

func (p *pythonText) expect(c byte) error {
	if !p.take(c) {
		return p.unexpected(strconv.QuoteRune(rune(c)))
	}
	return nil
}

func (p *pythonText) unexpected(wanted string) error {
	return fmt.Errorf("%q where %s is wanted", p.rest[:min(len(p.rest), 16)], wanted)
}

// quoted takes a text in single or double quotes. NumPy escapes nothing here.
func (p *pythonText) quoted() (string, error) {
	for _, quote := range []byte{'\'', '"'} {
		if !p.peek(quote) {
			continue
		}
		text, rest, ok := strings.Cut(p.rest[1:], string(quote))
		if !ok {
			return "", p.unexpected("a text with its closing quote")
		}
		p.rest = rest
		return text, nil
	}
	return "", p.unexpected("a text in quotes")
}

func (p *pythonText) boolean() (bool, error) {
	p.peek(' ')
	for _, value := range []bool{false, true} {
		word := map[bool]string{false: "False", true: "True"}[value]
		if rest, ok := strings.CutPrefix(p.rest, word); ok {
			p.rest = rest
			return value, nil
		}
	}
	return false, p.unexpected("True or False")
}

// numbers takes a tuple of whole numbers from 0. Python 2 wrote an L behind long ones.
func (p *pythonText) numbers() ([]int, error) {
	if err := p.expect('('); err != nil {
		return nil, err
	}
	list := []int{}
	for !p.take(')') {
		p.peek(' ')
		end := strings.IndexFunc(p.rest, func(c rune) bool { return c < '0' || c > '9' })
		if end < 1 {
			return nil, p.unexpected("a whole number from 0")
		}
		number, err := strconv.Atoi(p.rest[:end])
		if err != nil {
			return nil, p.unexpected("a number that 63 bits hold")
		}
		p.rest = p.rest[end:]
		p.take('L')
		if list = append(list, number); len(list) > maxDimensions {
			return nil, fmt.Errorf("more than %d dimensions", maxDimensions)
		}
		if !p.take(',') && !p.peek(')') {
			return nil, p.unexpected("a comma or )")
		}
	}
	return list, nil
}

// isNPY tells an array by the first bytes of its file.
func isNPY(start []byte) bool { return bytes.HasPrefix(start, []byte(npyMagic)) }
