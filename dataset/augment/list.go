package augment

import (
	"errors"
	"fmt"
	"strings"

	"slipway/internal/nearest"
)

// Operation is one change of an image: Flip, Shift, ColorJitter and so on. A field that is zero
// stands for its default. Operations are plain values and can be compared with ==.
type Operation interface {
	// Name is the operation's word in lists, such as "color-jitter".
	Name() string
	// String is the operation as ParseList reads it.
	String() string

	// settings is a copy of the operation whose fields can be set.
	settings() settings
	// check says what is wrong with the operation, defaults filled in, for images of that shape.
	check(s Shape) error
	// apply changes the canvas as the draws say.
	apply(c *canvas, d draws)
}

// Shape is that of an image, C×H×W.
type Shape struct{ Channels, Height, Width int }

func (s Shape) size() int  { return s.Channels * s.Height * s.Width }
func (s Shape) plane() int { return s.Height * s.Width }

// String is "3×224×224".
func (s Shape) String() string { return fmt.Sprintf("%d×%d×%d", s.Channels, s.Height, s.Width) }

// maxSide is the most channels, rows and columns of an image.
const maxSide = 1 << 16

func (s Shape) check() error {
	for _, n := range []int{s.Channels, s.Height, s.Width} {
		if n < 1 || n > maxSide {
			return fmt.Errorf("augmentation: images of %v (channels, height, width); each is 1 "+
				"to %d", s, maxSide)
		}
	}
	return nil
}

// List is what is done to an image, the first operation first. The empty list changes nothing.
//
// There is one exception to the order: where a shift and a rotation are the whole list, the
// rotation comes first, however they are written. So it was when there were no others.
type List []Operation

// ParseList reads operations between commas, each a name, alone or with settings after it:
//
//	flip,shift=2,color-jitter=0.4:0.4:0.4:0.1,random-erasing=probability=0.25
//
// Settings are separated by colons, in the order in which the operation's fields stand, or named;
// a range is written FROM..TO. What is not given has its default. The empty text is the empty list.
// An error is also what no image can be changed by; what depends on the images, Check says.
func ParseList(text string) (List, error) {
	if text == "" {
		return nil, nil
	}
	var list List
	for word := range strings.SplitSeq(text, ",") {
		operation, err := parseOperation(strings.TrimSpace(word))
		if err != nil {
			return nil, fmt.Errorf("augmentation: %w", err)
		}
		list = append(list, operation)
	}
	// What is wrong for images of any shape is wrong here.
	if err := list.Check(3, maxSide, maxSide); err != nil {
		return nil, err
	}
	return list.normal(), nil
}

// parseOperation reads one operation.
func parseOperation(word string) (Operation, error) {
	name, rest, given := strings.Cut(word, "=")
	made, err := newSettings(name)
	if err != nil {
		return nil, err
	}
	if given {
		if err := parseFields(made.fields(), rest); err != nil {
			return nil, fmt.Errorf("%q: %w", word, err)
		}
	}
	return withDefaults(made), nil
}

// newSettings makes the operation of that name with nothing set.
func newSettings(name string) (settings, error) {
	if name == "" {
		return nil, errors.New("an operation is missing; leave out the comma, or give a name")
	}
	for _, kind := range kinds() {
		if kind.Name() == name {
			return kind.settings(), nil
		}
	}
	names := Names()
	return nil, fmt.Errorf("the operation %q is unknown; there are %s%s", name,
		strings.Join(names, ", "), nearest.Hint(name, names))
}

// String is the list as ParseList reads it, with the settings that are not the defaults.
func (l List) String() string {
	var words []string
	for _, operation := range l.normal() {
		words = append(words, operation.String())
	}
	return strings.Join(words, ",")
}

// Check says what is wrong with the list for images of that shape: an operation's settings, its
// place, or that it does not apply. The error says what to do instead.
func (l List) Check(channels, height, width int) error {
	shape := Shape{channels, height, width}
	if err := shape.check(); err != nil {
		return err
	}
	for place, operation := range l.normal() {
		if operation == nil {
			return fmt.Errorf("augmentation: operation %d of the list is nil", place+1)
		}
		if err := operation.check(shape); err != nil {
			return fmt.Errorf("augmentation: %v: %w", operation, err)
		}
		if _, ok := operation.(RandomResizedCrop); ok && place > 0 {
			return fmt.Errorf("augmentation: %v is operation %d of the list; it makes images of "+
				"their size from whole pictures, so put it first", operation, place+1)
		}
	}
	return nil
}

// NeedsOriginal reports whether the list begins with what is made of a picture in its own size:
// RandomResizedCrop. Apply makes it of an image that has come to the size of all, too, but of
// fewer pixels; ApplyOriginal is for the picture itself.
func (l List) NeedsOriginal() bool {
	full := l.normal()
	if len(full) == 0 {
		return false
	}
	_, ok := full[0].(RandomResizedCrop)
	return ok
}

// normal is the list with defaults filled in, without shifts and rotations by nothing, and with a
// shift and a rotation alone in their order.
func (l List) normal() List {
	var full List
	for _, operation := range l {
		if operation != nil {
			operation = withDefaults(operation.settings())
		}
		if operation != (Shift{}) && operation != (Rotation{}) {
			full = append(full, operation)
		}
	}
	if len(full) == 2 {
		_, shift := full[0].(Shift)
		_, rotation := full[1].(Rotation)
		if shift && rotation {
			full[0], full[1] = full[1], full[0]
		}
	}
	return full
}
