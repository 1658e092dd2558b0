package onnx

import (
	"fmt"
	"sort"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/onnxpb"
)

// Metadata returns a copy of the model's metadata_props. Of a key given twice,
// which Check refuses, the first counts.
func (m *Model) Metadata() map[string]string {
	metadata := make(map[string]string)
	for _, entry := range m.Proto.GetMetadataProps() {
		if _, twice := metadata[entry.GetKey()]; !twice {
			metadata[entry.GetKey()] = entry.GetValue()
		}
	}
	return metadata
}

// SetMetadata replaces the model's metadata_props. Keys may not be empty.
func (m *Model) SetMetadata(metadata map[string]string) error {
	keys := make([]string, 0, len(metadata))
	for key := range metadata {
		if key == "" {
			return fmt.Errorf("%s: a metadata key is empty", m.label())
		}
		keys = append(keys, key)
	}
	sort.Strings(keys)
	entries := make([]*onnxpb.StringStringEntryProto, len(keys))
	for i, key := range keys {
		entries[i] = &onnxpb.StringStringEntryProto{Key: proto.String(key),
			Value: proto.String(metadata[key])}
	}
	m.Proto.MetadataProps = entries
	return nil
}
