package study

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"slipway/internal/cli"
	"slipway/internal/mlflow"
	"slipway/train"
)

// tracked is what MLflow is told of a run, nothing until it is opened.
type tracked struct{ tracker *mlflow.Tracker }

// open begins to tell, and tells what MLflow does not have of the epochs that are done.
func (m *tracked) open(e *execution, t *task, progress train.Progress) error {
	params, err := t.Spec.Config.Settings()
	if err != nil {
		return err
	}
	delete(params, "data") // a place of this machine
	params["network"] = t.Spec.Network.Name()
	training, test := e.sets.training.Info(), e.sets.test.Info()
	tags := map[string]string{
		"slipway.version": cli.ModuleVersion, "slipway.network": t.Spec.Network.Name(),
		"slipway.study": e.file.Name, "slipway.setting": t.Setting, "slipway.run": t.id,
		"slipway.training_set": training.ShortName(), "slipway.training_set_sha256": training.SHA256,
		"slipway.test_set": test.ShortName(), "slipway.test_set_sha256": test.SHA256,
		"mlflow.source.name": "experiment run",
	}
	if s := t.Spec.start; s != nil {
		tags["slipway.from_sha256"] = s.digest
	}
	experiment := e.options.MLflow.Experiment
	if experiment == "" {
		experiment = e.file.Name
	}
	m.tracker, err = mlflow.Start(mlflow.Options{
		URI: e.options.MLflow.URI, Experiment: experiment, Name: curveName(t.Setting, t.Seed),
		Params: params, Tags: tags, StateFile: filepath.Join(e.poolDir, t.id, mlflow.StateFileName)})
	if err != nil {
		return err
	}
	m.tracker.CatchUp(progress)
	return m.tracker.Err()
}

// epoch tells what an epoch came to.
func (m *tracked) epoch(epoch train.Epoch) error {
	if m.tracker == nil {
		return nil
	}
	m.tracker.LogEpoch(epoch)
	return m.tracker.Err()
}

// end tells how the run ended, with the accuracies of the weights that it came to.
func (m *tracked) end(dir string, result Result, failed error) error {
	if m.tracker == nil {
		return nil
	}
	switch {
	case failed != nil && interrupted(failed):
		return m.tracker.Close(mlflow.Killed, nil)
	case failed != nil:
		return m.tracker.Close(mlflow.Failed, nil)
	}
	last, now := 0, time.Now().Add(time.Millisecond)
	if epochs := len(result.History); epochs > 0 { // none of a run that diverged in its first
		last = result.History[epochs-1].Epoch
	}
	// Beside the last epoch's own, of other weights where the best ones are kept.
	m.tracker.Log(
		mlflow.Metric{Name: "test_accuracy", Value: result.TestAccuracy, Step: last, Time: now},
		mlflow.Metric{Name: "test_loss", Value: result.TestLoss, Step: last, Time: now})
	files := make(map[string][]byte)
	content, err := os.ReadFile(filepath.Join(dir, HistoryFile))
	if err == nil {
		files[HistoryFile] = content
	}
	return errors.Join(err, m.tracker.Close(mlflow.Finished, files))
}

// tellMLflow warns, once, that MLflow does not know all.
func (e *execution) tellMLflow(failed error) {
	if failed == nil {
		return
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.options.Messages != nil && !e.untracked {
		e.options.Messages(fmt.Sprintf("warning: the runs go on, but MLflow is not told all: %v\n",
			failed))
	}
	e.untracked = true
}
