package study

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"slipway/builder"
	"slipway/dataset"
	"slipway/export"
	"slipway/internal/atomicfile"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/train"
)

// Why a run ended, beside the stop rules.
const (
	stoppedPruned   = "pruned"
	stoppedDiverged = "diverged: " // and where
)

// errPruned ends a run that its study has no more use for.
var errPruned = errors.New("pruned")

// task is a run on its way.
type task struct {
	Run
	id    string
	study string
	index int // of the run in its study
	// claimed, if not nil, is asked before anything is written: its error says that the run is
	// another process's by now.
	claimed func() error
	// keepOn, if not nil, is asked after each epoch whether the run goes on.
	keepOn func(train.Epoch) (bool, error)
}

// data is what all runs of a study are trained and tested on.
type data struct{ training, test dataset.Source }

// observer is told how a run goes, from the run's goroutine.
type observer struct {
	began func(progress train.Progress)
	step  func(report train.StepReport)
	epoch func(epoch train.Epoch)
}

// execute trains the run in its folder, from its newest checkpoint if there is one,
// and writes its files, the result last.
func (t *task) execute(ctx context.Context, pool string, sets data, threads int,
	observe observer) (Result, error) {
	path := filepath.Join(pool, t.id)
	if err := atomicfile.MkdirAll(filepath.Join(path, "checkpoints")); err != nil {
		return Result{}, fmt.Errorf("create run: %w", err)
	}
	dir, err := train.OpenRun(path)
	if err != nil {
		return Result{}, err
	}
	if err := dir.Sweep(); err != nil { // the run is claimed
		return Result{}, err
	}
	trainer, err := t.begin(dir, sets, threads)
	var unfit *train.UnfitError
	if errors.As(err, &unfit) {
		err = fmt.Errorf(
			"%w; the study describes networks for other images as {input: [CHANNELS, HEIGHT, WIDTH], layers: [...]}",
			err)
	}
	if err != nil {
		return Result{}, fmt.Errorf("run %s (%s, seed %d): %w", t.id, t.Setting, t.Seed, err)
	}
	defer trainer.Close()
	observe.began(trainer.Progress())
	stopped, err := t.fit(ctx, dir, trainer, sets, observe)
	if err != nil {
		return Result{}, fmt.Errorf("run %s (%s, seed %d): %w", t.id, t.Setting, t.Seed, err)
	}
	result, err := t.finish(ctx, dir, trainer, sets, stopped)
	if err != nil {
		return Result{}, fmt.Errorf("run %s (%s, seed %d): %w", t.id, t.Setting, t.Seed, err)
	}
	return result, nil
}

// begin returns a trainer at the run's start, or at its newest whole checkpoint.
func (t *task) begin(dir train.RunDir, sets data, threads int) (*train.Trainer, error) {
	trainer, err := t.trainer(dir, sets.training, threads)
	if err != nil {
		return nil, err
	}
	if trainer.StopRule() == "" { // otherwise there are no steps left
		err = trainer.CheckSteps()
	}
	if err == nil {
		err = trainer.TestOn(sets.test)
	}
	if err == nil {
		err = dir.WriteConfig(trainer.Network(), trainer.Config(), trainer.Sets())
	}
	if err != nil {
		trainer.Close()
		return nil, err
	}
	return trainer, nil
}

func (t *task) trainer(dir train.RunDir, training dataset.Source, threads int) (*train.Trainer,
	error) {
	config := t.Spec.Config
	config.Threads = threads
	paths, err := dir.Checkpoints()
	if err != nil {
		return nil, err
	}
	if len(paths) > 0 {
		checkpoint, _, _, err := dir.Latest()
		if err == nil {
			return train.Resume(checkpoint, training, config)
		}
		// None is whole: the run starts again, without files whose names would pass for
		// newer than those it writes.
		for _, path := range paths {
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("remove a damaged checkpoint: %w", err)
			}
		}
	}
	initial, err := t.Spec.initial()
	if err != nil {
		return nil, err
	}
	trainer, err := train.New(t.Spec.Network, training, config, initial)
	if err == nil && t.Spec.start != nil && t.Spec.start.origin != "" {
		trainer.BeganFrom(t.Spec.start.origin)
	}
	return trainer, err
}

// fit trains to the end and says why it ended.
func (t *task) fit(ctx context.Context, dir train.RunDir, trainer *train.Trainer, sets data,
	observe observer) (string, error) {
	err := trainer.Fit(ctx, train.Callbacks{
		Step: func(report train.StepReport) error {
			observe.step(report)
			return nil
		},
		Save: func() error {
			if err := t.isClaimed(); err != nil {
				return err
			}
			_, err := dir.WriteCheckpoint(trainer.Checkpoint())
			return err
		},
		Epoch: func(epoch *train.Epoch) error {
			evaluation, err := trainer.Evaluate(ctx, sets.test)
			if err != nil {
				return err
			}
			epoch.TestAccuracy = &evaluation.Accuracy
			observe.epoch(*epoch)
			// A run that has come to its end is whole: there is nothing left to prune.
			if t.keepOn == nil || trainer.StopRule() != "" {
				return nil
			}
			on, err := t.keepOn(*epoch)
			if err == nil && !on {
				return errPruned
			}
			return err
		},
	})
	var diverged *train.DivergedError
	switch {
	case errors.Is(err, errPruned):
		return stoppedPruned, nil
	case errors.As(err, &diverged):
		return stoppedDiverged + diverged.Brief(), nil
	case err != nil:
		return "", err
	}
	return stopReason(trainer), nil
}

// isClaimed returns an error if the run is another process's by now.
func (t *task) isClaimed() error {
	if t.claimed == nil {
		return nil
	}
	return t.claimed()
}

// stopReason says in a few words which rule ended the run.
func stopReason(trainer *train.Trainer) string {
	config, history := trainer.Config(), trainer.Progress().History
	last := history[len(history)-1]
	switch {
	case config.UntilLoss > 0 && last.MeanLoss < config.UntilLoss:
		return fmt.Sprintf("loss below %v", config.UntilLoss)
	case len(history) >= config.Epochs:
		return "epochs"
	}
	return trainer.Progress().Finished
}

// finish evaluates the final weights, and writes the files of a finished run.
func (t *task) finish(ctx context.Context, dir train.RunDir, trainer *train.Trainer, sets data,
	stopped string) (Result, error) {
	progress, config := trainer.Progress(), trainer.Config()
	learned := sets.training
	if config.ValidationFraction > 0 {
		var err error
		if learned, _, err = dataset.SplitSource(learned, config.ValidationFraction,
			config.Seed); err != nil {
			return Result{}, err
		}
	}
	training, err := trainer.Evaluate(ctx, learned)
	if err != nil {
		return Result{}, err
	}
	test, err := trainer.Evaluate(ctx, sets.test)
	if err != nil {
		return Result{}, err
	}
	if finite(test.Loss) == nil && !strings.HasPrefix(stopped, stoppedDiverged) {
		// The last step made the weights overflow, and no later one has shown it.
		stopped = stoppedDiverged + "the final weights give no number"
	}
	if err := t.isClaimed(); err != nil {
		return Result{}, err
	}
	result := Result{
		ID: t.id, Study: t.study, Setting: t.Setting, Values: t.Values, Seed: t.Seed,
		Network: t.Spec.Network.Name(), Parameters: t.Spec.Network.ParameterCount(),
		Classes: test.Classes, Sets: trainer.Sets().WithoutPlaces(),
		Config: config, Threads: config.Threads, Stopped: stopped, History: progress.History,
		TrainAccuracy: training.Accuracy, TrainLoss: training.Loss, TestAccuracy: test.Accuracy,
		TestLoss: test.Loss,
		CPU:      cpuModel(), Go: runtime.Version(), Dir: dir.Path(),
	}
	if s := t.Spec.start; s != nil {
		result.From, result.FromSHA256 = s.name, s.digest
	}
	for _, epoch := range progress.History {
		result.TrainSeconds += epoch.Seconds
	}
	if result.Files, err = writeFiles(dir, trainer, result, test); err != nil {
		return Result{}, err
	}
	if err := result.Write(dir.Path()); err != nil {
		return Result{}, err
	}
	// What is left of the checkpoints would only take space.
	if err := os.RemoveAll(filepath.Join(dir.Path(), "checkpoints")); err != nil {
		return Result{}, fmt.Errorf("remove the checkpoints of a finished run: %w", err)
	}
	return result, nil
}

// writeFiles writes what lies beside a result, and returns the sha256 of each file by its name.
// The weights' file holds its own.
func writeFiles(dir train.RunDir, trainer *train.Trainer, result Result,
	test *train.Evaluation) (map[string]string, error) {
	weights := trainer.Weights()
	if err := train.WriteWeights(dir.WeightsPath(), weights); err != nil {
		return nil, err
	}
	table, err := result.History.CSV()
	if err != nil {
		return nil, err
	}
	model, err := encode(trainer, weights, result, test)
	if err != nil {
		return nil, err
	}
	logits := make([]byte, 0, 4*len(test.Logits))
	if logits, err = binary.Append(logits, binary.LittleEndian, test.Logits); err != nil {
		return nil, err
	}
	sums := make(map[string]string)
	for name, content := range map[string][]byte{HistoryFile: table, ModelFile: model,
		LogitsFile: logits} {
		if err := atomicfile.WriteBytes(filepath.Join(dir.Path(), name), content); err != nil {
			return nil, err
		}
		sums[name] = sum(content)
	}
	return sums, nil
}

// encode makes the ONNX file of a finished run.
func encode(trainer *train.Trainer, weights builder.Weights, result Result,
	test *train.Evaluation) ([]byte, error) {
	record, err := export.Record(trainer.Network(), result.Config, trainer.Sets(), trainer.Progress(),
		test)
	if err != nil {
		return nil, err
	}
	model, err := convert.FromNetwork(trainer.Network(), weights, record, convert.Options{
		Description: fmt.Sprintf("%s (%s, seed %d), trained by Slipway in a study", trainer.Network().
			Name(), result.Setting, result.Seed),
	})
	if err != nil {
		return nil, err
	}
	if err := model.Check(); err != nil {
		return nil, fmt.Errorf("the exported model: %w", err)
	}
	return onnx.Encode(model)
}

// cpuModel is the processor's name on Linux, and its architecture elsewhere.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
