package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"slipway/internal/statistics"
)

// welch compares the means of two samples, each numbers with commas between, by Welch's
// t-test, and writes what it came to as JSON.
func welch(args []string, out io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("welch: %d samples; give two, such as 1,2,3 2,3,4", len(args))
	}
	var samples [2][]float64
	for i, arg := range args {
		for _, word := range strings.Split(arg, ",") {
			value, err := strconv.ParseFloat(word, 64)
			if err != nil {
				return fmt.Errorf("welch: sample %d: %w", i+1, err)
			}
			samples[i] = append(samples[i], value)
		}
	}
	test, err := statistics.Welch(samples[0], samples[1], 0.95)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(test)
}
