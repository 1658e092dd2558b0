package builder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"slipway/internal/display"
)

// What a network's file may hold. A network of a thousand layers takes a few hundred kilobytes.
const (
	maxDocument = 2 << 20 // bytes
	maxValues   = 1 << 18 // of the network, those that aliases repeat included
	maxLayers   = 10_000  // of the network: the time to build its graph grows with their square
	maxDepth    = 64      // lists and mappings inside of each other
)

// parseDocument reads JSON or YAML to the tree of its values, each with its place.
func parseDocument(raw []byte) (*yaml.Node, error) {
	if len(raw) > maxDocument {
		return nil, fmt.Errorf("the file has %s bytes, a network at most %s", display.Thousands(len(raw)),
			display.Thousands(maxDocument))
	}
	if !utf8.Valid(raw) {
		return nil, errors.New("is neither JSON nor YAML: it is no text in UTF-8")
	}
	// JSON is read as such, since not all of it is YAML: tabs and the escapes of two surrogates.
	root, jsonErr := parseJSON(raw)
	if jsonErr == nil || errors.Is(jsonErr, errTooDeep) {
		return root, jsonErr
	}
	if text := bytes.TrimSpace(raw); len(text) > 0 && text[0] == '{' {
		var place *PlaceError
		if root, err := parseYAML(raw); err == nil || errors.As(err, &place) {
			return root, err
		}
		return nil, jsonErr
	}
	return parseYAML(raw)
}

func parseYAML(raw []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty; docs/networks.md shows how a network is written")
	} else if err != nil {
		return nil, fmt.Errorf("is neither JSON nor YAML: %w", err)
	}
	var second yaml.Node
	if err := decoder.Decode(&second); err == nil {
		return nil, atf(&second, "a second YAML document begins; a file is one network")
	} else if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("is neither JSON nor YAML: %w", err)
	}
	return document.Content[0], nil
}

// parseJSON reads JSON to the tree that the same text would be in YAML.
func parseJSON(raw []byte) (*yaml.Node, error) {
	p := &jsonParser{raw: raw, decoder: json.NewDecoder(bytes.NewReader(raw)), line: 1, column: 1}
	p.decoder.UseNumber()
	root, err := p.value(0)
	if err == nil {
		_, second, following := p.next()
		if errors.Is(following, io.EOF) {
			return root, nil
		} else if following == nil {
			return nil, atf(second, "is not JSON: something follows the network")
		}
		err = following
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	end := int(p.decoder.InputOffset())
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		end = max(end, min(int(syntax.Offset)-1, len(raw)))
	}
	line, column := p.place(end)
	return nil, &PlaceError{Line: line, Column: column, Err: fmt.Errorf("is not JSON: %w", err)}
}

type jsonParser struct {
	raw     []byte
	decoder *json.Decoder
	// counted bytes are before line and column.
	counted, line, column int
}

// place returns the line and column of a byte. Bytes are asked for in order.
func (p *jsonParser) place(offset int) (line, column int) {
	for ; p.counted < offset; p.counted++ {
		switch b := p.raw[p.counted]; {
		case b == '\n':
			p.line, p.column = p.line+1, 1
		case utf8.RuneStart(b):
			p.column++
		}
	}
	return p.line, p.column
}

// next returns the next token and its place.
func (p *jsonParser) next() (json.Token, *yaml.Node, error) {
	offset := int(p.decoder.InputOffset())
	for offset < len(p.raw) && bytes.IndexByte([]byte(" \t\r\n,:"), p.raw[offset]) >= 0 {
		offset++
	}
	token, err := p.decoder.Token()
	if err != nil {
		return nil, nil, err
	}
	node := &yaml.Node{Kind: yaml.ScalarNode}
	node.Line, node.Column = p.place(offset)
	return token, node, nil
}

func (p *jsonParser) value(depth int) (*yaml.Node, error) {
	token, node, err := p.next()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, errTooDeep
	}
	switch token := token.(type) {
	case json.Delim:
		node.Kind, node.Tag = yaml.SequenceNode, "!!seq"
		if token == '{' {
			node.Kind, node.Tag = yaml.MappingNode, "!!map"
		}
		for p.decoder.More() {
			// In a mapping keys and values take turns, as yaml.Node has them.
			child, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, child)
		}
		_, err := p.decoder.Token() // the end
		return node, err
	case string:
		node.Tag, node.Value = "!!str", token
	case json.Number:
		node.Tag, node.Value = "!!float", token.String()
	case bool:
		node.Tag, node.Value = "!!bool", fmt.Sprint(token)
	default:
		node.Tag, node.Value = "!!null", "null"
	}
	return node, nil
}

var errTooDeep = fmt.Errorf("more than %d lists and mappings lie inside of each other", maxDepth)

// reading is one network being read: what its values have cost so far.
type reading struct{ values int }

// resolve returns the value that an alias stands for, and counts it. A document of a few bytes can
// ask for any number of values by aliases of aliases.
func (r *reading) resolve(node *yaml.Node) (*yaml.Node, error) {
	if r.values++; r.values > maxValues {
		return nil, atf(node, "the network has more than %s values", display.Thousands(maxValues))
	}
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node, nil
}

// entry is a key of a mapping with its value.
type entry struct {
	key   *yaml.Node
	value *yaml.Node
}

// mapping returns a mapping's entries in their order. A key that is there twice is an error.
func (r *reading) mapping(node *yaml.Node, what string) ([]entry, error) {
	if node.Kind != yaml.MappingNode {
		return nil, atf(node, "%s is %s; give a mapping, KEY: VALUE", what, describeNode(node))
	}
	lines := make(map[string]int, len(node.Content)/2)
	var entries []entry
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			return nil, atf(key,
				"%s has a key that is no name; an alias stands for a whole value, as in layer: *name", what)
		}
		if line, twice := lines[key.Value]; twice {
			return nil, atf(key, "%s has the key %s twice, first on line %d", what, quote(key.Value), line)
		}
		lines[key.Value] = key.Line
		value, err := r.resolve(node.Content[i+1])
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{key, value})
	}
	return entries, nil
}

// items returns the entries of a list.
func (r *reading) items(node *yaml.Node, what string) ([]*yaml.Node, error) {
	if node.Kind != yaml.SequenceNode {
		return nil, atf(node, "%s is %s; give a list, [A, B] or one \"- A\" a line", what,
			describeNode(node))
	}
	items := make([]*yaml.Node, len(node.Content))
	for i, item := range node.Content {
		var err error
		if items[i], err = r.resolve(item); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// plain returns a value as encoding/json has it.
func (r *reading) plain(node *yaml.Node, depth int) (any, error) {
	if depth > maxDepth {
		return nil, at(node, errTooDeep)
	}
	switch node.Kind {
	case yaml.MappingNode:
		entries, err := r.mapping(node, "this")
		if err != nil {
			return nil, err
		}
		object := make(map[string]any, len(entries))
		for _, e := range entries {
			if object[e.key.Value], err = r.plain(e.value, depth+1); err != nil {
				return nil, err
			}
		}
		return object, nil
	case yaml.SequenceNode:
		items, err := r.items(node, "this")
		if err != nil {
			return nil, err
		}
		list := make([]any, len(items))
		for i, item := range items {
			if list[i], err = r.plain(item, depth+1); err != nil {
				return nil, err
			}
		}
		return list, nil
	case yaml.ScalarNode:
		return plainScalar(node)
	}
	return nil, atf(node, "this is no value")
}

func plainScalar(node *yaml.Node) (any, error) {
	switch node.ShortTag() {
	case "!!str", "!!timestamp":
		return node.Value, nil
	case "!!null":
		return nil, nil
	case "!!int", "!!float":
		if number := json.Number(node.Value); json.Valid([]byte(number)) {
			return number, nil // as it is written, with all digits
		}
		var number any
		if err := node.Decode(&number); err != nil {
			return nil, atf(node, "%s is no number", quote(node.Value))
		}
		if f, ok := number.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return nil, atf(node, "%s is no finite number", quote(node.Value))
		}
		return number, nil
	case "!!bool":
		var b bool
		if err := node.Decode(&b); err != nil {
			return nil, atf(node, "%s is neither true nor false", quote(node.Value))
		}
		return b, nil
	}
	return nil, atf(node, "%s has the tag %s; a number, a text, true or false is needed",
		quote(node.Value), quote(node.Tag))
}
