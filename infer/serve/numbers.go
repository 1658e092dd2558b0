package serve

import (
	"strconv"

	"slipway/onnx"
)

// fromJSON reads the elements of a "data" array in row-major order: flat, or nested as its shape,
// whose number of elements is given. The text is sound JSON.
func (t tensorInfo) fromJSON(data []byte, shape []int64, elements int) ([]float32, error) {
	// An element takes two bytes at least, with its comma: no more than the text can hold is
	// allocated, whatever the shape says.
	if elements > len(data)/2 {
		return nil, badRequest(`input %q: "data" cannot hold the %d elements of the shape`, t.Name,
			elements)
	}
	values := make([]float32, 0, elements)
	nest := nesting{input: t.Name, shape: shape}
	for i := 0; i < len(data); {
		switch c := data[i]; {
		case c == '[':
			if err := nest.open(); err != nil {
				return nil, err
			}
			i++
		case c == ']':
			if err := nest.close(); err != nil {
				return nil, err
			}
			i++
		case c == ',' || c == ' ' || c == '\n' || c == '\t' || c == '\r':
			i++
		case c == '-' || c >= '0' && c <= '9':
			end := i + 1
			for end < len(data) && isNumber(data[end]) {
				end++
			}
			if len(values) == elements {
				return nil, badRequest(`input %q: "data" has more than the %d elements of the shape`, t.Name,
					elements)
			}
			if err := nest.number(); err != nil {
				return nil, err
			}
			value, err := t.parse(data[i:end], len(values))
			if err != nil {
				return nil, err
			}
			values = append(values, value)
			i = end
		default:
			return nil, badRequest(`input %q: element %d of "data" is no number`, t.Name, len(values))
		}
	}
	if len(values) != elements {
		return nil, badRequest(`input %q: "data" has %d elements, the shape %d`, t.Name, len(values),
			elements)
	}
	return values, nil
}

// A nesting checks that arrays lie within each other as a shape says, or that there is one array
// alone.
type nesting struct {
	input string
	shape []int64
	// counts are the elements so far of the arrays that are open, the outermost first.
	counts []int64
	// flat says that the first element is a number.
	flat, begun bool
}

func (n *nesting) open() error {
	switch depth := len(n.counts); {
	case depth == len(n.shape):
		return badRequest(`input %q: "data" is nested deeper than its %d dimensions`, n.input,
			len(n.shape))
	case n.flat:
		return n.wrong()
	case depth > 0:
		n.counts[depth-1]++
	}
	n.counts = append(n.counts, 0)
	return nil
}

func (n *nesting) number() error {
	depth := len(n.counts)
	if !n.begun {
		n.begun, n.flat = true, depth == 1
	}
	if !n.flat && depth != len(n.shape) {
		return n.wrong()
	}
	n.counts[depth-1]++
	return nil
}

func (n *nesting) close() error {
	depth := len(n.counts)
	if !n.flat && n.counts[depth-1] != n.shape[depth-1] {
		return n.wrong()
	}
	n.counts = n.counts[:depth-1]
	return nil
}

func (n *nesting) wrong() error {
	return badRequest(`input %q: "data" is neither flat nor nested as its shape %s`, n.input,
		formatShape(n.shape))
}

// isNumber reports whether a byte can be within a JSON number.
func isNumber(c byte) bool {
	return c >= '0' && c <= '9' || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-'
}

func (t tensorInfo) parse(text []byte, index int) (float32, error) {
	number, err := strconv.ParseFloat(string(text), 32)
	if err != nil || !finite(float32(number)) {
		return 0, t.notFinite(index, shorten(string(text)))
	}
	// Beyond 65504, where float16 ends.
	if t.Datatype == typeFP16 && !finite(onnx.NewFloat16(float32(number)).Float32()) {
		return 0, badRequest("input %q: element %d is %s; finite numbers within float16 are wanted",
			t.Name,
			index, shorten(string(text)))
	}
	if t.Datatype == typeUINT8 && (number < 0 || number > 255 || number != float64(uint8(number))) {
		return 0, badRequest("input %q: element %d is %s; UINT8 is a whole number, 0 to 255", t.Name,
			index, shorten(string(text)))
	}
	return float32(number), nil
}

// longestShown is what is said of a text that a client sent, in bytes.
const longestShown = 40

// shorten keeps an error readable where a number has a million digits.
func shorten(text string) string {
	if len(text) <= longestShown {
		return text
	}
	return text[:longestShown] + "…"
}
