package augment

import (
	"fmt"
	"strconv"
	"strings"

	"slipway/internal/nearest"
)

// settings is an operation that can be changed.
type settings interface {
	fields() []field
	operation() Operation
}

// field is one of an operation's settings.
type field struct {
	name  string
	value any // *int, *float64, *Range or *string, into the operation
	usual any // the default, of the type that value points to
}

// Range is what a number is drawn from, From ≤ To. The zero value stands for a default.
type Range struct{ From, To float64 }

// String is "0.08..1".
func (r Range) String() string { return number(r.From) + ".." + number(r.To) }

// at is the value at u of 0…1.
func (r Range) at(u float64) float64 { return r.From + float64((r.To-r.From)*u) }

// ordered reports whether from ≤ From ≤ To ≤ to; NaN is not.
func (r Range) ordered(from, to float64) bool {
	return from <= r.From && r.From <= r.To && r.To <= to
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// withDefaults sets what is zero, and gives the operation.
func withDefaults(s settings) Operation {
	for _, f := range s.fields() {
		switch value := f.value.(type) {
		case *int:
			if *value == 0 {
				*value = f.usual.(int)
			}
		case *float64:
			if *value == 0 {
				*value = f.usual.(float64)
			}
		case *Range:
			if *value == (Range{}) {
				*value = f.usual.(Range)
			}
		case *string:
			if *value == "" {
				*value = f.usual.(string)
			}
		}
	}
	return s.operation()
}

// text is the field's value as ParseList reads it.
func (f field) text() string {
	switch value := f.value.(type) {
	case *int:
		return strconv.Itoa(*value)
	case *float64:
		return number(*value)
	case *Range:
		return value.String()
	case *string:
		return *value
	}
	return ""
}

func (f field) isUsual() bool {
	switch value := f.value.(type) {
	case *int:
		return *value == f.usual.(int)
	case *float64:
		return *value == f.usual.(float64)
	case *Range:
		return *value == f.usual.(Range)
	case *string:
		return *value == f.usual.(string)
	}
	return false
}

// parse reads what text writes.
func (f field) parse(text string) error {
	var err error
	switch value := f.value.(type) {
	case *int:
		if *value, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("%s is a whole number; %q is none that fits", f.name, text)
		}
	case *float64:
		if *value, err = strconv.ParseFloat(text, 64); err != nil {
			return fmt.Errorf("%s is a number; %q is none that fits", f.name, text)
		}
	case *Range:
		from, to, ok := strings.Cut(text, "..")
		var first, second error
		value.From, first = strconv.ParseFloat(from, 64)
		value.To, second = strconv.ParseFloat(to, 64)
		if !ok || first != nil || second != nil {
			return fmt.Errorf("%s is a range such as %v; %q is none", f.name, f.usual, text)
		}
	case *string:
		*value = text
	}
	return f.refuseZero(text)
}

// refuseZero refuses a zero that was written where a zero stands for the default.
func (f field) refuseZero(text string) error {
	zero := false
	switch value := f.value.(type) {
	case *int:
		zero = *value == 0 && f.usual != 0
	case *float64:
		zero = *value == 0 && f.usual != 0.
	case *Range:
		zero = *value == Range{}
	case *string:
		zero = *value == ""
	}
	if zero {
		return fmt.Errorf("%s is %q, which changes nothing; leave the operation out, or the "+
			"setting, which is %v then", f.name, text, f.usual)
	}
	return nil
}

// parseFields reads settings between colons: values in the fields' order, then NAME=VALUE.
func parseFields(fields []field, text string) error {
	place, seen := 0, map[string]bool{}
	for word := range strings.SplitSeq(text, ":") {
		name, value, named := strings.Cut(word, "=")
		var f field
		switch {
		case named:
			found, err := fieldOf(fields, name)
			if err != nil {
				return err
			}
			f, place = found, len(fields)+1
		case place > len(fields):
			return fmt.Errorf("the value %q follows a named setting; name it, too", word)
		case place == len(fields):
			return fmt.Errorf("%q is one setting too many; there is %s", word, fieldNames(fields))
		default:
			f, value = fields[place], word
			place++
		}
		if seen[f.name] {
			return fmt.Errorf("%s is given twice", f.name)
		}
		seen[f.name] = true
		if err := f.parse(value); err != nil {
			return err
		}
	}
	return nil
}

func fieldOf(fields []field, name string) (field, error) {
	for _, f := range fields {
		if f.name == name {
			return f, nil
		}
	}
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	return field{}, fmt.Errorf("there is no setting %q, but %s%s", name, fieldNames(fields),
		nearest.Hint(name, names))
}

func fieldNames(fields []field) string {
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

// text writes an operation with the settings that are not the defaults: without names as far as
// none before them is left out.
func text(o Operation) string {
	changed := o.settings()
	withDefaults(changed)
	fields := changed.fields()
	var words []string
	inOrder := true
	for _, f := range fields {
		switch {
		case f.isUsual():
			inOrder = false
		case inOrder:
			words = append(words, f.text())
		default:
			words = append(words, f.name+"="+f.text())
		}
	}
	if words == nil {
		return o.Name()
	}
	return o.Name() + "=" + strings.Join(words, ":")
}

// usage is how an operation is written with all its settings, and these where nothing is said.
func usage(o Operation) (form, defaults string) {
	made := o.settings()
	withDefaults(made)
	var names, usual []string
	for _, f := range made.fields() {
		names = append(names, strings.ToUpper(f.name))
		usual = append(usual, f.text())
	}
	return o.Name() + "=" + strings.Join(names, ":"), strings.Join(usual, ":")
}
