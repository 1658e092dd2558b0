package report

import (
	"bytes"
	"fmt"
	"image/png"
	"slices"
	"strconv"

	"slipway/dataset"
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

func (s *Study) addHardest(d *document) error {
	images, runs := s.hardest()
	d.heading("Hardest images")
	if len(images) == 0 {
		d.say("Every run is right on every test image.")
		return nil
	}
	data := newTable("index", "label", "runs_wrong", "runs", "most_frequent_wrong_answer", "mean_probability_of_label")
	always := 0
	for _, h := range images {
		data.row(strconv.Itoa(h.index), strconv.Itoa(h.label), strconv.Itoa(h.wrong), strconv.Itoa(runs), strconv.Itoa(h.answer), number(h.probability))
		if h.wrong == runs {
			always++
		}
	}
	table, err := data.bytes()
	if err != nil {
		return err
	}
	sheet := images[:min(mostHardest, len(images))]
	indices, captions := make([]int, len(sheet)), make([]string, len(sheet))
	for i, h := range sheet {
		indices[i] = h.index
		captions[i] = fmt.Sprintf("%d>%d %d%%", h.label, h.answer, (100*h.wrong+runs/2)/runs)
	}
	picture, err := dataset.CaptionedSheet(s.Test, indices, captions, hardestColumns)
	if err != nil {
		return err
	}
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, picture); err != nil {
		return err
	}
	d.add(figure{name: "hardest", png: encoded.Bytes(), data: table,
		caption: fmt.Sprintf("The %s that most of the %s get wrong: label > most frequent wrong answer, and the share of the runs that are wrong. The data have every image that a run gets wrong.", count(len(sheet), "test image"), count(runs, "run"))})
	d.say(fmt.Sprintf("%s of %d are wrong in at least one run, %d in all %d.", count(len(images), "image"), s.Test.Len(), always, runs))
	return nil
}

// hardest returns the images that a run got wrong, hardest first.
func (s *Study) hardest() (images []hard, runs int) {
	var all []Run
	for _, setting := range s.compared() {
		all = append(all, setting.Runs...)
	}
	for i := range s.Test.Len() {
		h := hard{index: i, label: s.Test.Label(i)}
		answers := make([]int, s.Test.Classes)
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
