package report

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"slipway/dataset"
	"slipway/infer"
	"slipway/internal/document"
	"slipway/internal/statistics"
	"slipway/internal/study"
)

const unseenFile = "unseen.csv"

// digitsName is the set of handwritten digits of another source: answers on it can be
// right. Of other sets only the confidence says something.
const digitsName = "optdigits"

// unseen is what a run answered on a set that is not the one it was trained for.
type unseen struct {
	set string
	infer.Confidence
}

// MeasureUnseen has every run classify the sets, which are not what they were trained
// for. Each run's ONNX graph is evaluated in the native runtime.
func (s *Study) MeasureUnseen(ctx context.Context, sets []*dataset.Set) error {
	for i := range s.Settings {
		for j := range s.Settings[i].Runs {
			if err := s.Settings[i].Runs[j].measureUnseen(ctx, sets); err != nil {
				return fmt.Errorf("run %s on unseen data: %w", s.Settings[i].Runs[j].Dir, err)
			}
		}
	}
	return nil
}

func (r *Run) measureUnseen(ctx context.Context, sets []*dataset.Set) (err error) {
	model, err := infer.LoadModel(filepath.Join(r.Dir, study.ModelFile))
	if err != nil {
		return err
	}
	record, ok, err := model.TrainingRecord()
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%s does not say how pixels are fed", model.Path())
	}
	pixels, err := infer.PixelsOf(record)
	if err != nil {
		return err
	}
	scale := infer.ScaleOf(model, "")
	runtime, err := infer.OpenNative(ctx, model, infer.NativeOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, runtime.Close()) }()
	measured, err := infer.MeasureUnseen(ctx,
		[]infer.Subject{{Runtime: runtime, Pixels: pixels, Scale: scale}}, sets,
		infer.RobustnessOptions{})
	if err != nil {
		return err
	}
	for i, set := range sets {
		r.unseen = append(r.unseen, unseen{set.Name, measured[0][i]})
	}
	return nil
}

// unseenAccuracy is that on a set, not ok where it was not measured.
func unseenAccuracy(r Run, set string) (float64, bool) {
	for _, u := range r.unseen {
		if u.set == set {
			return u.Accuracy, true
		}
	}
	return 0, false
}

// addUnseen shows how right and how sure the runs are on data of another source.
func (s *Study) addUnseen(d *document.Document) error {
	settings := s.compared()
	if len(settings[0].Runs[0].unseen) == 0 {
		return nil
	}
	d.Heading("Unseen data")
	d.Say("How right and how sure the networks are on sets that they were not trained for: " +
		digitsName +
		" are handwritten digits of another source (UCI), 8×8 pixels scaled up; on sets that are no digits there is no right answer, and every confident one is wrong.")
	t := document.Table{Head: []string{"setting", "set", "images", "accuracy", "mean confidence",
		"confidence above 90 %", "above 99 %"}}
	data := document.NewCSV("setting", "seed", "set", "images", "accuracy", "mean_confidence",
		"above_90", "above_99")
	for _, setting := range settings {
		for i, of := range setting.Runs[0].unseen {
			var accuracy, mean, above90, above99 []float64
			for _, run := range setting.Runs {
				u := run.unseen[i]
				accuracy, mean = append(accuracy, u.Accuracy), append(mean, u.Mean)
				above90, above99 = append(above90, u.Above90), append(above99, u.Above99)
				data.Row(setting.Name, strconv.FormatUint(run.Seed, 10), u.set, strconv.Itoa(u.Images),
					document.Number(u.Accuracy), document.Number(u.Mean), document.Number(u.Above90),
					document.Number(u.Above99))
			}
			right := "–"
			if of.set == digitsName {
				right = plusMinus(accuracy, 100, 2, " %")
			}
			t.Rows = append(t.Rows, []string{setting.Name, of.set, strconv.Itoa(of.Images), right,
				plusMinus(mean, 100, 2, " %"),
				percent(statistics.Mean(above90)), percent(statistics.Mean(above99))})
		}
	}
	d.Add(t)
	content, err := data.Bytes()
	if err != nil {
		return err
	}
	d.Attach(document.File{Name: unseenFile, Content: content})
	return nil
}
