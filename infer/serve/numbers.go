package serve

import (
	"strconv"
)

// fromJSON reads the elements of a "data" array, flat or nested as its shape, in row-major order.
// The text is sound JSON, as package json left it in a json.RawMessage.
func (t tensorInfo) fromJSON(data []byte, elements int) ([]float32, error) {
	// An element takes two bytes at least, with its comma: no more than the text can hold is
	// allocated, whatever the shape says.
	if elements > len(data)/2 {
		return nil, badRequest(`input %q: "data" cannot hold the %d elements of the shape`, t.Name,
			elements)
	}
	values := make([]float32, 0, elements)
	depth := 0
	for i := 0; i < len(data); {
		switch c := data[i]; {
		case c == '[':
			if depth++; depth > len(t.Shape) {
				return nil, badRequest(`input %q: "data" is nested deeper than its %d dimensions`, t.Name,
					len(t.Shape))
			}
			i++
		case c == ']':
			depth--
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

// isNumber reports whether a byte can be within a JSON number.
func isNumber(c byte) bool {
	return c >= '0' && c <= '9' || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-'
}

func (t tensorInfo) parse(text []byte, index int) (float32, error) {
	number, err := strconv.ParseFloat(string(text), 32)
	if err != nil || !finite(float32(number)) {
		return 0, t.notFinite(index, shorten(string(text)))
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
