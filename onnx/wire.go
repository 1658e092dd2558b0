package onnx

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// maxDepth is the nesting that the C++ protobuf library accepts, and so any
	// runtime built on it.
	maxDepth = 100
	// maxSlack bounds, beside twice the length of the file, the memory that the
	// decoded message may take. A message of 2 bytes becomes a struct of some
	// 200, so that the length of a file alone is no bound.
	maxSlack = 256 << 20

	messageCost = 256 // a generated struct and the pointer to it
	stringCost  = 24  // a string or slice header and its share of the slice's growth
	numberCost  = 8
)

// scanner walks an encoded message without allocating what it claims to hold.
type scanner struct {
	budget int64 // memory left, in bytes
}

// wireError is a fault in the encoding, its place growing as the walk unwinds.
type wireError struct {
	place   string
	offset  int // from the start of the file
	problem string
}

func (e *wireError) Error() string {
	place := e.place
	if place == "" {
		place = "the model"
	}
	// A place a hundred messages deep tells no more than its two ends.
	const most, first, last = 12, 5, 3
	if parts := strings.Split(place, "."); len(parts) > most {
		place = strings.Join(parts[:first], ".") + ".…." + strings.Join(parts[len(parts)-last:], ".")
	}
	return fmt.Sprintf("at byte %d, in %s: %s", e.offset, place, e.problem)
}

func (e *wireError) in(place string) *wireError {
	switch {
	case e.place == "":
		e.place = place
	default:
		e.place = place + "." + e.place
	}
	return e
}

// fieldPlace names one occurrence of a field; only an error has it spelled out.
type fieldPlace struct {
	field protoreflect.FieldDescriptor
	index int
}

func (p fieldPlace) String() string {
	if !p.field.IsList() {
		return string(p.field.Name())
	}
	return fmt.Sprintf("%s[%d]", p.field.Name(), p.index)
}

// scanWire reports the first way in which data is not an encoding of the message:
// malformed or truncated, with fields it does not have, with a field given twice
// that may come once (a concatenation of files), too deeply nested, or too
// large once decoded.
func scanWire(data []byte, descriptor protoreflect.MessageDescriptor) error {
	s := scanner{budget: 2*int64(len(data)) + maxSlack}
	if err := s.message(data, 0, descriptor, 1); err != nil {
		return err
	}
	return nil
}

// message scans one message; offset is where data begins in the file.
func (s *scanner) message(data []byte, offset int, descriptor protoreflect.MessageDescriptor,
	depth int) *wireError {
	fault := func(at int, format string, arguments ...any) *wireError {
		return &wireError{offset: offset + at, problem: fmt.Sprintf(format, arguments...)}
	}
	if depth > maxDepth {
		return fault(0, "messages are nested deeper than %d; no runtime reads that", maxDepth)
	}
	var count [64]int // how often each field was seen; ONNX's numbers are below 64
	var oneofs uint64
	fields, reserved := descriptor.Fields(), descriptor.ReservedRanges()
	for at := 0; at < len(data); {
		number, wireType, n := protowire.ConsumeTag(data[at:])
		if n < 0 {
			return fault(at, "%s", wireProblem(n, "a field's tag"))
		}
		value := at + n
		field := fields.ByNumber(number)
		if field == nil || int(number) >= len(count) {
			if !reserved.Has(number) && !isMLField(descriptor, number) {
				return fault(at,
					"field %d does not exist in ONNX's %s; it is no ONNX model, damaged, followed by something else, or newer than this program",
					number, descriptor.Name())
			}
			n = protowire.ConsumeFieldValue(number, wireType, data[value:])
			if n < 0 {
				return fault(at, "%s", wireProblem(n, "a reserved field"))
			}
			at = value + n
			continue
		}
		place := fieldPlace{field, count[number]}
		if !field.IsList() && place.index > 0 {
			return fault(at, "%v is given twice; the file is damaged or two files are joined", place)
		}
		count[number]++
		if oneof := field.ContainingOneof(); oneof != nil {
			bit := uint64(1) << oneof.Index()
			if oneofs&bit != 0 {
				return fault(at, "more than one kind of %s is given; only one may be", oneof.Name())
			}
			oneofs |= bit
		}

		packed := wireType == protowire.BytesType && field.IsList() &&
			wireTypeOf(field.Kind()) != protowire.BytesType
		if !packed && wireType != wireTypeOf(field.Kind()) {
			return fault(at,
				"%v has the wire type %d, not that of a %v; the file is damaged or no ONNX model", place,
				wireType, field.Kind())
		}
		if wireType != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, wireType, data[value:]); n < 0 {
				return fault(at, "%s", wireProblem(n, place.String()))
			}
			if err := s.spend(numberCost); err != nil {
				return fault(at, "%v", err)
			}
			at = value + n
			continue
		}

		length, n := protowire.ConsumeVarint(data[value:])
		if n < 0 {
			return fault(at, "%s", wireProblem(n, "the length of "+place.String()))
		}
		value += n
		if length > uint64(len(data)-value) {
			return fault(at, "%v claims %d bytes, but only %d are left; the file is truncated or damaged",
				place, length, len(data)-value)
		}
		content := data[value : value+int(length)]
		at = value + int(length)
		var cost int64
		switch {
		case packed:
			numbers, err := countPacked(content, field.Kind())
			if err != nil {
				return fault(value, "%v: %v", place, err)
			}
			cost = numberCost * int64(numbers)
		case field.Message() != nil:
			cost = messageCost
		default:
			cost = stringCost + int64(len(content))
		}
		if err := s.spend(cost); err != nil {
			return fault(value, "%v: %v", place, err)
		}
		if field.Message() != nil {
			if err := s.message(content, offset+value, field.Message(), depth+1); err != nil {
				return err.in(place.String())
			}
		}
	}
	return nil
}

func (s *scanner) spend(cost int64) error {
	s.budget -= cost
	if s.budget < 0 {
		return errors.New(
			"decoding would take more memory than twice the file and 256 MiB; the file is made of tiny parts, as no real model is")
	}
	return nil
}

// isMLField admits TypeProto.opaque_type, which only the definition for ONNX-ML
// has (onnx-ml.proto); the two are otherwise the same.
func isMLField(descriptor protoreflect.MessageDescriptor, number protowire.Number) bool {
	return descriptor.Name() == "TypeProto" && number == 7
}

func countPacked(content []byte, kind protoreflect.Kind) (int, error) {
	switch wireTypeOf(kind) {
	case protowire.Fixed32Type:
		if len(content)%4 != 0 {
			return 0, fmt.Errorf("%d bytes are no whole number of 4-byte values", len(content))
		}
		return len(content) / 4, nil
	case protowire.Fixed64Type:
		if len(content)%8 != 0 {
			return 0, fmt.Errorf("%d bytes are no whole number of 8-byte values", len(content))
		}
		return len(content) / 8, nil
	}
	numbers := 0
	for at := 0; at < len(content); numbers++ {
		_, n := protowire.ConsumeVarint(content[at:])
		if n < 0 {
			return 0, errors.New(wireProblem(n, "a number"))
		}
		at += n
	}
	return numbers, nil
}

func wireTypeOf(kind protoreflect.Kind) protowire.Type {
	switch kind {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	}
	return protowire.VarintType
}

func wireProblem(code int, what string) string {
	// The package varies the space after its name from build to build, so that nobody
	// relies on its words.
	problem := strings.TrimLeft(strings.TrimPrefix(protowire.ParseError(code).Error(), "proto:"),
		" \u00a0")
	return fmt.Sprintf("%s: %s; the file is truncated, damaged, or no ONNX model", what, problem)
}
