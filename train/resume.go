package train

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// resumable reports the settings that differ between the checkpoint's
// configuration and the one asked for, beyond those that say when to stop, what to
// keep and where the data is: with others the run would not go on, it would be
// another one.
func resumable(saved, asked Config) error {
	savedFields, err := fixedFields(saved)
	if err != nil {
		return err
	}
	askedFields, err := fixedFields(asked)
	if err != nil {
		return err
	}
	var differ []string
	for name, value := range askedFields {
		if was := savedFields[name]; was != value {
			differ = append(differ, fmt.Sprintf("%s was %s and is now %s", name, orNone(was), orNone(value)))
		}
	}
	for name, was := range savedFields {
		if _, ok := askedFields[name]; !ok {
			differ = append(differ, fmt.Sprintf("%s was %s and is now none", name, was))
		}
	}
	if len(differ) > 0 {
		slices.Sort(differ)
		return fmt.Errorf("cannot resume with other settings: %s; start a new run from these weights with -init instead", strings.Join(differ, "; "))
	}
	return nil
}

func orNone(value string) string {
	if value == "" {
		return "none"
	}
	return value
}

// fixedFields returns the settings that a resumed run may not change. Data only names
// where the set is; that it is the same one is looked at elsewhere.
func fixedFields(c Config) (map[string]string, error) {
	c.Data = ""
	c.Epochs, c.UntilLoss, c.Patience, c.CheckpointEvery, c.KeepCheckpoints = 0, 0, 0, 0, 0
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	fields := make(map[string]string)
	for name, value := range parts {
		fields[name] = string(value)
	}
	return fields, nil
}
