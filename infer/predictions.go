package infer

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
)

// WritePredictions writes one CSV line an image: its index, label, prediction
// (empty when there is none because of a NaN), whether it is right, and its
// logits if the result has them. Floats have the fewest digits that read back
// as the same float32.
func WritePredictions(w io.Writer, result *Result) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, "image,label,prediction,correct")
	withLogits := result.Logits.N == len(result.Labels)
	if withLogits {
		for k := range result.Logits.K {
			fmt.Fprintf(out, ",logit_%d", k)
		}
	}
	fmt.Fprintln(out)
	for i, label := range result.Labels {
		prediction := ""
		if result.Predictions[i] >= 0 {
			prediction = strconv.Itoa(result.Predictions[i])
		}
		fmt.Fprintf(out, "%d,%d,%s,%t", i, label, prediction, label == result.Predictions[i])
		if withLogits {
			for _, v := range result.Logits.Row(i) {
				out.WriteByte(',')
				out.WriteString(strconv.FormatFloat(float64(v), 'g', -1, 32))
			}
		}
		out.WriteByte('\n')
	}
	return out.Flush()
}
