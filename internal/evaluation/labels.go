package evaluation

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"slipway/dataset"
	"slipway/internal/display"
	"slipway/internal/document"
)

// WrongLabel is the label of an image that is most confidently wrong: told though the image does
// not have it, or not told though it does.
type WrongLabel struct {
	Image, Label int
	Told         bool
	// Probability is the label's, and Apart how far it is from that above which a label is told.
	Probability, Apart float64
}

// addWrongLabels shows the images with a wrong label, the most confident first.
func (r *Report) addWrongLabels(ctx context.Context, d *document.Document) error {
	d.Heading("Most confidently wrong")
	if len(r.Wrong) == 0 {
		d.Say("No image has a wrong label.")
		return nil
	}
	wrong := slices.Clone(r.Wrong)
	slices.SortStableFunc(wrong, func(a, b WrongLabel) int { return cmp.Compare(b.Apart, a.Apart) })
	files := dataset.FileNames(r.Set)
	data := document.NewCSV("image", "file", "label", "told", "probability")
	for _, w := range wrong {
		file := ""
		if w.Image < len(files) {
			file = files[w.Image]
		}
		data.Row(strconv.Itoa(w.Image), file, r.ClassNames[w.Label], strconv.FormatBool(w.Told),
			document.Number(w.Probability))
	}
	table, err := data.Bytes()
	if err != nil {
		return err
	}
	shown := wrong[:min(mostShown, len(wrong))]
	indices, captions := make([]int, len(shown)), make([]string, len(shown))
	for k, w := range shown {
		sign := "-"
		if w.Told {
			sign = "+"
		}
		indices[k] = w.Image
		captions[k] = fmt.Sprintf("%s%s %.0f%%", sign, shortName(r.ClassNames, w.Label),
			100*w.Probability)
	}
	sheet, err := Sheet(ctx, r.Set, indices, captions)
	if err != nil {
		return err
	}
	d.Add(document.Figure{Name: worst, PNG: sheet, Data: table,
		Caption: fmt.Sprintf(
			"The %s with the most confidently wrong label: + is told and not there, - is "+
				"there and not told, and its probability. The data have all %d wrong ones.",
			display.Count(len(shown), "image"), len(wrong))})
	return nil
}
