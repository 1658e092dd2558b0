package augment

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"
)

// In JSON and in YAML a list is a list, in one form: each operation an object of its name and its
// settings, a range being two numbers. All settings are written, so that what is read later does
// not depend on defaults. Read is also what is shorter: what ParseList reads of one operation or,
// as a word, of the whole list, and the first setting alone instead of an object:
//
//	- flip
//	- shift: 2
//	- random-resized-crop: [0.25, 1]
//	- color-jitter: {brightness: 0.4, contrast: 0.4}

// MarshalJSON writes the list with all settings. It is [] for the empty list.
func (l List) MarshalJSON() ([]byte, error) {
	items := []any{}
	for place, operation := range l.normal() {
		if operation == nil {
			return nil, fmt.Errorf("augmentation: operation %d of the list is nil", place+1)
		}
		items = append(items, item{operation})
	}
	return json.Marshal(items)
}

// MarshalYAML writes the form of MarshalJSON.
func (l List) MarshalYAML() (any, error) {
	data, err := l.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var node yaml.Node // JSON is YAML, in its flow style
	if err := yaml.Unmarshal(data, &node); err != nil {
		return nil, err
	}
	list := node.Content[0]
	list.Style = 0
	for _, operation := range list.Content {
		operation.Style = 0
		unquote(operation)
	}
	return list, nil
}

// unquote takes away the quotes that JSON has and YAML needs not.
func unquote(node *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		node.Style = 0
	}
	for _, part := range node.Content {
		unquote(part)
	}
}

// item is an operation as an object.
type item struct{ operation Operation }

func (i item) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{%q:{", i.operation.Name())
	for n, f := range i.operation.settings().fields() {
		if n > 0 {
			b.WriteByte(',')
		}
		value := f.value
		if r, ok := value.(*Range); ok {
			value = [2]float64{r.From, r.To}
		}
		data, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("augmentation: %s of %s: %w", f.name, i.operation.Name(), err)
		}
		fmt.Fprintf(&b, "%q:%s", f.name, data)
	}
	b.WriteString("}}")
	return b.Bytes(), nil
}

// UnmarshalJSON reads what MarshalJSON writes, and what is shorter.
func (l *List) UnmarshalJSON(data []byte) error {
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '"' {
		var text string
		err := json.Unmarshal(data, &text)
		if err == nil {
			*l, err = ParseList(text)
		}
		return err
	}
	var items []json.RawMessage
	if err := json.Unmarshal(data, &items); err != nil {
		return fmt.Errorf("augmentation: it is a list of operations, such as "+
			"[\"flip\", {\"shift\": {\"pixels\": 2}}]: %w", err)
	}
	var list List
	for place, data := range items {
		operation, err := decodeOperation(data)
		if err != nil {
			return fmt.Errorf("augmentation: operation %d: %w", place+1, err)
		}
		list = append(list, operation)
	}
	*l = list.normal()
	return nil
}

// UnmarshalYAML reads what MarshalYAML writes, and what is shorter. Its errors name the line.
func (l *List) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind == yaml.ScalarNode {
		list, err := ParseList(node.Value)
		if err != nil {
			return fmt.Errorf("line %d: %w", node.Line, err)
		}
		*l = list
		return nil
	}
	if node.Kind != yaml.SequenceNode {
		return fmt.Errorf("line %d: augmentation: it is a list of operations, \"- flip\" on a "+
			"line each", node.Line)
	}
	var list List
	for _, part := range node.Content {
		var value any
		err := part.Decode(&value)
		var data []byte
		if err == nil {
			data, err = json.Marshal(value)
		}
		var operation Operation
		if err == nil {
			operation, err = decodeOperation(data)
		}
		if err != nil {
			return fmt.Errorf("line %d: augmentation: %w", part.Line, err)
		}
		list = append(list, operation)
	}
	*l = list.normal()
	return nil
}

// decodeOperation reads an object of one name, or a word.
func decodeOperation(data []byte) (Operation, error) {
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '"' {
		var word string
		if err := json.Unmarshal(data, &word); err != nil {
			return nil, err
		}
		return parseOperation(word)
	}
	var made settings
	names := 0
	err := members(data, func(name string, value json.RawMessage) (err error) {
		if names++; names > 1 {
			return fmt.Errorf("%q is a second name; each operation is an item of its own", name)
		}
		if made, err = newSettings(name); err != nil {
			return err
		}
		if err := decodeFields(made.fields(), value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	if err == nil && made == nil {
		err = errors.New("it has no name")
	}
	if err != nil {
		return nil, err
	}
	return withDefaults(made), nil
}

// decodeFields reads an object of settings, or the first alone; null and {} have none.
func decodeFields(fields []field, data json.RawMessage) error {
	if string(data) == "null" {
		return nil
	}
	if data[0] != '{' {
		return fields[0].decode(data)
	}
	var seen []string
	return members(data, func(name string, value json.RawMessage) error {
		f, err := fieldOf(fields, name)
		if err != nil {
			return err
		}
		if slices.Contains(seen, name) {
			return fmt.Errorf("%s is given twice", name)
		}
		seen = append(seen, name)
		return f.decode(value)
	})
}

func (f field) decode(data json.RawMessage) error {
	var pair []float64
	target := f.value
	r, isRange := f.value.(*Range)
	if isRange {
		target = &pair
	}
	err := json.Unmarshal(data, target)
	if isRange && err == nil && len(pair) != 2 {
		err = fmt.Errorf("%d numbers", len(pair))
	}
	if err != nil || string(data) == "null" {
		return fmt.Errorf("%s is %s, as in %s; %s is not", f.name, f.kind(), f.example(), data)
	}
	if isRange {
		*r = Range{pair[0], pair[1]}
	}
	return f.refuseZero(string(data))
}

func (f field) kind() string {
	switch f.value.(type) {
	case *int:
		return "a whole number"
	case *float64:
		return "a number"
	case *Range:
		return "two numbers"
	}
	return "a word"
}

func (f field) example() string {
	switch v := f.usual.(type) {
	case Range:
		return fmt.Sprintf("[%s, %s]", number(v.From), number(v.To))
	case string:
		return fmt.Sprintf("%q", v)
	case int:
		return fmt.Sprint(cmp.Or(v, 2))
	case float64:
		return number(cmp.Or(v, 0.5))
	}
	return ""
}

// members calls read for each member of an object, in their order.
func members(data []byte, read func(name string, value json.RawMessage) error) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	begin, err := decoder.Token()
	if err != nil || begin != json.Delim('{') {
		return fmt.Errorf("%.40s is neither a word nor an object of names and values", data)
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		if err := read(fmt.Sprint(name), value); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil && err != io.EOF {
		return err
	}
	return nil
}
