package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"

	"slipway/internal/atomicfile"
)

// Write replaces the file at path by f, whole or not at all, with f's Digest in its metadata, so
// that Read finds a bit that was flipped since.
func Write(path string, f *File) error {
	sealed := &File{Metadata: maps.Clone(f.Metadata), Tensors: f.Tensors}
	if sealed.Metadata == nil {
		sealed.Metadata = make(map[string]string)
	}
	sealed.Metadata[DigestKey] = f.Digest()
	header, err := sealed.header()
	if err != nil {
		return inFile(err, path)
	}
	return atomicfile.Write(path, func(w io.Writer) error { return sealed.write(w, header) })
}

// Encode writes f: tensors in the order of f.Tensors, metadata by name, the
// header padded with spaces to a multiple of 8 bytes. Equal files give equal
// bytes. Nothing is written when f is not valid, an *Error.
func (f *File) Encode(w io.Writer) error {
	header, err := f.header()
	if err != nil {
		return err
	}
	return f.write(w, header)
}

func (f *File) write(w io.Writer, header []byte) error {
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(header)))
	if _, err := w.Write(length[:]); err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, t := range f.Tensors {
		if _, err := w.Write(t.Data); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) header() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	if len(f.Metadata) > 0 {
		b.WriteString(`"` + metadataKey + `":{`)
		for i, key := range slices.Sorted(maps.Keys(f.Metadata)) {
			value := f.Metadata[key]
			if !utf8.ValidString(key) || !utf8.ValidString(value) {
				return nil, &Error{Err: ErrUTF8, Detail: "the metadata's " + quote(key)}
			}
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(&b, key)
			b.WriteByte(':')
			writeString(&b, value)
		}
		b.WriteByte('}')
	}
	seen := make(map[string]bool, len(f.Tensors))
	var at uint64
	for _, t := range f.Tensors {
		switch {
		case t.Name == metadataKey:
			return nil, &Error{Tensor: t.Name, Err: ErrName, Detail: "the format keeps it for the metadata"}
		case !utf8.ValidString(t.Name):
			return nil, &Error{Tensor: t.Name, Err: ErrUTF8}
		case seen[t.Name]:
			return nil, &Error{Tensor: t.Name, Err: ErrDuplicate}
		}
		seen[t.Name] = true
		if err := t.check(); err != nil {
			return nil, err
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		writeString(&b, t.Name)
		fmt.Fprintf(&b, `:{"dtype":"%s","shape":[`, t.DType)
		for i, dim := range t.Shape {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "%d", dim)
		}
		end := at + uint64(len(t.Data))
		fmt.Fprintf(&b, `],"data_offsets":[%d,%d]}`, at, end)
		at = end
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len() > MaxHeader {
		return nil, &Error{Err: ErrHeaderLength,
			Detail: fmt.Sprintf("%d bytes of names and metadata, the format allows %d", b.Len(), MaxHeader)}
	}
	return b.Bytes(), nil
}

// writeString writes s as JSON without the escapes that are for HTML only.
func writeString(b *bytes.Buffer, s string) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s)       // a string to a Buffer: no error is possible
	b.Truncate(b.Len() - 1) // the encoder's newline
}
