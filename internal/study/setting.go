package study

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"slipway/builder"
	"slipway/train"
)

// Keys of a setting that are no field of train.Config.
const (
	keyBase    = "base"
	keyDropout = "dropout"
)

// settings lists what a run's configuration may be given, each by its path in
// train.Config's JSON, and by the short names of that which is often varied.
func settings() map[string]string {
	paths := make(map[string]string)
	collect(reflect.TypeFor[train.Config](), "", paths)
	// The study decides on these.
	for _, path := range []string{"data", "seed", "checkpoint_every", "keep_checkpoints"} {
		delete(paths, path)
	}
	for path := range maps.Clone(paths) {
		if short, ok := strings.CutPrefix(path, "optimizer."); ok && short != "name" {
			paths[short] = path
		}
		if short, ok := strings.CutPrefix(path, "parameter_penalty."); ok {
			paths[short] = path
		}
	}
	paths["optimizer"] = "optimizer.name"
	// A shift and a rotation have a form of their own beside that of lists.
	for _, part := range []string{"shift", "rotation"} {
		paths["augmentation."+part] = "augmentation." + part
	}
	return paths
}

// collect adds the paths of a struct's fields. That of a map ends in a dot: a key
// of its own follows.
func collect(t reflect.Type, prefix string, paths map[string]string) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "-" || name == "" {
			continue
		}
		field := t.Field(i).Type
		if field.Kind() == reflect.Pointer {
			field = field.Elem()
		}
		switch path := prefix + name; {
		case reflect.PointerTo(field).Implements(reflect.TypeFor[json.Unmarshaler]()):
			paths[path] = path // a value with a JSON of its own
		case field.Kind() == reflect.Struct:
			collect(field, path+".", paths)
		case field.Kind() == reflect.Map:
			paths[path+"."] = path + "."
		default:
			paths[path] = path
		}
	}
}

// lists are the settings that are lists and easily taken for mappings.
func lists() map[string]reflect.Type {
	return map[string]reflect.Type{
		"fine_tune.rates": reflect.TypeFor[[]train.Rate](), "freeze": reflect.TypeFor[[]string](),
		"schedule.milestones": reflect.TypeFor[[]int](),
	}
}

// form says in words what a value of a setting's type looks like.
func form(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[[]train.Rate]() || t == reflect.TypeFor[train.Rate]():
		return `a list of PATTERN=RATE, such as ["head=1e-2", "conv1=1e-4"]`
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "a text"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "a whole number"
	case t.Kind() == reflect.Float64:
		return "a number"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		return "a list of texts, such as [trunk]"
	case t.Kind() == reflect.Slice:
		return "a list of " + strings.TrimPrefix(form(t.Elem()), "a ") + "s, such as [2, 5]"
	}
	return "a mapping"
}

// valueKind says in words what a value of a file is.
func valueKind(v any) string {
	switch v.(type) {
	case bool:
		return "true or false"
	case float64:
		return "a number"
	case string:
		return "a text"
	case []any:
		return "a list"
	}
	return "a mapping"
}

// settingPath returns the path of a key in train.Config's JSON.
func settingPath(key string) (string, error) {
	known := settings()
	if path, ok := known[key]; ok && !strings.HasSuffix(path, ".") {
		return path, nil
	}
	for path := range known {
		if strings.HasSuffix(path, ".") && strings.HasPrefix(key, path) {
			return key, nil
		}
	}
	for path, kind := range lists() {
		if strings.HasPrefix(key, path+".") {
			return "", fmt.Errorf("%s is no mapping; it needs to be %s", path, form(kind))
		}
	}
	names := append(slices.Collect(maps.Keys(known)), keyBase, keyDropout, keyFrom, keyHead)
	slices.Sort(names)
	return "", fmt.Errorf("there is no setting %q%s", key, suggest(key, names))
}

// Spec is everything that decides a run, but for the data.
type Spec struct {
	Network *builder.Network
	Config  train.Config
	// Scope names the search whose other runs have a say in when this one ends, by
	// pruning; empty for a run that any study may share.
	Scope string
	// start is what the weights are taken from, nil where they are drawn, and anew the layer whose
	// weights are drawn all the same.
	start *start
	anew  string
}

// spec makes a run of the file's fixed settings and those given, the later before
// the earlier. Its error is a *PlaceError.
func (f *File) spec(seed uint64, given ...value) (Spec, error) {
	base := value{keyBase, f.Base, f.baseLine}
	var dropout, from, head *value
	var rest []value
	for _, v := range append(slices.Clone(f.Fixed), given...) {
		switch v.key {
		case keyBase:
			base = v
		case keyDropout:
			dropout = &v
		case keyFrom:
			from = &v
		case keyHead:
			head = &v
		default:
			rest = append(rest, v)
		}
	}
	layer, _ := lastOf(rest, "fine_tune.head").(string)
	start, network, anew, err := f.started(from, head, layer)
	switch {
	case err != nil:
		return Spec{}, err
	case start != nil && dropout != nil:
		return Spec{}, &PlaceError{Line: dropout.line,
			Err: errors.New("dropout does not apply to from: the network is the model's")}
	case start != nil && start.pixels != "":
		rest = append([]value{{"pixels", start.pixels, 0}}, rest...)
	case start == nil:
		if network, err = f.baseNetwork(base, dropout); err != nil {
			return Spec{}, err
		}
	}
	if base.value == baseE2 && start == nil {
		rest = append([]value{{"l1", 0.001, 0}, {"l2", 0.001, 0}}, rest...)
	}
	config, err := f.config(rest, seed)
	if err != nil {
		return Spec{}, err
	}
	config, err = completed(config, network)
	if err != nil {
		line := f.culprit(rest, seed, network)
		if line == 0 && len(given) > 0 {
			line = given[len(given)-1].line
		}
		return Spec{}, &PlaceError{Line: line, Err: err}
	}
	if f.quick {
		config.Epochs = min(config.Epochs, f.Quick.Epochs)
	}
	return Spec{Network: network, Config: config, start: start, anew: anew}, nil
}

// lastOf is the value that a key has last, nil where it has none.
func lastOf(values []value, key string) (last any) {
	for _, v := range values {
		if v.key == key {
			last = v.value
		}
	}
	return last
}

// completed fills in what the file does not say, and checks it all.
func completed(config train.Config, network *builder.Network) (train.Config, error) {
	if config.UntilLoss > 0 && config.Epochs == 0 {
		config.Epochs = train.UntilLossEpochs
	}
	config, err := config.WithDefaults(network)
	if err != nil {
		return config, err
	}
	if what := config.DeviceOnly(); what != "" {
		return config, fmt.Errorf("%s is for a GPU, and a study's runs are on the CPU", what)
	}
	return config, nil
}

// culprit returns the line of the value without which the others would do, of the last
// such value; 0 if there is none.
func (f *File) culprit(values []value, seed uint64, network *builder.Network) int {
	for i, v := range slices.Backward(values) {
		if v.line == 0 {
			continue // the experiment's own
		}
		config, err := f.config(slices.Concat(values[:i], values[i+1:]), seed)
		if err == nil {
			_, err = completed(config, network)
		}
		if err == nil {
			return v.line
		}
	}
	return 0
}

func (f *File) baseNetwork(base value, dropout *value) (*builder.Network, error) {
	name, ok := base.value.(string)
	if !ok {
		return nil, &PlaceError{Line: base.line, Err: fmt.Errorf("base %v is not a name", base.value)}
	}
	network, err := f.network(name, nil)
	if err != nil {
		return nil, &PlaceError{Line: base.line, Err: err}
	}
	if dropout == nil {
		return network, nil
	}
	p, ok := dropout.value.(float64)
	if !ok {
		return nil, &PlaceError{Line: dropout.line, Err: fmt.Errorf("dropout %v is not a number",
			dropout.value)}
	}
	if network, err = f.network(name, &p); err != nil {
		return nil, &PlaceError{Line: dropout.line, Err: err}
	}
	return network, nil
}

// config sets each value in train.Config by its path.
func (f *File) config(values []value, seed uint64) (train.Config, error) {
	config := train.Config{}
	for _, v := range values {
		path, err := settingPath(v.key)
		if err != nil {
			return config, &PlaceError{Line: v.line, Err: err}
		}
		if err := setPath(&config, path, v.value); err != nil {
			return config, &PlaceError{Line: v.line, Err: fmt.Errorf("%s: %w", v.key, err)}
		}
	}
	config.Data, config.Seed = f.Data, seed
	if f.Images > 0 {
		config.Data = fmt.Sprintf("the first %d of %s", f.Images, f.Data)
	}
	// A run under way loses at most an epoch; the one before is kept in case that
	// the newest is damaged.
	config.CheckpointEvery, config.KeepCheckpoints = 1, 2
	return config, nil
}

// setPath sets one field of the configuration, by way of its JSON.
func setPath(config *train.Config, path string, v any) error {
	raw, err := json.Marshal(config)
	if err != nil {
		return err
	}
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return err
	}
	parts := strings.Split(path, ".")
	inner := tree
	for _, part := range parts[:len(parts)-1] {
		next, ok := inner[part].(map[string]any)
		if !ok {
			next = make(map[string]any)
			inner[part] = next
		}
		inner = next
	}
	inner[parts[len(parts)-1]] = v
	if raw, err = json.Marshal(tree); err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	var set train.Config
	if err := decoder.Decode(&set); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			quoted := ""
			if kind.Type.Kind() == reflect.String {
				quoted = fmt.Sprintf("; put it in quotes: \"%v\"", v)
			}
			return fmt.Errorf("%s is %s; it needs to be %s%s", show(v), valueKind(v), form(kind.Type),
				quoted)
		}
		return err
	}
	*config = set
	return nil
}
