package onnx

import (
	"bytes"
	"errors"
	"fmt"

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

// unmarshalSharing decodes a model that scanWire has accepted. The large tensors of its graph are
// not copied: they lie in data, which is the message's from then on.
func unmarshalSharing(data []byte, to *onnxpb.ModelProto) error {
	if !shares(data) {
		return proto.UnmarshalOptions{RecursionLimit: maxDepth + 1}.Unmarshal(data, to)
	}
	rest, tensors := detachTensors(data)
	if err := (proto.UnmarshalOptions{RecursionLimit: maxDepth + 1}).Unmarshal(rest, to); err != nil {
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

// shares reports whether the large tensors that can be taken from a model's memory are most of it.
// Other weights, as float_data or in Constant nodes, would be copied once more.
func shares(data []byte) bool {
	large := 0
	eachField(data, modelGraph, func(graph []byte) {
		eachField(graph, graphInitializer, func(tensor []byte) {
			eachField(tensor, tensorRawData, func(raw []byte) {
				if len(raw) >= largeTensor {
					large += len(raw)
				}
			})
		})
	})
	return large > len(data)/2
}

// eachField calls f with the content of each of a sound message's fields of that number.
func eachField(message []byte, number protowire.Number, f func(content []byte)) {
	for len(message) > 0 {
		found, wireType, n := protowire.ConsumeTag(message)
		if n < 0 {
			return
		}
		size := protowire.ConsumeFieldValue(found, wireType, message[n:])
		if size < 0 {
			return
		}
		if found == number && wireType == protowire.BytesType {
			content, _ := protowire.ConsumeBytes(message[n:])
			f(content)
		}
		message = message[n+size:]
	}
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
	copied := []byte{} // a message without fields is there, too
	for len(message) > 0 {
		found, wireType, n := protowire.ConsumeTag(message)
		if n < 0 {
			return append(copied, message...) // as scanWire would have said
		}
		if found != number || wireType != protowire.BytesType {
			size := protowire.ConsumeFieldValue(found, wireType, message[n:])
			if size < 0 {
				return append(copied, message...)
			}
			copied, message = append(copied, message[:n+size]...), message[n+size:]
			continue
		}
		content, size := protowire.ConsumeBytes(message[n:])
		if size < 0 {
			return append(copied, message...)
		}
		if other := by(content[:len(content):len(content)]); other != nil {
			copied = protowire.AppendBytes(protowire.AppendTag(copied, number, protowire.BytesType), other)
		}
		message = message[n+size:]
	}
	return copied
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
func ownTensors(model *onnxpb.ModelProto) {
	for _, tensor := range model.GetGraph().GetInitializer() {
		if len(tensor.RawData) >= largeTensor {
			tensor.RawData = bytes.Clone(tensor.RawData)
		}
	}
}
