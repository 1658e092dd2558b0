package infer

import (
	"encoding/binary"

	"slipway/onnx"
)

// float16Bytes and float16From are float16s in the machine's memory.
func float16Bytes(values []onnx.Float16) []byte {
	raw := make([]byte, 0, 2*len(values))
	for _, v := range values {
		raw = binary.NativeEndian.AppendUint16(raw, uint16(v))
	}
	return raw
}

func float16From(raw []byte) []onnx.Float16 {
	values := make([]onnx.Float16, len(raw)/2)
	for i := range values {
		values[i] = onnx.Float16(binary.NativeEndian.Uint16(raw[2*i:]))
	}
	return values
}
