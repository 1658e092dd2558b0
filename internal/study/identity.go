package study

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
)

// idLength is the number of hexadecimal digits of a run's ID: 64 bits, which no
// two of a billion runs share by chance more often than once in thirty.
const idLength = 16

// id returns the run's content address, with sets of those digests. A setting that is
// zero counts as absent, so that a configuration keeps its address when others become
// possible.
//
// What a finished run is evaluated on beside the test set is no part of it: that can
// be made up for.
func (s Spec) id(training, test string) (string, error) {
	config := s.Config
	// Names of sets and what is kept on the way do not change what comes out.
	config.Data, config.CheckpointEvery, config.KeepCheckpoints = "", 0, 0
	sum := sha256.New()
	parts := []any{s.Network, config, training, test, s.Scope}
	if s.start != nil {
		// Of runs whose weights are drawn the address is that of before there were others.
		parts = append(parts, s.start.digest, s.anew)
	}
	for _, part := range parts {
		raw, err := json.Marshal(part)
		if err != nil {
			return "", fmt.Errorf("run's address: %w", err)
		}
		var tree any
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.UseNumber() // a seed may have more digits than a float64
		if err := decoder.Decode(&tree); err != nil {
			return "", fmt.Errorf("run's address: %w", err)
		}
		// Go writes the keys of maps in order.
		if raw, err = json.Marshal(withoutZeros(tree)); err != nil {
			return "", fmt.Errorf("run's address: %w", err)
		}
		_, _ = io.WriteString(sum, string(raw)+"\n")
	}
	return hex.EncodeToString(sum.Sum(nil))[:idLength], nil
}

// withoutZeros drops members of objects that are zero or empty.
func withoutZeros(tree any) any {
	object, ok := tree.(map[string]any)
	if !ok {
		if items, ok := tree.([]any); ok {
			for i := range items {
				items[i] = withoutZeros(items[i])
			}
		}
		return tree
	}
	for key, member := range object {
		object[key] = withoutZeros(member)
		switch m := object[key].(type) {
		case nil:
			delete(object, key)
		case bool:
			if !m {
				delete(object, key)
			}
		case json.Number:
			if m == "0" {
				delete(object, key)
			}
		case string:
			if m == "" {
				delete(object, key)
			}
		case []any:
			if len(m) == 0 {
				delete(object, key)
			}
		case map[string]any:
			if len(m) == 0 {
				delete(object, key)
			}
		}
	}
	return object
}
