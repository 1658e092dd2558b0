package infer

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// WritePredictions writes one CSV line an image: its index, its file where the result has it,
// label, prediction (empty when there is none because of a NaN), whether it is right, and its
// logits if the result has them. Of images with any number of labels, label and prediction are
// several parted by |, and empty for none; without an answer the prediction is NaN. Floats have the
// fewest digits that read back as the same float32.
func WritePredictions(w io.Writer, result *Result) error {
	out := bufio.NewWriter(w)
	withFiles := len(result.Files) == len(result.Labels) && len(result.Files) > 0
	if withFiles {
		fmt.Fprint(out, "image,file,label,prediction,correct")
	} else {
		fmt.Fprint(out, "image,label,prediction,correct")
	}
	withLogits := result.Logits.N == len(result.Labels)
	if withLogits {
		for k := range result.Logits.K {
			fmt.Fprintf(out, ",logit_%d", k)
		}
	}
	fmt.Fprintln(out)
	for i, label := range result.Labels {
		prediction := result.labelText(result.Predictions[i])
		fmt.Fprint(out, i)
		if withFiles {
			fmt.Fprintf(out, ",%s", csvField(result.Files[i]))
		}
		fmt.Fprintf(out, ",%s,%s,%t", result.labelText(label), prediction, label == result.Predictions[i])
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

// csvField is a field of a CSV line (RFC 4180).
func csvField(field string) string {
	if !strings.ContainsAny(field, ",\"\r\n") {
		return field
	}
	return `"` + strings.ReplaceAll(field, `"`, `""`) + `"`
}
