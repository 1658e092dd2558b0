// Package numberlist reads numbers with commas between them, as flags and metadata have them.
package numberlist

import (
	"strconv"
	"strings"
)

// Parse reads at least one number.
func Parse(text string) (values []float64, err error) {
	for field := range strings.SplitSeq(text, ",") {
		value, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}
