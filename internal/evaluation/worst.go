package evaluation

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image/png"
	"slices"
	"strconv"
	"strings"

	"slipway/dataset"
	"slipway/internal/display"
	"slipway/internal/document"
	"slipway/metrics"
)

const (
	// mostShown is the most images on a sheet, sheetColumns its columns.
	mostShown, sheetColumns = 40, 8
	// longestCaption is the most characters of a class's name under an image.
	longestCaption = 12
)

func (r *Report) addWorst(ctx context.Context, d *document.Document) error {
	wrong := worstOf(r.Answers)
	d.Heading("Most confidently wrong")
	if len(wrong) == 0 {
		d.Say("No image has a wrong answer.")
		return nil
	}
	files := dataset.FileNames(r.Set)
	data := document.NewCSV("image", "file", "label", "answer", "confidence", "probability_of_label")
	for _, i := range wrong {
		file, a := "", r.Answers[i]
		if i < len(files) {
			file = files[i]
		}
		data.Row(strconv.Itoa(i), file, r.ClassNames[a.Label], r.ClassNames[a.Class],
			document.Number(a.Confidence), document.Number(a.OfLabel))
	}
	table, err := data.Bytes()
	if err != nil {
		return err
	}
	shown := wrong[:min(mostShown, len(wrong))]
	captions := make([]string, len(shown))
	for k, i := range shown {
		a := r.Answers[i]
		captions[k] = fmt.Sprintf("%s %.0f%%", Caption(r.ClassNames, a.Label, a.Class), 100*a.Confidence)
	}
	sheet, err := Sheet(ctx, r.Set, shown, captions)
	if err != nil {
		return err
	}
	d.Add(document.Figure{Name: worst, PNG: sheet, Data: table,
		Caption: fmt.Sprintf("The %s with the highest confidence in a wrong answer: label > answer, "+
			"and the confidence. The data have all %d wrong ones.", display.Count(len(shown), "image"),
			len(wrong))})
	return nil
}

// worstOf are the images with a wrong answer, the most confident first.
func worstOf(answers []metrics.Answer) []int {
	var wrong []int
	for i, a := range answers {
		if a.Class >= 0 && !a.Right() {
			wrong = append(wrong, i)
		}
	}
	slices.SortStableFunc(wrong, func(a, b int) int {
		return cmp.Compare(answers[b].Confidence, answers[a].Confidence)
	})
	return wrong
}

// Caption writes "label>answer" for a sheet, which has ASCII alone: a class whose name has
// other characters, or that has none, is told by its number.
func Caption(names []string, label, answer int) string {
	return shortName(names, label) + ">" + shortName(names, answer)
}

func shortName(names []string, class int) string {
	name := strconv.Itoa(class)
	switch {
	case class < 0:
		name = "none"
	case class < len(names):
		name = names[class]
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		name = strconv.Itoa(class)
	}
	return name[:min(len(name), longestCaption)]
}

// Sheet draws the images of those indices with their captions as a PNG, and reads no others.
// Of images that are neither grey nor coloured it shows the first channel.
func Sheet(ctx context.Context, source dataset.Source, indices []int,
	captions []string) ([]byte, error) {
	info := source.Info()
	if err := dataset.CheckSheet(len(indices), info.Height, info.Width); err != nil {
		return nil, err
	}
	plane, channels := info.Height*info.Width, info.Channels
	images := make([]uint8, len(indices)*channels*plane)
	if err := source.Read(ctx, images, nil, indices, 0); err != nil {
		return nil, err
	}
	if channels != 1 && channels != 3 {
		first := make([]uint8, 0, len(indices)*plane)
		for i := range indices {
			first = append(first, images[i*channels*plane:][:plane]...)
		}
		images, channels = first, 1
	}
	// The captions are the caller's: what the labels are is not shown.
	set, err := dataset.NewSet(info.Name, images, make([]int32, len(indices)), channels, info.Height,
		info.Width, 0)
	if err != nil {
		return nil, err
	}
	all := make([]int, len(indices))
	for i := range all {
		all[i] = i
	}
	picture, err := dataset.CaptionedSheet(set, all, captions, sheetColumns)
	if err != nil {
		return nil, err
	}
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, picture); err != nil {
		return nil, fmt.Errorf("contact sheet: %w", err)
	}
	return encoded.Bytes(), nil
}
