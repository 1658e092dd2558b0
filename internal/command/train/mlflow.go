package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"slipway/internal/cli"
	"slipway/internal/mlflow"
	"slipway/metrics"
	"slipway/train"
)

// tracking tells MLflow of a run, if -mlflow asks for it.
type tracking struct {
	tracker *mlflow.Tracker // nil without
	session *session
}

// startTracking tells what is known of the run, and of a run that goes on the epochs that MLflow
// does not have.
func (o *options) startTracking(s *session) *tracking {
	t := &tracking{session: s}
	if o.mlflow.URI == "" {
		return t
	}
	trainer := s.trainer
	params, err := trainer.Config().Settings()
	if err == nil {
		delete(params, "data") // a place of this machine
		sets := trainer.Sets().WithoutPlaces()
		tags := map[string]string{
			"slipway.version":             cli.ModuleVersion,
			"slipway.network":             trainer.Network().Name(),
			"slipway.training_set":        sets.Training.Name,
			"slipway.training_set_sha256": sets.Training.SHA256,
			"mlflow.source.name":          "train",
		}
		if sets.Test != nil {
			tags["slipway.test_set"] = sets.Test.Name
			tags["slipway.test_set_sha256"] = sets.Test.SHA256
		}
		params["network"] = trainer.Network().Name()
		t.tracker, err = mlflow.Start(mlflow.Options{
			URI: o.mlflow.URI, Experiment: o.mlflow.Experiment, Name: o.runName(trainer.Network()),
			Params: params, Tags: tags, StateFile: filepath.Join(s.dir.Path(), mlflow.StateFileName)})
	}
	if err != nil {
		t.warn(err)
		return t
	}
	t.tracker.CatchUp(trainer.Progress())
	t.warn(t.tracker.Err())
	return t
}

// epoch tells what an epoch came to.
func (t *tracking) epoch(epoch train.Epoch) {
	if t.tracker == nil {
		return
	}
	t.tracker.LogEpoch(epoch)
	t.warn(t.tracker.Err())
}

// keptAccuracy is what the test accuracy came to at the run's end, where the weights that are kept
// are not the last epoch's: MLflow shows the last value of a metric, by its step. kept_epoch says
// whose it is.
func (t *tracking) keptAccuracy(m *metrics.Metrics, now time.Time) []mlflow.Metric {
	last := t.session.trainer.Progress().Epochs
	if m.Epoch == last {
		return nil
	}
	return []mlflow.Metric{
		{Name: "test_accuracy", Value: m.Accuracy, Step: last, Time: now},
		{Name: "kept_epoch", Value: float64(m.Epoch), Step: last, Time: now},
	}
}

// end tells how the run ended, with the figures of its test set and its small files.
func (t *tracking) end(ctx context.Context, err error) {
	if t.tracker == nil {
		return
	}
	status, names := mlflow.Failed, []string{"history.csv", "curve.svg"}
	switch {
	case err == nil:
		status = mlflow.Finished
		if m, err := t.session.dir.ReadMetrics(); err == nil {
			names = append(names, "metrics.json")
			// Later than the last epoch's own, whose accuracy is another where the weights are not.
			now := time.Now().Add(time.Millisecond)
			figures := t.keptAccuracy(m, now)
			for _, figure := range m.Figures()[1:] { // the accuracy is the epoch's
				figures = append(figures, mlflow.Metric{
					Name: "test_" + figure.Name, Value: figure.Value, Step: m.Epoch, Time: now})
			}
			t.tracker.Log(figures...)
		}
	case ctx.Err() != nil || errors.Is(err, train.ErrInterrupted):
		status = mlflow.Killed
	}
	files := make(map[string][]byte)
	for _, name := range names {
		// One that was not written has been told of already.
		if content, err := os.ReadFile(filepath.Join(t.session.dir.Path(), name)); err == nil {
			files[name] = content
		}
	}
	t.warn(t.tracker.Close(status, files))
}

func (t *tracking) warn(err error) {
	t.session.warnings.about("MLflow", err,
		"training goes on, and what is missing is told later where it can be")
}
