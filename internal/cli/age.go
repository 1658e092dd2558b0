package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxAge is the longest time that ParseAge takes: a hundred years.
const maxAge = 36525 * 24 * time.Hour

// ParseAge reads how long ago something was: a number of hours, days or weeks, as 12h, 30d
// or 4w, in upper or lower case, above 0.
func ParseAge(text string) (time.Duration, error) {
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit, known := map[string]time.Duration{
		"h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
	}[strings.ToLower(text[len(number):])]
	value, err := strconv.ParseFloat(number, 64)
	if age := value * float64(unit); known && err == nil && age >= 1 && age <= float64(maxAge) {
		return time.Duration(age), nil
	}
	return 0, fmt.Errorf("%q is no time such as 12h, 30d or 4w", text)
}
