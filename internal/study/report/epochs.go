package report

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"

	"slipway/internal/document"
	"slipway/internal/statistics"
)

// writeEpochs sets the epochs until the mean loss is below 0.38 beside the notebook's
// and PyTorch's, and says from the numbers why they differ.
func writeEpochs(out *bytes.Buffer, studies []committed, histories string) error {
	pytorch, err := readTable(filepath.Join(histories, "pytorch.csv"))
	if err != nil {
		return err
	}
	slipway, err := readTable(filepath.Join(histories, "slipway.csv"))
	if err != nil {
		return err
	}
	crossed, accuracyThen, err := firstBelow(pytorch)
	if err != nil {
		return err
	}
	own, ownAccuracy, err := firstBelow(slipway)
	if err != nil {
		return err
	}
	fmt.Fprint(out, "## Epochs until the mean loss is below 0.38\n\n")
	t := document.Table{Head: []string{"E2 until its mean loss, penalties included, is below 0.38",
		"seeds", "epochs", "test accuracy then"}}
	t.Rows = append(t.Rows,
		[]string{"the notebook", "1", "about 80", "98.50 %"},
		[]string{"PyTorch 2.15, seed 0, an earlier machine", "1", "29", "98.33 %"},
		[]string{"PyTorch 2.15, seed 0, docs/e2/pytorch.csv", "1", strconv.Itoa(crossed),
			percent(accuracyThen)},
		[]string{"Slipway, seed 0, docs/e2/slipway.csv", "1", strconv.Itoa(own), percent(ownAccuracy)})
	losses := [][]float64{slipway.number("mean_loss")}
	var note string
	if i := slices.IndexFunc(studies, func(s committed) bool {
		return s.Study == untilLossStudy
	}); i >= 0 {
		s := studies[i]
		reached, missed := e2Runs(&s)
		epochs, accuracies := reached.number("epochs"), reached.number("test_accuracy")
		if len(epochs) > 0 {
			t.Rows = append(t.Rows, []string{"Slipway, study " + s.Study, strconv.Itoa(len(epochs)),
				fmt.Sprintf("%s; median %.1f, mean %.1f", span(epochs, 0), statistics.Quantile(epochs, 0.5),
					statistics.Mean(epochs)),
				fmt.Sprintf("%s (%s)", plusMinus(accuracies, 100, 2, " %"), percentSpan(accuracies))})
		}
		if note, err = predictEpochs(epochs, missed, crossed); err != nil {
			return err
		}
		losses = nil
		for _, id := range slices.Compact(s.histories.column("id")) {
			losses = append(losses, s.histories.where("id", id).number("mean_loss"))
		}
	}
	document.WriteLeftTable(out, t)
	out.WriteString(note)
	explainEpochs(out, losses)
	fmt.Fprintf(out,
		"\nPyTorch itself crossed in epoch 29 on one machine and in epoch %d on another, from the same seed: rounding alone decides there. From equal weights, batches and dropout masks ten losses of Slipway and PyTorch agree to 1e-4 (train/parity\\_test.go).\n\n",
		crossed)
	return nil
}

// predictEpochs says which of the others' numbers of epochs one more run could have.
func predictEpochs(epochs []float64, missed, pytorch int) (string, error) {
	text := ""
	if missed > 0 {
		text = fmt.Sprintf(
			"\n%s did not get below it within the cap of epochs, and is not in the table.\n",
			count(missed, "run"))
	}
	if len(epochs) < 5 {
		return text, nil
	}
	logs := make([]float64, len(epochs))
	for i, n := range epochs {
		logs[i] = math.Log(n)
	}
	interval, err := statistics.PredictionInterval(logs, level)
	if err != nil {
		return "", err
	}
	low, high := math.Exp(interval.Low), math.Exp(interval.High)
	text += fmt.Sprintf(
		"\nOne more run of Slipway would need %.0f … %.0f epochs (95 %% prediction interval of the logarithms).",
		low, high)
	for _, other := range []struct {
		who    string
		epochs float64
	}{{"The notebook's 80", notebookEpochs}, {"PyTorch's 29", 29},
		{fmt.Sprintf("PyTorch's %d", pytorch), float64(pytorch)}} {
		where := "lies in it"
		if other.epochs < low || other.epochs > high {
			where = "lies outside"
		}
		text += fmt.Sprintf(" %s %s.", other.who, where)
	}
	return text + "\n", nil
}

// firstBelow returns the epoch, and the test accuracy, at which PyTorch crossed.
func firstBelow(t table) (epoch int, accuracy float64, err error) {
	losses, accuracies := t.number("mean_loss"), t.number("test_accuracy")
	if len(losses) != len(accuracies) {
		return 0, 0, fmt.Errorf("%s: %d losses, %d accuracies", t.path, len(losses), len(accuracies))
	}
	for i, loss := range losses {
		if loss < lossThreshold {
			return i + 1, accuracies[i], nil
		}
	}
	return 0, 0, fmt.Errorf("%s: no mean loss is below %v", t.path, lossThreshold)
}

// explainEpochs compares how fast the loss falls with how far it jumps: where it jumps
// further in an epoch than it falls in many, the first crossing is a matter of luck.
func explainEpochs(out *bytes.Buffer, losses [][]float64) {
	const settled = 10 // the first epochs fall fast
	var changes, falls []float64
	runs := 0
	for _, history := range losses {
		if len(history) < 2*settled {
			continue
		}
		runs++
		for i := settled; i < len(history); i++ {
			changes = append(changes, history[i]-history[i-1])
		}
		falls = append(falls, (history[settled-1]-history[len(history)-1])/float64(len(history)-settled))
	}
	if runs == 0 {
		return
	}
	jump, fall := statistics.StandardDeviation(changes), statistics.Mean(falls)
	fmt.Fprintf(out,
		"\nWhy they differ: after epoch %d the mean loss (%s of Slipway, of at least %d epochs each) falls by %.5f an epoch on average, and jumps by %.5f from one epoch to the next (standard deviation)",
		settled, count(runs, "run"), 2*settled, fall, jump)
	if fall > 0 && jump > fall {
		fmt.Fprintf(out,
			": as much as %.0f epochs of falling. Which epoch is the first below the threshold is luck as much as training.",
			jump/fall)
	} else {
		fmt.Fprint(out, ".")
	}
	fmt.Fprintln(out)
}
