package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"slipway/onnx/onnxpb"
)

// Numbers of the fields that lead to a tensor's bytes (onnx.proto).
const (
	modelGraph       protowire.Number = 7
	graphInitializer protowire.Number = 5
	tensorRawData    protowire.Number = 9
)

// largeTensor is from how many bytes on a tensor is taken from the file's memory.
const largeTensor = 1 << 10

// shares reports whether the large tensors that can be taken from a model's memory are most of it.
// Other weights, as float_data or in Constant nodes, would be copied once more.
func shares(data []byte) bool {
	large := 0
	for graph := range fields(data, modelGraph) {
		for tensor := range fields(graph, graphInitializer) {
			for raw := range fields(tensor, tensorRawData) {
				if len(raw) >= largeTensor {
					large += len(raw)
				}
			}
		}
	}
	return large > len(data)/2
}

// unmarshalSharing decodes a model of which shares holds. The large tensors of its graph are not
// copied: they lie in data, which is the message's from then on.
func unmarshalSharing(data []byte, to *onnxpb.ModelProto) error {
	rest, tensors := detachTensors(data)
	if err := unmarshal(rest, to); err != nil {
		return err
	}
	initializers := to.GetGraph().GetInitializer()
	if len(initializers) != len(tensors) {
		return fmt.Errorf("%d initializers instead of %d", len(initializers), len(tensors))
	}
	for i, raw := range tensors {
		if raw != nil {
			initializers[i].RawData = raw
		}
	}
	return nil
}

func unmarshal(data []byte, to *onnxpb.ModelProto) error {
	return proto.UnmarshalOptions{RecursionLimit: maxDepth + 1}.Unmarshal(data, to)
}

// detachTensors returns the encoding of a model without the large tensors of its graph, and these
// by initializer, nil for one that is left.
func detachTensors(data []byte) (rest []byte, tensors [][]byte) {
	rest = replaceFields(data, modelGraph, func(graph []byte) []byte {
		return replaceFields(graph, graphInitializer, func(tensor []byte) []byte {
			var raw []byte
			small := replaceFields(tensor, tensorRawData, func(value []byte) []byte {
				if len(value) < largeTensor {
					return value
				}
				raw = value
				return nil
			})
			tensors = append(tensors, raw)
			return small
		})
	})
	return rest, tensors
}

// replaceFields copies a sound message with other contents for one of its fields. Where that is
// nil, the field is left out.
func replaceFields(message []byte, number protowire.Number, by func(content []byte) []byte) []byte {
	copied, begin := []byte{}, 0 // a message without fields is there, too
	for content, place := range fields(message, number) {
		copied = append(copied, message[begin:place.begin]...)
		if other := by(content); other != nil {
			copied = protowire.AppendBytes(protowire.AppendTag(copied, number, protowire.BytesType), other)
		}
		begin = place.end
	}
	return append(copied, message[begin:]...)
}

// place is where a field lies in a message, with its tag.
type place struct{ begin, end int }

// fields yields the contents of a sound message's fields of that number, which are of bytes. What
// is appended to one does not reach the next.
func fields(message []byte, number protowire.Number) iter.Seq2[[]byte, place] {
	return func(yield func([]byte, place) bool) {
		for at := 0; at < len(message); {
			found, wireType, n := protowire.ConsumeTag(message[at:])
			if n < 0 {
				return
			}
			size := protowire.ConsumeFieldValue(found, wireType, message[at+n:])
			if size < 0 {
				return
			}
			if found == number && wireType == protowire.BytesType {
				content, _ := protowire.ConsumeBytes(message[at+n:])
				if !yield(slices.Clip(content), place{at, at + n + size}) {
					return
				}
			}
			at += n + size
		}
	}
}

// Content returns bytes that decode to the model: those of its file, where it was read from one and
// is as it was, which takes no memory; others as Encode. They must not be changed.
func (m *Model) Content() ([]byte, error) {
	if m == nil || m.Proto == nil {
		return nil, errors.New("encode: there is no model")
	}
	if m.content == nil {
		return Encode(m)
	}
	same := new(onnxpb.ModelProto)
	// Equal tensors are the same memory, which is not read.
	if err := unmarshalSharing(m.content, same); err != nil || !proto.Equal(same, m.Proto) {
		return Encode(m)
	}
	return m.content, nil
}

// ownTensors copies the tensors that lie in memory of somebody else's.
func (m *Model) ownTensors() {
	if m.content == nil {
		return
	}
	for _, tensor := range m.Proto.GetGraph().GetInitializer() {
		if len(tensor.RawData) >= largeTensor {
			tensor.RawData = bytes.Clone(tensor.RawData)
		}
	}
	m.content = nil
}
