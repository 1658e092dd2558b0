package serve

import (
	"bytes"
	"strconv"
)

// inferRequest is what is read of a request's JSON: of its inputs and outputs the first, and how
// many there are, since a model has one of each.
type inferRequest struct {
	ID              string
	Parameters      parameters
	Input           requestInput
	Output          requestOutput
	Inputs, Outputs int
}

type requestInput struct {
	Name       string
	Datatype   string
	Shape      []int64
	Parameters parameters
	Data       []byte
}

type requestOutput struct {
	Name       string
	Parameters parameters
}

// mostDimensions is far above the four of a batch of images.
const mostDimensions = 64

// readRequest reads a request, whose values it holds no copies of but the short ones.
func readRequest(text []byte) (r inferRequest, err error) {
	if err := syntaxError(text); err != nil {
		return r, badRequest("the request is no inference request in JSON: %v%s", err, hintOf(text))
	}
	ok, err := eachMember(bytes.TrimSpace(text), func(name, value []byte) (err error) {
		switch string(name) {
		case "id":
			r.ID, err = textOf(value)
		case "parameters":
			r.Parameters, err = parametersOf(value)
		case "inputs":
			r.Inputs, err = eachObject(string(name), value, func(first bool, input []byte) (err error) {
				if first {
					r.Input, err = readInput(input)
				}
				return err
			})
		case "outputs":
			r.Outputs, err = eachObject(string(name), value, func(first bool, output []byte) (err error) {
				if first {
					r.Output, err = readOutput(output)
				}
				return err
			})
		}
		return err
	})
	if err == nil && !ok {
		err = wrongValue("it", "object")
	}
	return r, err
}

// eachObject reads an array of objects, or null, and returns how many there are.
func eachObject(name string, array []byte, read func(first bool, object []byte) error) (int,
	error) {
	count := 0
	ok, err := eachElement(array, func(value []byte) error {
		if value[0] != '{' {
			return wrongValue("an element of "+name, "object")
		}
		count++
		return read(count == 1, value)
	})
	if err == nil && !ok && string(array) != "null" {
		err = wrongValue(name, "array")
	}
	return count, err
}

func wrongValue(what, wanted string) error {
	return badRequest("the request is no inference request in JSON: %s is no %s", what, wanted)
}

func readInput(object []byte) (input requestInput, err error) {
	_, err = eachMember(object, func(name, value []byte) (err error) {
		switch string(name) {
		case "name":
			input.Name, err = textOf(value)
		case "datatype":
			input.Datatype, err = textOf(value)
		case "shape":
			input.Shape, err = shapeOf(value)
		case "parameters":
			input.Parameters, err = parametersOf(value)
		case "data":
			input.Data = value
		}
		return err
	})
	return input, err
}

func readOutput(object []byte) (output requestOutput, err error) {
	_, err = eachMember(object, func(name, value []byte) (err error) {
		switch string(name) {
		case "name":
			output.Name, err = textOf(value)
		case "parameters":
			output.Parameters, err = parametersOf(value)
		}
		return err
	})
	return output, err
}

func shapeOf(array []byte) (shape []int64, err error) {
	ok, err := eachElement(array, func(value []byte) error {
		size, err := strconv.ParseInt(string(value[:min(len(value), longestShown)]), 10, 64)
		if err != nil {
			return wrongValue("a size of the shape", "whole number within 64 bits")
		}
		if len(shape) == mostDimensions {
			return badRequest("the request's shape has more than %d dimensions", mostDimensions)
		}
		shape = append(shape, size)
		return nil
	})
	if err == nil && !ok && string(array) != "null" {
		err = wrongValue("the shape", "array")
	}
	return shape, err
}

// parameters are those of a request, an input or an output: an object of its JSON, nil for none.
type parameters []byte

func parametersOf(value []byte) (parameters, error) {
	switch {
	case string(value) == "null":
		return nil, nil
	case value[0] != '{':
		return nil, wrongValue("parameters", "object")
	}
	return value, nil
}

// get returns the parameter of that name, nil where there is none.
func (p parameters) get(wanted string) (value []byte) {
	// No error comes of a sound object.
	_, _ = eachMember(p, func(name, v []byte) error {
		if string(name) == wanted {
			value = v
		}
		return nil
	})
	return value
}

// boolean returns the parameter of that name, absent if it is not there.
func (p parameters) boolean(name string, absent bool) (bool, error) {
	switch value := p.get(name); string(value) {
	case "":
		return absent, nil
	case "true":
		return true, nil
	case "false", "null":
		return false, nil
	}
	return false, badRequest("the parameter %s is neither true nor false", name)
}

// isNotOffered reports whether a parameter changes the meaning of a request and is not offered: to
// pass over it would answer another question.
func isNotOffered(name string) bool {
	switch name {
	case "shared_memory_region", "shared_memory_offset", "shared_memory_byte_size", "classification",
		"sequence_id", "sequence_start", "sequence_end":
		return true
	}
	return false
}

func notOffered(name string) error {
	return badRequest("the parameter %s is of an extension that this server does not offer", name)
}

// check refuses what is not offered. Clients write 0 and false where they mean nothing.
func (p parameters) check() error {
	_, err := eachMember(p, func(name, value []byte) error {
		if !isNotOffered(string(name)) {
			return nil
		}
		if text := string(value); text != "null" && text != "0" && text != "false" {
			return notOffered(string(name))
		}
		return nil
	})
	return err
}

// hintOf names the usual reason why numpy's arrays are no JSON.
func hintOf(text []byte) string {
	if bytes.Contains(text, []byte("NaN")) || bytes.Contains(text, []byte("Infinity")) {
		return " (NaN and Infinity are no JSON)"
	}
	return ""
}
