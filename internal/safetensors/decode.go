package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// remedy ends the message about a file that no writer of the format makes.
const remedy = "the file is damaged or not safetensors; take another copy or write it again"

// Read reads the file at path, and compares it with the digest that Write gave it. An error about
// its content is an *Error.
func Read(path string) (*File, error) {
	info, err := os.Stat(path) // before opening: a named pipe would block
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file (%s); give a safetensors file", path,
			info.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()

	// The prefix first, so that a huge file of another format is not read.
	prefix := make([]byte, 8)
	n, err := io.ReadFull(f, prefix)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && err != io.EOF {
		return nil, err
	}
	if _, err := headerLength(prefix[:n], uint64(info.Size())); err != nil {
		if isPyTorch(prefix[:n]) {
			err = &Error{Err: ErrPyTorch, Detail: "convert it with Python:\n" + conversion(path)}
		}
		return nil, inFile(err, path)
	}
	data := make([]byte, info.Size())
	copy(data, prefix)
	if _, err := io.ReadFull(f, data[n:]); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	file, err := Decode(data)
	if err == nil {
		err = file.verify()
	}
	if err != nil {
		return nil, inFile(err, path)
	}
	return file, nil
}

// isPyTorch tells a file of torch.save by its beginning: a ZIP archive, or before PyTorch
// 1.6 a pickle.
func isPyTorch(begin []byte) bool {
	if bytes.HasPrefix(begin, []byte("PK\x03\x04")) {
		return true
	}
	const pickle, first, last = 0x80, 2, 5 // and its protocol
	return len(begin) > 1 && begin[0] == pickle && begin[1] >= first && begin[1] <= last
}

// conversion is the Python that makes a safetensors file of a state dict in PyTorch's own
// format.
func conversion(path string) string {
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	return fmt.Sprintf("  import torch, safetensors.torch\n"+
		"  safetensors.torch.save_file(torch.load(%s, map_location=\"cpu\", weights_only=True), %s)",
		strconv.Quote(filepath.Base(path)), strconv.Quote(name+".safetensors"))
}

func inFile(err error, path string) error {
	var e *Error
	if errors.As(err, &e) {
		e.File = path
		return e
	}
	return fmt.Errorf("%s: %w", path, err)
}

// Decode reads a whole file from memory. The tensors' Data are parts of data,
// not copies. It is strict: what is not exactly the format is an *Error.
func Decode(data []byte) (*File, error) {
	length, err := headerLength(data, uint64(len(data)))
	if err != nil {
		return nil, err
	}
	header, body := data[8:8+length], data[8+length:]
	if !utf8.Valid(header) {
		return nil, &Error{Err: ErrUTF8, Detail: "in the header; " + remedy}
	}
	metadata, entries, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	if err := checkLayout(entries, uint64(len(body))); err != nil {
		return nil, err
	}
	f := &File{Metadata: metadata, Tensors: make([]Tensor, 0, len(entries))}
	for _, e := range entries {
		t := Tensor{Name: e.name, DType: e.dtype, Shape: e.shape, Data: body[e.begin:e.end:e.end]}
		if err := t.check(); err != nil {
			return nil, err
		}
		f.Tensors = append(f.Tensors, t)
	}
	return f, nil
}

// headerLength reads and checks the first 8 bytes of a file of that size.
func headerLength(data []byte, size uint64) (uint64, error) {
	if len(data) < 8 {
		return 0, &Error{Err: ErrTruncated,
			Detail: fmt.Sprintf("%d bytes, and the header's length alone takes 8; %s", len(data), remedy)}
	}
	length := binary.LittleEndian.Uint64(data)
	switch {
	case length < 2 || length > MaxHeader:
		return 0, &Error{Err: ErrHeaderLength,
			Detail: fmt.Sprintf("%d bytes, where 2 to %d are allowed; %s", length, MaxHeader, remedy)}
	case length > size-8:
		return 0, &Error{Err: ErrTruncated,
			Detail: fmt.Sprintf("the header takes %d bytes and %d are there; %s", length, size-8, remedy)}
	}
	return length, nil
}

// entry is one tensor of the header.
type entry struct {
	name       string
	dtype      DType
	shape      []int
	begin, end uint64
}

// parseHeader walks the JSON by hand: encoding/json alone would let the last
// of two equal names win.
func parseHeader(header []byte) (map[string]string, []entry, error) {
	if header[0] != '{' {
		return nil, nil, malformed("it does not begin with '{'")
	}
	dec := json.NewDecoder(bytes.NewReader(header))
	dec.UseNumber()
	var metadata map[string]string
	var entries []entry
	seen := make(map[string]bool)
	err := object(dec, func(name string) error {
		if seen[name] {
			return &Error{Tensor: name, Err: ErrDuplicate, Detail: remedy}
		}
		seen[name] = true
		if name == metadataKey {
			var err error
			metadata, err = parseMetadata(dec)
			return err
		}
		e, err := parseEntry(dec, name)
		entries = append(entries, e)
		return err
	})
	if err != nil {
		return nil, nil, asHeaderError(err)
	}
	if rest := bytes.TrimRight(header[dec.InputOffset():], " "); len(rest) > 0 {
		return nil, nil, malformed("the JSON object is followed by " + quote(string(rest)))
	}
	return metadata, entries, nil
}

func parseMetadata(dec *json.Decoder) (map[string]string, error) {
	metadata := make(map[string]string)
	err := object(dec, func(key string) error {
		if _, ok := metadata[key]; ok {
			return &Error{Err: ErrDuplicate, Detail: "the metadata's " + quote(key) + "; " + remedy}
		}
		token, err := dec.Token()
		if err != nil {
			return err
		}
		value, ok := token.(string)
		if !ok {
			return malformed("the metadata's " + quote(key) + " is not a string")
		}
		metadata[key] = value
		return nil
	})
	return metadata, err
}

func parseEntry(dec *json.Decoder, name string) (entry, error) {
	e := entry{name: name}
	bad := func(field, want string) error {
		return &Error{Tensor: name, Err: ErrHeader, Detail: field + " " + want + "; " + remedy}
	}
	seen := make(map[string]bool)
	err := object(dec, func(field string) error {
		if seen[field] {
			return bad(quote(field), "is given twice")
		}
		seen[field] = true
		switch field {
		case "dtype":
			token, err := dec.Token()
			if err != nil {
				return err
			}
			text, ok := token.(string)
			if !ok {
				return bad("dtype", "is not a string")
			}
			e.dtype = DType(text)
			return nil
		case "shape":
			numbers, err := naturals(dec)
			if err != nil {
				return inTensor(err, name, ErrShape, "shape")
			}
			e.shape = make([]int, len(numbers))
			for i, n := range numbers {
				if n > uint64(maxInt) {
					return &Error{Tensor: name, Err: ErrShape, Detail: fmt.Sprintf("dimension %d is %d; %s", i, n,
						remedy)}
				}
				e.shape[i] = int(n)
			}
			return nil
		case "data_offsets":
			numbers, err := naturals(dec)
			if err != nil {
				return inTensor(err, name, ErrOffsets, "data_offsets")
			}
			if len(numbers) != 2 {
				return bad("data_offsets", fmt.Sprintf("has %d numbers, not 2", len(numbers)))
			}
			e.begin, e.end = numbers[0], numbers[1]
			return nil
		}
		return bad("field "+quote(field), "is not part of the format")
	})
	if err != nil {
		return e, err
	}
	for _, field := range []string{"dtype", "shape", "data_offsets"} {
		if !seen[field] {
			return e, bad(field, "is missing")
		}
	}
	return e, nil
}

const maxInt = int(^uint(0) >> 1)

// errNumber marks a number that is not a natural one of 64 bits.
var errNumber = errors.New("not a natural number of 64 bits")

func inTensor(err error, name string, kind error, field string) error {
	if errors.Is(err, errNumber) {
		return &Error{Tensor: name, Err: kind, Detail: field + ": " + err.Error() + "; " + remedy}
	}
	return err
}

// object reads a JSON object and calls member after each key.
func object(dec *json.Decoder, member func(key string) error) error {
	if err := delim(dec, '{'); err != nil {
		return err
	}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		key, ok := token.(string)
		if !ok {
			return malformed(fmt.Sprintf("%v stands where a name should", token))
		}
		if err := member(key); err != nil {
			return err
		}
	}
	return delim(dec, '}')
}

// naturals reads a JSON array of numbers 0…2⁶⁴−1.
func naturals(dec *json.Decoder) ([]uint64, error) {
	if err := delim(dec, '['); err != nil {
		return nil, err
	}
	numbers := []uint64{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		number, ok := token.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%v is %w", token, errNumber)
		}
		n, err := strconv.ParseUint(number.String(), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is %w", number, errNumber)
		}
		numbers = append(numbers, n)
	}
	return numbers, delim(dec, ']')
}

func delim(dec *json.Decoder, want json.Delim) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	if token != want {
		return malformed(fmt.Sprintf("byte %d: %v stands where %q should", dec.InputOffset(), token,
			want.String()))
	}
	return nil
}

func malformed(detail string) error {
	return &Error{Err: ErrHeader, Detail: detail + "; " + remedy}
}

// asHeaderError gives encoding/json's own errors the package's form.
func asHeaderError(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("the JSON is not complete")
	}
	return malformed(err.Error())
}

// checkLayout sorts the entries by their data and requires that they fill the
// body from its first to its last byte, each byte once.
func checkLayout(entries []entry, body uint64) error {
	for _, e := range entries {
		if e.begin > e.end || e.end > body {
			return &Error{Tensor: e.name, Err: ErrOffsets,
				Detail: fmt.Sprintf("bytes %d to %d of %d; %s", e.begin, e.end, body, remedy)}
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	var at uint64
	for _, e := range entries {
		switch {
		case e.begin < at:
			return &Error{Tensor: e.name, Err: ErrOverlap,
				Detail: fmt.Sprintf("it begins at byte %d, the one before ends at %d; %s", e.begin, at, remedy)}
		case e.begin > at:
			return &Error{Tensor: e.name, Err: ErrGap,
				Detail: fmt.Sprintf("bytes %d to %d belong to no tensor; %s", at, e.begin, remedy)}
		}
		at = e.end
	}
	if at != body {
		return &Error{Err: ErrTrailing, Detail: fmt.Sprintf("%d of them; %s", body-at, remedy)}
	}
	return nil
}

// quote shortens what may be a damaged file's noise.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}
