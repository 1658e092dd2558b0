package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ParseBytes reads a size of at least a byte: a number, alone or with kB, MB, GB or TB
// (thousands) or KiB, MiB, GiB or TiB (times 1,024) behind it, in upper or lower case.
func ParseBytes(text string) (int64, error) {
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit, known := map[string]float64{
		"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "k": 1e3, "m": 1e6, "g": 1e9,
		"t":   1e12,
		"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	}[strings.ToLower(text[len(number):])]
	value, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !known || err != nil || !(value*unit >= 1 && value*unit < math.MaxInt64) {
		return 0, fmt.Errorf("%q is no size in bytes, such as 500MB or 2GB", text)
	}
	return int64(value * unit), nil
}
