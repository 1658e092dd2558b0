package mlflow

import (
	"time"

	"slipway/train"
)

// StateFileName is that of Options.StateFile in a run's folder.
const StateFileName = "mlflow.json"

// LogEpoch tells what an epoch came to, by the names of history.csv.
func (t *Tracker) LogEpoch(epoch train.Epoch) {
	now := time.Now()
	var metrics []Metric
	for _, figure := range epoch.Figures() {
		metrics = append(metrics, Metric{Name: figure.Name, Value: figure.Value, Step: epoch.Epoch,
			Time: now})
	}
	t.Log(metrics...)
}

// CatchUp tells the epochs that a run has reported and MLflow does not have.
func (t *Tracker) CatchUp(progress train.Progress) {
	for _, epoch := range progress.History[:progress.Reported()] {
		if epoch.Epoch > t.Told() {
			t.LogEpoch(epoch)
		}
	}
}
