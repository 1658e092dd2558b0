package serve

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"slipway/infer/serve/inferencepb"
)

// mostParts is how many inputs, outputs, parameters, sizes of a shape and contents a message has at
// most, and how many numbers of types that no model takes. Each takes memory many times its bytes:
// two bytes are an empty input, and a hundred once it is read.
const mostParts = 4096

// boundedCodec reads messages as gRPC's own codec does, after it has counted their parts.
type boundedCodec struct{ encoding.CodecV2 }

func newBoundedCodec() boundedCodec { return boundedCodec{encoding.GetCodecV2("proto")} }

// Unmarshal reads a message. gRPC tells its error to the client, with the code Internal.
func (c boundedCodec) Unmarshal(data mem.BufferSlice, v any) error {
	request, ok := v.(*inferencepb.ModelInferRequest)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	raw := buffer.ReadOnlyData()
	if left := countParts(raw, requestParts(), mostParts); left < 0 {
		return fmt.Errorf(
			"the message has more than %d inputs, outputs, parameters, sizes and contents: "+
				"a model takes one input and gives one output", mostParts)
	}
	return proto.Unmarshal(raw, request)
}

// parts says of fields of a message, by their numbers, what counts.
type parts map[protowire.Number]part

// A part counts as one, and with what is within it.
type part struct {
	within parts
	packed bool // each of its bytes may be a number
}

// requestParts are those of a ModelInferRequest.
func requestParts() parts {
	contents := parts{1: {packed: true}, 2: {packed: true}, 3: {packed: true}, 5: {packed: true},
		8: {}}
	return parts{
		4: {},                                                               // parameters
		5: {within: parts{3: {packed: true}, 4: {}, 5: {within: contents}}}, // inputs
		6: {within: parts{2: {}}},                                           // outputs
		7: {},                                                               // raw contents
	}
}

// countParts returns what is left of a number of parts after those of a message, negative for too
// many. What is no sound message is for package proto to refuse.
func countParts(message []byte, counted parts, left int) int {
	for len(message) > 0 && left >= 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return left
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return left
		}
		if p, ok := counted[number]; ok {
			left--
			if value, n := protowire.ConsumeBytes(message); kind == protowire.BytesType && n >= 0 {
				if p.packed {
					left -= len(value)
				}
				left = countParts(value, p.within, left)
			}
		}
		message = message[n:]
	}
	return left
}
