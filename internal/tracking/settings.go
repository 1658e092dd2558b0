package tracking

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// SettingPair is a setting that two runs have differently. What a run does not have is empty.
type SettingPair struct {
	Name   string `json:"name"`
	First  string `json:"first"`
	Second string `json:"second"`
}

// settingsThatDiffer are those of the configurations, by their names in config.json, the
// networks, the weights that runs of studies began with, and the training sets.
func settingsThatDiffer(first, second *Record) ([]SettingPair, error) {
	a, err := settings(first)
	if err != nil {
		return nil, err
	}
	b, err := settings(second)
	if err != nil {
		return nil, err
	}
	if a[fromSHA256] == b[fromSHA256] {
		// The same weights are the same, whatever their file is called.
		delete(a, from)
		delete(b, from)
	}
	names := make(map[string]bool)
	maps.Copy(names, keys(a))
	maps.Copy(names, keys(b))
	pairs := []SettingPair{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if a[name] != b[name] {
			pairs = append(pairs, SettingPair{name, a[name], b[name]})
		}
	}
	if first.Network == second.Network && len(first.Layers) > 0 && len(second.Layers) > 0 &&
		!sameJSON(first.Layers, second.Layers) {
		pairs = append(pairs, SettingPair{"layers of " + first.Network, first.Name + "'s",
			second.Name + "'s"})
	}
	return pairs, nil
}

func keys(m map[string]string) map[string]bool {
	all := make(map[string]bool)
	for key := range m {
		all[key] = true
	}
	return all
}

// The names that result.json has for the model that a run began with, and for its weights.
const (
	from       = "from"
	fromSHA256 = "from_sha256"
)

// settings are those of config.json, the network, the weights that the run began with, and the
// training set.
func settings(r *Record) (map[string]string, error) {
	all, err := r.Config.Settings()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", r.Name, err)
	}
	delete(all, "data") // where the set was given; what it is follows
	all["network"] = r.Network
	if r.ofStudy != nil && r.ofStudy.FromSHA256 != "" {
		all[from], all[fromSHA256] = r.ofStudy.From, r.ofStudy.FromSHA256
	}
	all["training_set"] = r.Sets.Training.ShortName()
	all["training_set_sha256"] = r.Sets.Training.SHA256
	return all, nil
}

func sameJSON(a, b []byte) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil &&
		bytes.Equal(x.Bytes(), y.Bytes())
}
