package export

import (
	"math"

	"slipway/infer"
)

// softmax turns rows of logits into probabilities, for a graph that ends in
// Softmax.
func softmax(logits infer.Logits) []float32 {
	probabilities := make([]float32, len(logits.Values))
	for n := range logits.N {
		row := logits.Row(n)
		largest, sum := row[0], 0.0
		for _, x := range row {
			largest = max(largest, x)
		}
		for _, x := range row {
			sum += math.Exp(float64(x - largest))
		}
		for k, x := range row {
			probabilities[n*logits.K+k] = float32(math.Exp(float64(x-largest)) / sum)
		}
	}
	return probabilities
}
