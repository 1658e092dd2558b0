package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/kernel"
	"slipway/train"
)

// fit trains as asked, and writes the run's folder.
func fit(ctx context.Context, o *options, out io.Writer, terminal bool) error {
	if o.threads > 0 {
		// Gorgonia's matrix products use as many threads as Go does.
		runtime.GOMAXPROCS(o.threads)
	}
	session, err := begin(ctx, o, out)
	if err != nil {
		return err
	}
	defer session.close()
	trainer, test := session.trainer, session.test
	fmt.Fprint(out, trainer.Network())
	fmt.Fprintln(out, trainer.Sets())
	fmt.Fprintf(out, "%s, seed %d, run %s\n", session.device.describe(trainer.Engine()), trainer.Config().Seed, session.dir.Path())
	if o.from != "" && test != nil {
		// Pixels fed in another way than the model was trained with show here.
		evaluation, err := trainer.Evaluate(ctx, test)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s before training, pixels %s: loss %.4f, accuracy %.2f %% on %s\n",
			o.from, trainer.Config().Pixels, evaluation.Loss, 100*evaluation.Accuracy, test.Name)
	}

	curves, err := o.openCurves(trainer)
	if err != nil {
		return err
	}
	defer curves.close()
	reporter := train.NewReporter(out, terminal, trainer.Config().Epochs)
	err = trainer.Fit(ctx, train.Callbacks{
		Step: reporter.Step,
		Epoch: func(epoch *train.Epoch) error {
			if test != nil {
				// The epoch is trained: an interruption waits until it is recorded.
				evaluation, err := trainer.Evaluate(context.WithoutCancel(ctx), test)
				if err != nil {
					return err
				}
				epoch.TestAccuracy = &evaluation.Accuracy
			}
			if err := curves.epoch(*epoch); err != nil {
				return err
			}
			return reporter.Epoch(*epoch)
		},
		Save: session.save,
	})
	var diverged *train.DivergedError
	var unsaved *train.UnsavedError
	switch {
	case errors.Is(err, train.ErrInterrupted):
		return fmt.Errorf("%w; its state is in %s\nGo on with: train -resume -name %s -runs %s", train.ErrInterrupted, session.saved, o.runName(trainer.Network()), o.runs)
	case errors.As(err, &diverged), errors.As(err, &unsaved):
		return fmt.Errorf("%w; the last good checkpoint is %s", err, session.lastGood())
	case err != nil:
		return err
	}
	return session.finish(ctx, out)
}

// session is one run of the command on one run folder.
type session struct {
	dir     train.RunDir
	device  chosenDevice
	test    *dataset.Set // nil if there is none
	trainer *train.Trainer
	// saved is the checkpoint written last.
	saved string
}

func (o *options) runName(network *builder.Network) string {
	if o.name != "" {
		return o.name
	}
	return network.Name()
}

// begin starts a new run, or opens the one to resume.
func begin(ctx context.Context, o *options, out io.Writer) (*session, error) {
	s := new(session)
	open := s.start
	if o.resume {
		open = s.resume
	}
	if err := open(ctx, o, out); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close frees what the session holds, as far as it has come.
func (s *session) close() {
	if s.trainer != nil {
		s.trainer.Close()
	}
	if s.device.close != nil {
		s.device.close()
	}
}

func (s *session) start(ctx context.Context, o *options, out io.Writer) error {
	sets, err := o.openSets(ctx, out)
	if err != nil {
		return err
	}
	network, initial, err := o.buildNetwork(sets.classes())
	if err != nil {
		return err
	}
	config, err := o.settings().WithDefaults(network)
	if err != nil {
		return err
	}
	if s.device, err = o.chooseDevice(config); err != nil {
		return err
	}
	config.Device = s.device.device
	if s.trainer, err = train.New(network, sets.training, config, initial); err != nil {
		return remedied(err)
	}
	if err := s.testOn(sets.test); err != nil {
		return err
	}
	var movedTo string
	if s.dir, movedTo, err = train.CreateRun(filepath.Join(o.runs, o.runName(network))); err != nil {
		return err
	}
	if movedTo != "" {
		fmt.Fprintf(out, "the earlier run is kept as %s\n", movedTo)
	}
	return s.dir.WriteConfig(network, s.trainer.Config(), s.trainer.Sets())
}

// testOn has the run tested on the set after each epoch, on none if it is nil.
func (s *session) testOn(set *dataset.Set) error {
	if set == nil {
		return nil
	}
	s.test = set
	if err := s.trainer.TestOn(set); err != nil {
		return fmt.Errorf("the test set does not go with the run: %w; -test names another one, or %s", err, noTest)
	}
	return nil
}

// remedied adds what to do where the images do not fit the network.
func remedied(err error) error {
	var unfit *train.UnfitError
	if errors.As(err, &unfit) {
		return fmt.Errorf("%w; -network names a file with a network for these images", err)
	}
	return err
}

func (s *session) resume(ctx context.Context, o *options, out io.Writer) error {
	name := o.name
	if name == "" {
		name = o.experiment
	}
	var err error
	if s.dir, err = train.OpenRun(filepath.Join(o.runs, name)); err != nil {
		return err
	}
	checkpoint, path, damaged, err := s.dir.Latest()
	for _, problem := range damaged {
		fmt.Fprintf(out, "warning: %v\n", problem)
	}
	if err != nil {
		return err
	}
	s.saved = path
	config := o.resumedConfig(checkpoint)
	// The run's own settings say what can compute it.
	if s.device, err = o.chooseDevice(config); err != nil {
		return err
	}
	config.Device = s.device.device
	sets, err := o.reopenSets(ctx, checkpoint, out)
	if err != nil {
		return err
	}
	if s.trainer, err = train.Resume(checkpoint, sets.training, config); err != nil {
		return err
	}
	if err := s.testOn(sets.test); err != nil {
		return err
	}
	fmt.Fprintf(out, "going on from %s: %d epochs and %d steps are done\n", path, checkpoint.Progress.Epochs, checkpoint.Progress.EpochStep)
	if was, is := checkpoint.KernelSet, s.trainer.KernelSet(); was != "" && is != "" && was != is {
		fmt.Fprintf(out, "note: the run was computed with the kernels %s, and goes on with %s: not bit for bit; %s=%s takes the former where the CPU has them\n",
			was, is, kernel.EnvironmentVariable, was)
	}
	if note := testedOnAnother(checkpoint.Sets, s.trainer.Sets()); note != "" {
		fmt.Fprintln(out, note)
	}
	return s.dir.WriteConfig(s.trainer.Network(), s.trainer.Config(), s.trainer.Sets())
}

// resumedConfig is the checkpoint's configuration with what the flags change.
func (o *options) resumedConfig(checkpoint *train.Checkpoint) train.Config {
	config := checkpoint.Config
	config.Threads = o.threads
	for flag, set := range map[string]func(){
		"epochs":           func() { config.Epochs = o.config.Epochs },
		"until-loss":       func() { config.UntilLoss = o.config.UntilLoss },
		"patience":         func() { config.Patience = o.config.Patience },
		"data":             func() { config.Data = o.data },
		"checkpoint-every": func() { config.CheckpointEvery = o.config.CheckpointEvery },
		"keep":             func() { config.KeepCheckpoints = o.config.KeepCheckpoints },
	} {
		if o.given[flag] {
			set()
		}
	}
	if config.UntilLoss > 0 && o.given["until-loss"] && !o.given["epochs"] {
		config.Epochs = max(config.Epochs, train.UntilLossEpochs)
	}
	return config
}

// save writes a checkpoint and the history so far.
func (s *session) save() error {
	path, err := s.dir.WriteCheckpoint(s.trainer.Checkpoint())
	if err != nil {
		return err
	}
	s.saved = path
	if history := s.trainer.Progress().History; len(history) > 0 {
		return s.dir.WriteHistory(s.trainer.Network().Name(), history)
	}
	return nil
}

func (s *session) lastGood() string {
	if s.saved == "" {
		return "none: the run had not saved one yet"
	}
	return s.saved
}

// finish writes the final weights and the trainer's own answer on the test set,
// and prints the experiment's closing lines.
func (s *session) finish(ctx context.Context, out io.Writer) error {
	progress := s.trainer.Progress()
	last := progress.History[len(progress.History)-1]
	fmt.Fprintf(out, "Stopped: %s.\n", progress.Finished)
	fmt.Fprintf(out, "Final training loss: %.4f\n", last.MeanLoss)
	if err := train.WriteWeights(s.dir.WeightsPath(), s.trainer.Weights()); err != nil {
		return err
	}
	if s.test == nil {
		return nil
	}
	evaluation, err := s.trainer.Evaluate(ctx, s.test)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Accuracy = %.2f %%\n", 100*evaluation.Accuracy)
	return s.dir.WriteLogits(s.test.Name, evaluation)
}
