package train

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"slipway/internal/display"
	"slipway/internal/kernel"
	"slipway/train"
)

// resume opens the run that is to go on.
func (s *session) resume(ctx context.Context, o *options, out io.Writer) error {
	checkpoint, err := s.checkpoint(o, out)
	if err != nil {
		return err
	}
	config := o.resumedConfig(checkpoint)
	// The run's own settings say what can compute it.
	choose := o.chooseDevice
	if checkpoint.Ends(config) {
		choose = o.openDevice // what is done can be evaluated anywhere
	}
	if s.device, err = choose(config, checkpoint.Network); err != nil {
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
	if !checkpoint.Ends(config) {
		if err := o.withRemedy(s.trainer.CheckSteps(), s.device); err != nil {
			return err
		}
	}
	if err := s.testOn(sets.test); err != nil {
		return err
	}
	if err := s.trainer.Agree(ctx); err != nil || o.ranks.follows() {
		return err
	}
	s.shared = sharedNote(sets.training, sets.test)
	fmt.Fprintf(out, "going on from %s: %s and %s are done\n", s.saved,
		display.Count(checkpoint.Progress.Epochs, "epoch"), display.Count(checkpoint.Progress.EpochStep,
			"step"))
	if was, is := checkpoint.KernelSet, s.trainer.KernelSet(); was != "" && is != "" && was != is {
		fmt.Fprintf(out,
			"note: the run was computed with the kernels %s, and goes on with %s: not bit for bit; %s=%s takes the former where the CPU has them\n",
			was, is, kernel.EnvironmentVariable, was)
	}
	if note := movedInBF16(checkpoint, s.trainer); note != "" {
		fmt.Fprintln(out, note)
	}
	if note := testedOnAnother(checkpoint.Sets, s.trainer.Sets()); note != "" {
		fmt.Fprintln(out, note)
	}
	if note := chosenByAnother(checkpoint, s.trainer.Config()); note != "" {
		fmt.Fprintln(out, note)
	}
	return s.dir.WriteConfig(s.trainer.Network(), s.trainer.Config(), s.trainer.Sets())
}

// movedInBF16 says that a run in bf16 goes on where that rounds otherwise, empty if it does not. That
// kernels have computed the last step tells a CPU from a GPU.
func movedInBF16(checkpoint *train.Checkpoint, trainer *train.Trainer) string {
	was, is := checkpoint.KernelSet != "", trainer.KernelSet() != ""
	if checkpoint.Config.Precision != train.PrecisionBF16 || was == is ||
		checkpoint.Ends(trainer.Config()) {
		return ""
	}
	if is {
		return "note: the run was computed on a GPU, which keeps in bfloat16 what goes from layer to " +
			"layer, and goes on on this CPU, which keeps that in float32: not bit for bit"
	}
	return "note: the run was computed on a CPU, which keeps in float32 what goes from layer to " +
		"layer, and goes on on a GPU, which keeps that in bfloat16: not bit for bit"
}

// checkpoint returns the run's newest checkpoint, and opens its folder where this process leads it.
func (s *session) checkpoint(o *options, out io.Writer) (*train.Checkpoint, error) {
	if o.ranks.follows() {
		return o.ranks.checkpointOf()
	}
	name := o.name
	if name == "" {
		name = o.experiment
	}
	var err error
	if s.dir, err = train.OpenRun(filepath.Join(o.runs, name)); err != nil {
		return nil, err
	}
	if err := s.lock(s.dir.Path()); err != nil {
		return nil, err
	}
	if err := s.dir.Sweep(); err != nil {
		return nil, err
	}
	checkpoint, path, damaged, err := s.dir.Latest()
	for _, problem := range damaged {
		fmt.Fprintf(out, "warning: %v\n", problem)
	}
	if err != nil {
		return nil, err
	}
	s.saved = path
	return checkpoint, o.ranks.send(path)
}

// resumedConfig is the checkpoint's configuration with what the flags change.
func (o *options) resumedConfig(checkpoint *train.Checkpoint) train.Config {
	config := checkpoint.Config
	config.Threads = o.threads
	o.ranks.take(&config)
	for flag, set := range map[string]func(){
		"epochs":           func() { config.Epochs = o.config.Epochs },
		"until-loss":       func() { config.UntilLoss = o.config.UntilLoss },
		"patience":         func() { config.Patience = o.config.Patience },
		"best":             func() { config.Best = o.config.Best },
		"data":             func() { config.Data = o.data },
		"checkpoint-every": func() { config.CheckpointEvery = o.config.CheckpointEvery },
		"keep":             func() { config.KeepCheckpoints = o.config.KeepCheckpoints },
		"schedule-epochs":  func() { config.Schedule.Epochs = o.config.Schedule.Epochs },
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
