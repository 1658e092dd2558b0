package report

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"

	"slipway/internal/statistics"
)

// writeEpochs sets the epochs until the mean loss is below 0.38 beside the notebook's
// and PyTorch's, and says from the numbers why they differ.
func writeEpochs(out *bytes.Buffer, studies []committed, pytorch table) error {
	i := slices.IndexFunc(studies, func(s committed) bool { return s.Study == untilLossStudy })
	if i < 0 {
		return nil
	}
	s := studies[i]
	reached, missed := e2Runs(&s)
	epochs, accuracies := reached.number("epochs"), reached.number("test_accuracy")
	if len(epochs) == 0 {
		return nil
	}
	crossed, accuracyThen, err := firstBelow(pytorch)
	if err != nil {
		return err
	}
	fmt.Fprint(out, "## Epochs until the mean loss is below 0.38\n\n")
	t := tableBlock{head: []string{"E2 until its mean loss, penalties included, is below 0.38", "seeds", "epochs", "test accuracy then"}}
	t.rows = append(t.rows,
		[]string{"the notebook", "1", "about 80", "98.50 %"},
		[]string{"PyTorch 2.15, seed 0, an earlier machine", "1", "29", "98.33 %"},
		[]string{"PyTorch 2.15, seed 0, docs/e2/pytorch.csv", "1", strconv.Itoa(crossed), percent(accuracyThen)},
		[]string{"Slipway", strconv.Itoa(len(epochs)), fmt.Sprintf("%s; median %.1f, mean %.1f", span(epochs, 0), statistics.Quantile(epochs, 0.5), statistics.Mean(epochs)),
			fmt.Sprintf("%s (%s)", plusMinus(accuracies, 100, 2, " %"), percentSpan(accuracies))})
	writeLeftTable(out, t)
	if missed > 0 {
		fmt.Fprintf(out, "\n%s did not get below it within its cap of epochs, and is not in the table.\n", count(missed, "run"))
	}
	logs := make([]float64, len(epochs))
	for i, n := range epochs {
		logs[i] = math.Log(n)
	}
	if len(logs) >= 5 {
		interval, err := statistics.PredictionInterval(logs, level)
		if err != nil {
			return err
		}
		low, high := math.Exp(interval.Low), math.Exp(interval.High)
		fmt.Fprintf(out, "\nOne more run of Slipway would need %.0f … %.0f epochs (95 %% prediction interval of the logarithms). ", low, high)
		for _, other := range []struct {
			who    string
			epochs float64
		}{{"The notebook's 80", notebookEpochs}, {"PyTorch's 29", 29}, {fmt.Sprintf("PyTorch's %d", crossed), float64(crossed)}} {
			where := "lies in it"
			if other.epochs < low || other.epochs > high {
				where = "lies outside"
			}
			fmt.Fprintf(out, "%s %s. ", other.who, where)
		}
		fmt.Fprintln(out)
	}
	explainEpochs(out, s)
	fmt.Fprintf(out, "\nPyTorch itself crossed in epoch 29 on one machine and in epoch %d on another, from the same seed: rounding alone decides there. From equal weights, batches and dropout masks ten losses of Slipway and PyTorch agree to 1e-4 (train/parity\\_test.go).\n\n", crossed)
	return nil
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
func explainEpochs(out *bytes.Buffer, s committed) {
	const settled = 10 // the first epochs fall fast
	var changes, falls []float64
	runs := 0
	for _, id := range slices.Compact(s.histories.column("id")) {
		history := s.histories.where("id", id).number("mean_loss")
		if len(history) < 2*settled {
			continue
		}
		runs++
		for i := settled; i < len(history); i++ {
			changes = append(changes, history[i]-history[i-1])
		}
		falls = append(falls, (history[settled-1]-history[len(history)-1])/float64(len(history)-settled))
	}
	if runs < 2 {
		return
	}
	jump, fall := statistics.StandardDeviation(changes), statistics.Mean(falls)
	fmt.Fprintf(out, "\nWhy they differ: after epoch %d the mean loss of the %s that took at least %d epochs falls by %.5f an epoch on average, and jumps by %.5f from one epoch to the next (standard deviation)",
		settled, count(runs, "run"), 2*settled, fall, jump)
	if fall > 0 && jump > fall {
		fmt.Fprintf(out, ": as much as %.0f epochs of falling. Which epoch is the first below the threshold is luck as much as training.", jump/fall)
	} else {
		fmt.Fprint(out, ".")
	}
	fmt.Fprintln(out)
}
