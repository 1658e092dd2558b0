package builder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Shape is the shape of one example, without the batch: C×H×W for an image or
// a feature map, a single number for a vector of features.
type Shape []int

// Elements returns the number of values in the shape.
func (s Shape) Elements() int {
	elements := 1
	for _, dimension := range s {
		elements *= dimension
	}
	return elements
}

// String writes the shape as 32×12×12.
func (s Shape) String() string {
	parts := make([]string, len(s))
	for i, dimension := range s {
		parts[i] = strconv.Itoa(dimension)
	}
	return strings.Join(parts, "×")
}

// maxElements bounds one example and one parameter tensor, so that products
// of dimensions cannot overflow and a slip of the pen does not ask for more
// memory than a machine has.
const maxElements = 1 << 31

// checkPositive reports the first dimension that is not positive, or a product
// of dimensions beyond maxElements.
func (s Shape) checkPositive() error {
	elements := 1
	for _, dimension := range s {
		if dimension <= 0 {
			return fmt.Errorf("shape %v has the dimension %d; each must be at least 1", s, dimension)
		}
		if dimension > maxElements/elements {
			return fmt.Errorf("shape %v holds more than %d values", s, maxElements)
		}
		elements *= dimension
	}
	return nil
}

// Size is a height and a width, in pixels of the layer's input.
type Size struct {
	Height int `json:"height"`
	Width  int `json:"width"`
}

// Square returns the size n×n.
func Square(n int) Size { return Size{Height: n, Width: n} }

// String writes the size as 5×5.
func (s Size) String() string { return fmt.Sprintf("%d×%d", s.Height, s.Width) }

// UnmarshalJSON reads {"height": H, "width": W}, [H, W], or one number for both.
func (s *Size) UnmarshalJSON(raw []byte) error {
	wrong := errors.New("a size is one number, [HEIGHT, WIDTH], or {height: HEIGHT, width: WIDTH}")
	if raw = bytes.TrimSpace(raw); len(raw) == 0 {
		return wrong
	}
	switch raw[0] {
	case '{':
		type plain Size
		var read plain
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		if decoder.Decode(&read) != nil {
			return wrong
		}
		*s = Size(read)
	case '[':
		var sides []int
		if json.Unmarshal(raw, &sides) != nil || len(sides) != 2 {
			return wrong
		}
		*s = Size{Height: sides[0], Width: sides[1]}
	default:
		var side *int
		if json.Unmarshal(raw, &side) != nil || side == nil {
			return wrong
		}
		*s = Square(*side)
	}
	return nil
}

func (s Size) isZero() bool { return s == Size{} }
