package onnx

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"

	"slipway/internal/atomicfile"
)

// Encode returns the model's bytes. The same model gives the same bytes.
func Encode(m *Model) ([]byte, error) {
	if m == nil || m.Proto == nil {
		return nil, errors.New("encode: there is no model")
	}
	if m.left != nil {
		return nil, fmt.Errorf("encode %s: %w", m.label(), errLeft)
	}
	if size := proto.Size(m.Proto); size > maxBytes {
		return nil, fmt.Errorf("%s: the model takes %d bytes; protobuf allows less than 2 GiB", m.label(),
			size)
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m.Proto)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.label(), err)
	}
	return data, nil
}

// Write writes the model to a file, which is replaced as a whole or not at all.
func (m *Model) Write(path string) error {
	data, err := Encode(m)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
