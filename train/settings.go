package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Settings returns the configuration by the names in config.json, with dots between those of
// objects in each other: optimizer.learning_rate is 0.001. What is left out there is left out.
func (c Config) Settings() (map[string]string, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // a seed has more digits than a float64
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	flat := make(map[string]string)
	flatten(flat, "", tree)
	return flat, nil
}

// flatten writes the values of a tree under the paths to them.
func flatten(into map[string]string, path string, value any) {
	if object, ok := value.(map[string]any); ok {
		for name, member := range object {
			flatten(into, strings.TrimPrefix(path+"."+name, "."), member)
		}
		return
	}
	switch v := value.(type) {
	case string:
		into[path] = v
	case json.Number:
		into[path] = v.String()
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			raw = fmt.Append(nil, v)
		}
		into[path] = string(raw)
	}
}
