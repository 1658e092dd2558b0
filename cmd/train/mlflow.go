package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"slipway/internal/cli"
	"slipway/internal/mlflow"
	"slipway/train"
)

const (
	// mlflowVariable is where MLflow's own client has the server's address from.
	mlflowVariable = "MLFLOW_TRACKING_URI"
	// mlflowFromEnvironment is what -mlflow takes instead of an address.
	mlflowFromEnvironment = "env"
	// mlflowFile says, in a run's folder, which MLflow run it is.
	mlflowFile = "mlflow.json"
)

// mlflowOptions are the flags that say where MLflow is told of a run.
type mlflowOptions struct{ uri, experiment string }

func (m *mlflowOptions) define(flags *flag.FlagSet) {
	flags.StringVar(&m.uri, "mlflow", "", "also tell MLflow: the `address` of its server, "+
		"a folder in the layout of its file store, or "+mlflowFromEnvironment+" for what "+mlflowVariable+" says (docs/tracking.md)")
	flags.StringVar(&m.experiment, "mlflow-experiment", "slipway", "`name` of MLflow's experiment")
}

// check takes the address, and reports one that nothing can be told to.
func (m *mlflowOptions) check(given map[string]bool) error {
	switch {
	case given["mlflow-experiment"] && m.uri == "":
		return errors.New("-mlflow-experiment applies to -mlflow alone")
	case m.uri == "" && !given["mlflow"]:
		return nil
	case m.experiment == "":
		return errors.New("-mlflow-experiment: an experiment has a name")
	}
	if m.uri == mlflowFromEnvironment {
		if m.uri = os.Getenv(mlflowVariable); m.uri == "" {
			return fmt.Errorf("-mlflow %s: %s is not set", mlflowFromEnvironment, mlflowVariable)
		}
	}
	if err := mlflow.Check(m.uri); err != nil {
		return fmt.Errorf("-mlflow: %w", err)
	}
	return nil
}

// tracking tells MLflow of a run, if -mlflow asks for it.
type tracking struct {
	tracker *mlflow.Tracker // nil without
	session *session
}

// startTracking tells what is known of the run, and of a run that goes on the epochs that MLflow
// does not have.
func (o *options) startTracking(s *session) *tracking {
	t := &tracking{session: s}
	if o.mlflow.uri == "" {
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
			URI: o.mlflow.uri, Experiment: o.mlflow.experiment, Name: o.runName(trainer.Network()),
			Params: params, Tags: tags, StateFile: filepath.Join(s.dir.Path(), mlflowFile)})
	}
	if err != nil {
		t.warn(err)
		return t
	}
	progress := trainer.Progress()
	for _, epoch := range progress.History[:progress.Reported()] {
		if epoch.Epoch > t.tracker.Told() {
			t.epoch(epoch)
		}
	}
	return t
}

// epoch tells what an epoch came to, by the names of history.csv.
func (t *tracking) epoch(epoch train.Epoch) {
	if t.tracker == nil {
		return
	}
	now := time.Now()
	var metrics []mlflow.Metric
	for _, m := range []struct {
		name  string
		value *float64
	}{
		{"mean_loss", &epoch.MeanLoss}, {"mean_cross_entropy", &epoch.MeanCrossEntropy},
		{"train_accuracy", &epoch.TrainAccuracy}, {"validation_loss", epoch.ValidationLoss},
		{"validation_accuracy", epoch.ValidationAccuracy}, {"test_accuracy", epoch.TestAccuracy},
		{"images_per_second", &epoch.ImagesPerSecond},
	} {
		if m.value != nil {
			metrics = append(metrics,
				mlflow.Metric{Name: m.name, Value: *m.value, Step: epoch.Epoch, Time: now})
		}
	}
	t.tracker.Log(metrics...)
	t.warn(t.tracker.Err())
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
			now := time.Now()
			var figures []mlflow.Metric
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
