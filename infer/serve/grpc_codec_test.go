package serve

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"slipway/infer/serve/inferencepb"
)

// A gRPC message of many empty parts is refused before memory is taken for them.
func TestGRPCMessagesOfManyPartsTakeNoMemory(t *testing.T) {
	const length = 4 << 20
	field := func(number protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
	}
	zeros := make([]byte, length)
	contents := func(number protowire.Number) []byte {
		return field(5, field(5, field(number, zeros)))
	}
	for name, message := range map[string][]byte{
		"inputs":         bytes.Repeat(field(5, nil), length/2),
		"outputs":        bytes.Repeat(field(6, nil), length/2),
		"raw contents":   bytes.Repeat(field(7, nil), length/2),
		"parameters":     bytes.Repeat(field(4, nil), length/2),
		"sizes":          field(5, field(3, zeros)),
		"bytes":          field(5, field(5, bytes.Repeat(field(8, nil), length/2))),
		"unpacked sizes": field(5, bytes.Repeat([]byte{3 << 3, 0}, length/2)),
		"truths":         contents(1),
		"int64":          contents(3),
		"uint64":         contents(5),
	} {
		var err error
		var request inferencepb.ModelInferRequest
		used := allocated(func() {
			err = newBoundedCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(message)}, &request)
		})
		if err == nil || !strings.Contains(err.Error(), "more than 4096 inputs") || used > length {
			t.Errorf("%s: %v, %d bytes", name, err, used)
		}
	}
	message := field(5, field(5, field(6, make([]byte, length))))
	var request inferencepb.ModelInferRequest
	if err := newBoundedCodec().
		Unmarshal(mem.BufferSlice{mem.SliceBuffer(message)}, &request); err != nil ||
		len(request.GetInputs()[0].GetContents().GetFp32Contents()) != length/4 {
		t.Errorf("a sound message: %v", err)
	}
}
