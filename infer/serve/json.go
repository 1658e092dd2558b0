package serve

import (
	"bytes"
	"encoding/json"
)

// Package json makes values of a whole text before anybody can say that they are too many, and goes
// on after what has the wrong type: {"inputs":[0,0,0,…]} would take two hundred bytes for each of
// its own. So package json says here whether a text is sound, and what it holds is looked at in
// place.

// syntaxError returns why a text is no JSON, nil where it is.
func syntaxError(text []byte) error {
	var nothing struct{} // takes no value of the text
	err := json.Unmarshal(text, &nothing)
	if _, otherType := err.(*json.UnmarshalTypeError); otherType {
		return nil
	}
	return err
}

// eachMember calls do with the members of an object, a part of a sound text, until one is an error.
// ok is whether it is an object.
func eachMember(object []byte, do func(name, value []byte) error) (ok bool, err error) {
	if len(object) == 0 || object[0] != '{' {
		return false, nil
	}
	for i := pass(object, 1); object[i] != '}'; {
		end := endOf(object, i)
		name := object[i+1 : end-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			text, err := textOf(object[i:end])
			if err != nil {
				return true, err
			}
			name = []byte(text)
		}
		i = pass(object, pass(object, end)+1) // over the colon
		end = endOf(object, i)
		if err := do(name, object[i:end]); err != nil {
			return true, err
		}
		if i = pass(object, end); object[i] == ',' {
			i = pass(object, i+1)
		}
	}
	return true, nil
}

// eachElement is eachMember for an array.
func eachElement(array []byte, do func(value []byte) error) (ok bool, err error) {
	if len(array) == 0 || array[0] != '[' {
		return false, nil
	}
	for i := pass(array, 1); array[i] != ']'; {
		end := endOf(array, i)
		if err := do(array[i:end]); err != nil {
			return true, err
		}
		if i = pass(array, end); array[i] == ',' {
			i = pass(array, i+1)
		}
	}
	return true, nil
}

// pass returns where the white space from i on ends.
func pass(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r') {
		i++
	}
	return i
}

// endOf returns where the value that begins at i ends.
func endOf(text []byte, i int) int {
	depth := 0
	for i < len(text) {
		switch c := text[i]; {
		case c == '"':
			i = endOfString(text, i)
		case c == '[' || c == '{':
			depth++
			i++
			continue
		case c == ']' || c == '}':
			depth--
			i++
		case c == ',' || c == ':' || c == ' ' || c == '\n' || c == '\t' || c == '\r':
			i++
			continue
		default: // a number or a word
			for i < len(text) && !ends(text[i]) {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
	return i
}

// ends reports whether a byte ends a number or a word.
func ends(c byte) bool {
	return c == ',' || c == ']' || c == '}' || c == ':' || c == ' ' || c == '\n' || c == '\t' ||
		c == '\r'
}

// endOfString returns where the string that begins at i ends, its quotation mark included.
func endOfString(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return i
}

// textOf reads a string, "" of null.
func textOf(value []byte) (string, error) {
	var text string
	if value[0] != '"' && string(value) != "null" {
		return "", badRequest(
			"the request is no inference request in JSON: %s stands where a text is wanted",
			shorten(string(value[:min(len(value), 2*longestShown)])))
	}
	err := json.Unmarshal(value, &text)
	return text, err
}
