package builder

import (
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

func (s Size) isZero() bool { return s == Size{} }
