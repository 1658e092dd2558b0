package report

import (
	"bytes"
	"fmt"
	"image/png"
	"slices"
	"strconv"

	"slipway/dataset"
	"slipway/internal/document"
)

// mostHardest is the most images on the sheet, hardestColumns its columns.
const mostHardest, hardestColumns = 40, 10

// hard is a test image that runs got wrong.
type hard struct {
	index, label int
	// wrong of the runs; answer is their most frequent wrong one.
	wrong, answer int
	probability   float64 // of the label, mean over all runs
}

func (s *Study) addHardest(d *document.Document) error {
	images, runs := s.hardest()
	d.Heading("Hardest images")
	if len(images) == 0 {
		d.Say("Every run is right on every test image.")
		return nil
	}
	data := document.NewCSV("index", "label", "runs_wrong", "runs", "most_frequent_wrong_answer",
		"mean_probability_of_label")
	always := 0
	for _, h := range images {
		data.Row(strconv.Itoa(h.index), strconv.Itoa(h.label), strconv.Itoa(h.wrong), strconv.Itoa(runs),
			strconv.Itoa(h.answer), document.Number(h.probability))
		if h.wrong == runs {
			always++
		}
	}
	table, err := data.Bytes()
	if err != nil {
		return err
	}
	sheet := images[:min(mostHardest, len(images))]
	indices, captions := make([]int, len(sheet)), make([]string, len(sheet))
	for i, h := range sheet {
		indices[i] = h.index
		captions[i] = fmt.Sprintf("%d>%d %d%%", h.label, h.answer, (100*h.wrong+runs/2)/runs)
	}
	encoded, err := sheetOf(s.Test, indices, captions)
	if err != nil {
		return err
	}
	d.Add(document.Figure{Name: "hardest", PNG: encoded, Data: table,
		Caption: fmt.Sprintf(
			"The %s that most of the %s get wrong: label > most frequent wrong answer, and the share of the runs that are wrong. The data have every image that a run gets wrong.",
			count(len(sheet), "test image"), count(runs, "run"))})
	d.Say(fmt.Sprintf("%s of %d are wrong in at least one run, %d in all %d.",
		count(len(images), "image"), s.Test.Len(), always, runs))
	return nil
}

// sheetOf draws the images as a PNG. Of those that are neither grey nor coloured it
// shows the first channel.
func sheetOf(set *dataset.Set, indices []int, captions []string) ([]byte, error) {
	if set.Channels != 1 && set.Channels != 3 {
		grey := *set
		grey.Channels, grey.Images = 1, make([]uint8, 0, set.Len()*set.Height*set.Width)
		for i := range set.Len() {
			grey.Images = append(grey.Images, set.Image(i)[:set.Height*set.Width]...)
		}
		set = &grey
	}
	picture, err := dataset.CaptionedSheet(set, indices, captions, hardestColumns)
	if err != nil {
		return nil, err
	}
	var encoded bytes.Buffer
	err = png.Encode(&encoded, picture)
	return encoded.Bytes(), err
}

// mostScores is the largest number of scores that a run gives an image.
func mostScores(runs []Run) int {
	most := 0
	for _, run := range runs {
		most = max(most, run.Scores.Classes)
	}
	return most
}

// hardest returns the images that a run got wrong, hardest first.
func (s *Study) hardest() (images []hard, runs int) {
	var all []Run
	for _, setting := range s.compared() {
		all = append(all, setting.Runs...)
	}
	classes := mostScores(all)
	for i := range s.Test.Len() {
		h := hard{index: i, label: s.Test.Label(i)}
		answers := make([]int, classes)
		for _, run := range all {
			h.probability += run.Scores.Row(i)[h.label] / float64(len(all))
			if !run.Correct[i] {
				h.wrong++
				class, _ := run.Scores.Answer(i)
				answers[class]++
			}
		}
		for class, n := range answers {
			if n > answers[h.answer] || answers[h.answer] == 0 {
				h.answer = class
			}
		}
		if h.wrong > 0 {
			images = append(images, h)
		}
	}
	slices.SortStableFunc(images, func(a, b hard) int {
		switch {
		case a.wrong != b.wrong:
			return b.wrong - a.wrong
		case a.probability < b.probability:
			return -1
		case a.probability > b.probability:
			return 1
		}
		return 0
	})
	return images, len(all)
}
