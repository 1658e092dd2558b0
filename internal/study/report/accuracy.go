package report

import (
	"fmt"
	"slices"
	"strconv"

	"slipway/internal/document"
	"slipway/internal/statistics"
)

func (s *Study) addAccuracy(d *document.Document) error {
	settings := s.compared()
	accuracy := metrics()[0]
	d.Heading("Accuracy")
	rows := make([]dotRow, len(settings))
	data := document.NewCSV("setting", "seed", "test_accuracy", "correct", "images", "wilson_low",
		"wilson_high", "clopper_pearson_low", "clopper_pearson_high")
	for i, setting := range settings {
		values := accuracy.values(setting.Runs)
		spread := spreadOf(values)
		rows[i] = dotRow{name: setting.Name, mean: 100 * spread.mean}
		for _, v := range values {
			rows[i].values = append(rows[i].values, 100*v)
		}
		if spread.intervalIsMeaningful {
			rows[i].interval = &[2]float64{100 * spread.interval.Low, 100 * spread.interval.High}
		}
		for _, run := range setting.Runs {
			right := rightOf(run)
			wilson, err := statistics.Wilson(right, len(run.Correct), level)
			if err != nil {
				return err
			}
			exactInterval, err := statistics.ClopperPearson(right, len(run.Correct), level)
			if err != nil {
				return err
			}
			data.Row(setting.Name, strconv.FormatUint(run.Seed, 10), document.Number(run.TestAccuracy),
				strconv.Itoa(right), strconv.Itoa(len(run.Correct)),
				document.Number(wilson.Low), document.Number(wilson.High), document.Number(exactInterval.Low),
				document.Number(exactInterval.High))
		}
	}
	table, err := data.Bytes()
	if err != nil {
		return err
	}
	svg, err := dotPlot(rows, "test accuracy (%)", false)
	if err != nil {
		return err
	}
	d.Add(document.Figure{Name: "accuracy", SVG: svg, Data: table,
		Caption: "Test accuracy of each run (blue), the mean over seeds and its 95 % interval by Student's t (orange)."})
	best := bestRun(settings)
	wilson, err := statistics.Wilson(rightOf(best), len(best.Correct), level)
	if err != nil {
		return err
	}
	d.Say(fmt.Sprintf(
		"An interval over seeds says what other seeds would give on these %d images. That the images are a sample too is another matter: the best single run, %s of %s (seed %d), has a Wilson interval of %.2f … %.2f %%, which lies too high, as the run was picked for being the best on them.",
		s.Test.Len(), percent(best.TestAccuracy), best.Setting, best.Seed, 100*wilson.Low,
		100*wilson.High))
	return nil
}

func rightOf(run Run) int {
	right := 0
	for _, correct := range run.Correct {
		if correct {
			right++
		}
	}
	return right
}

func bestRun(settings []Setting) Run {
	best := settings[0].Runs[0]
	for _, setting := range settings {
		for _, run := range setting.Runs {
			if run.TestAccuracy > best.TestAccuracy {
				best = run
			}
		}
	}
	return best
}

// addGap shows what a network learned by heart: its accuracy and loss on the training
// images less those on the test images.
func (s *Study) addGap(d *document.Document) error {
	settings := s.compared()
	gap := metrics()[1]
	d.Heading("Gap between training and test")
	rows := make([]dotRow, len(settings))
	data := document.NewCSV("setting", "seed", "train_accuracy", "test_accuracy", "gap", "train_loss",
		"test_loss")
	for i, setting := range settings {
		spread := spreadOf(gap.values(setting.Runs))
		rows[i] = dotRow{name: setting.Name, mean: 100 * spread.mean}
		if spread.intervalIsMeaningful {
			rows[i].interval = &[2]float64{100 * spread.interval.Low, 100 * spread.interval.High}
		}
		for _, run := range setting.Runs {
			rows[i].values = append(rows[i].values, 100*(run.TrainAccuracy-run.TestAccuracy))
			data.Row(setting.Name, strconv.FormatUint(run.Seed, 10), document.Number(run.TrainAccuracy),
				document.Number(run.TestAccuracy),
				document.Number(run.TrainAccuracy-run.TestAccuracy), document.Number(run.TrainLoss),
				document.Number(run.TestLoss))
		}
	}
	table, err := data.Bytes()
	if err != nil {
		return err
	}
	svg, err := dotPlot(rows, "training accuracy − test accuracy (points)", true)
	if err != nil {
		return err
	}
	d.Add(document.Figure{Name: "gap", SVG: svg, Data: table,
		Caption: "Accuracy on the images trained on less that on the test images, both with the final weights and dropout off: each run (blue), mean and 95 % interval (orange)."})
	return nil
}

// addTime shows how long the runs trained.
func (s *Study) addTime(d *document.Document) error {
	settings := s.compared()
	d.Heading("Time")
	var rows []dotRow
	data := document.NewCSV("setting", "seed", "epochs", "train_seconds", "seconds_per_epoch",
		"threads")
	threads := map[int]bool{}
	for _, setting := range settings {
		row := dotRow{name: setting.Name}
		for _, run := range setting.Runs {
			threads[run.Threads] = true
			row.values = append(row.values, run.TrainSeconds)
			data.Row(setting.Name, strconv.FormatUint(run.Seed, 10), strconv.Itoa(len(run.History)),
				document.Number(run.TrainSeconds),
				document.Number(run.TrainSeconds/float64(max(1, len(run.History)))), strconv.Itoa(run.Threads))
		}
		row.mean = statistics.Mean(row.values)
		rows = append(rows, row)
	}
	table, err := data.Bytes()
	if err != nil {
		return err
	}
	svg, err := dotPlot(rows, "seconds of training", true)
	if err != nil {
		return err
	}
	d.Add(document.Figure{Name: "time", SVG: svg, Data: table,
		Caption: "Seconds of training steps of each run, without evaluation (blue), and the mean (orange). The runs shared the machine with others: epochs compare better than seconds."})
	d.Say(fmt.Sprintf("Computed on %s.", machines(settings)))
	return nil
}

// machines lists what the runs were computed on.
func machines(settings []Setting) string {
	var all []string
	for _, setting := range settings {
		for _, run := range setting.Runs {
			text := fmt.Sprintf("%s with %s, %s a run", run.CPU, run.Go, count(run.Threads, "thread"))
			if !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}
	slices.Sort(all)
	text := all[0]
	for _, other := range all[1:] {
		text += "; " + other
	}
	return text
}
