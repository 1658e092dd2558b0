package dataset

import (
	"bytes"
	"fmt"

	"slipway/dataset"
	"slipway/internal/display"
)

// writeLabels writes of images with any number of labels how many have each, how many labels an
// image has, and how many have none.
func (r *report) writeLabels(b *bytes.Buffer, info dataset.Info, counts []int, none int) {
	total := 0
	names := info.Labels(info.Classes)
	var empty, single, all []string
	for label, n := range counts {
		total += n
		switch n {
		case 0:
			empty = append(empty, names[label])
		case 1:
			single = append(single, names[label])
		case info.Images:
			all = append(all, names[label])
		}
	}
	fmt.Fprintf(b, "label  images\n")
	for label, n := range counts {
		fmt.Fprintf(b, "%5d  %6d  %5.2f %%", label, n, 100*float64(n)/float64(info.Images))
		if name := names[label]; name != fmt.Sprint(label) {
			fmt.Fprintf(b, "  %s", display.Printable(name))
		}
		fmt.Fprintln(b)
	}
	fmt.Fprintf(b, "an image: %.2f labels on average; %s (%.2f %%) without any\n",
		float64(total)/float64(info.Images), display.Count(none, "image"),
		100*float64(none)/float64(info.Images))
	r.writeSmall(b, "no image", empty)
	r.writeSmall(b, "a single image", single)
	r.writeSmall(b, "every image", all)
}
