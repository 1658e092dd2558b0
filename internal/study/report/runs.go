package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"slipway/internal/document"
)

// addRuns attaches the table of all runs.
func (s *Study) addRuns(d *document.Document) error {
	keys := map[string]bool{}
	for _, setting := range s.Settings {
		for _, run := range slices.Concat(setting.Runs, setting.Failed) {
			for key := range run.Values {
				keys[key] = true
			}
		}
	}
	names := make([]string, 0, len(keys))
	for key := range keys {
		names = append(names, key)
	}
	slices.Sort(names)
	head := []string{"id", "setting", "seed", "network", "parameters", "stopped", "epochs",
		"batch_size", "optimizer", "learning_rate", "weight_decay", "l1", "l2", "until_loss", "pixels"}
	for _, name := range names {
		head = append(head, "value:"+name)
	}
	head = append(head, "first_mean_loss", "loss_after_first_epoch", "last_mean_loss", "train_seconds",
		"train_accuracy", "train_loss", "test_accuracy", "test_loss", "calibration_error", "brier",
		"sparsity", "robust_accuracy", "threads", "cpu", "go")
	table := document.NewCSV(head...)
	for _, setting := range s.Settings {
		for _, run := range slices.Concat(setting.Runs, setting.Failed) {
			row, err := runRow(run, names)
			if err != nil {
				return err
			}
			table.Row(row...)
		}
	}
	content, err := table.Bytes()
	if err != nil {
		return err
	}
	d.Heading("Runs")
	d.Say("One row a run, with what varied and what it came to:")
	d.Attach(document.File{Name: RunsFile, Content: content})
	return nil
}

func runRow(run Run, keys []string) ([]string, error) {
	c := run.Config
	row := []string{run.ID, run.Setting, strconv.FormatUint(run.Seed, 10), run.Network,
		strconv.Itoa(run.Parameters), run.Stopped, strconv.Itoa(len(run.History)),
		strconv.Itoa(c.BatchSize), c.Optimizer.Name, document.Exact(c.Optimizer.LearningRate),
		document.Exact(c.Optimizer.WeightDecay),
		document.Exact(c.ParameterPenalty.L1), document.Exact(c.ParameterPenalty.L2),
		document.Exact(c.UntilLoss), c.Pixels}
	for _, key := range keys {
		value, ok := run.Values[key]
		if !ok {
			row = append(row, "")
			continue
		}
		if text, ok := value.(string); ok {
			row = append(row, text)
			continue
		}
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("value %s of run %s: %w", key, run.ID, err)
		}
		row = append(row, string(raw))
	}
	losses := make([]string, 3)
	if len(run.History) > 0 {
		first, last := run.History[0], run.History[len(run.History)-1]
		losses = []string{document.Exact(first.MeanLoss), document.Exact(first.LastLoss),
			document.Exact(last.MeanLoss)}
	}
	row = append(row, losses...)
	row = append(row, document.Number(run.TrainSeconds))
	if run.Correct == nil {
		return append(row, "", "", "", "", "", "", "", "", strconv.Itoa(run.Threads), run.CPU,
			run.Go), nil
	}
	robust := ""
	if x, ok := robustAccuracy(run); ok {
		robust = document.Exact(x)
	}
	return append(row, document.Exact(run.TrainAccuracy), document.Exact(run.TrainLoss),
		document.Exact(run.TestAccuracy), document.Exact(run.TestLoss),
		document.Exact(run.CalibrationError), document.Exact(run.Brier),
		document.Exact(run.Weights.sparsity()), robust, strconv.Itoa(run.Threads), run.CPU, run.Go), nil
}

const historiesFile = "histories.csv"

// addHistories attaches every run's mean loss and test accuracy by epoch.
func (s *Study) addHistories(d *document.Document) error {
	t := document.NewCSV("id", "setting", "seed", "epoch", "mean_loss", "test_accuracy")
	for _, setting := range s.compared() {
		for _, run := range setting.Runs {
			for _, epoch := range run.History {
				accuracy := ""
				if epoch.TestAccuracy != nil {
					accuracy = document.Number(*epoch.TestAccuracy)
				}
				t.Row(run.ID, run.Setting, strconv.FormatUint(run.Seed, 10), strconv.Itoa(epoch.Epoch),
					document.Number(epoch.MeanLoss), accuracy)
			}
		}
	}
	content, err := t.Bytes()
	if err != nil {
		return err
	}
	d.Say("Every run by epoch:")
	d.Attach(document.File{Name: historiesFile, Content: content})
	return nil
}
