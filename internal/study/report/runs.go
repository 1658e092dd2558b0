package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// addRuns attaches the table of all runs.
func (s *Study) addRuns(d *document) error {
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
	head := []string{"id", "setting", "seed", "network", "parameters", "stopped", "epochs", "batch_size", "optimizer", "learning_rate", "weight_decay", "l1", "l2", "until_loss", "pixels"}
	for _, name := range names {
		head = append(head, "value:"+name)
	}
	head = append(head, "first_mean_loss", "loss_after_first_epoch", "last_mean_loss", "train_seconds", "train_accuracy", "train_loss", "test_accuracy", "test_loss",
		"calibration_error", "brier", "sparsity", "robust_accuracy", "threads", "cpu", "go")
	table := newTable(head...)
	for _, setting := range s.Settings {
		for _, run := range slices.Concat(setting.Runs, setting.Failed) {
			row, err := runRow(run, names)
			if err != nil {
				return err
			}
			table.row(row...)
		}
	}
	content, err := table.bytes()
	if err != nil {
		return err
	}
	d.heading("Runs")
	d.say("One row a run, with what varied and what it came to:")
	d.attach(fileData{RunsFile, content})
	return nil
}

func runRow(run Run, keys []string) ([]string, error) {
	c := run.Config
	row := []string{run.ID, run.Setting, strconv.FormatUint(run.Seed, 10), run.Network, strconv.Itoa(run.Parameters), run.Stopped, strconv.Itoa(len(run.History)),
		strconv.Itoa(c.BatchSize), c.Optimizer.Name, exact(c.Optimizer.LearningRate), exact(c.Optimizer.WeightDecay),
		exact(c.ParameterPenalty.L1), exact(c.ParameterPenalty.L2), exact(c.UntilLoss), c.Pixels}
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
		losses = []string{exact(first.MeanLoss), exact(first.LastLoss), exact(last.MeanLoss)}
	}
	row = append(row, losses...)
	row = append(row, number(run.TrainSeconds))
	if run.Correct == nil {
		return append(row, "", "", "", "", "", "", "", "", strconv.Itoa(run.Threads), run.CPU, run.Go), nil
	}
	robust := ""
	if x, ok := robustAccuracy(run); ok {
		robust = exact(x)
	}
	return append(row, exact(run.TrainAccuracy), exact(run.TrainLoss), exact(run.TestAccuracy), exact(run.TestLoss),
		exact(run.CalibrationError), exact(run.Brier), exact(run.Weights.sparsity()), robust, strconv.Itoa(run.Threads), run.CPU, run.Go), nil
}

const historiesFile = "histories.csv"

// addHistories attaches every run's mean loss and test accuracy by epoch.
func (s *Study) addHistories(d *document) error {
	t := newTable("id", "setting", "seed", "epoch", "mean_loss", "test_accuracy")
	for _, setting := range s.compared() {
		for _, run := range setting.Runs {
			for _, epoch := range run.History {
				accuracy := ""
				if epoch.TestAccuracy != nil {
					accuracy = number(*epoch.TestAccuracy)
				}
				t.row(run.ID, run.Setting, strconv.FormatUint(run.Seed, 10), strconv.Itoa(epoch.Epoch), number(epoch.MeanLoss), accuracy)
			}
		}
	}
	content, err := t.bytes()
	if err != nil {
		return err
	}
	d.say("Every run by epoch:")
	d.attach(fileData{historiesFile, content})
	return nil
}
