package train

import (
	"errors"
	"fmt"
	"strings"

	"slipway/train"
)

// flagsOf lists the flags of settings, by the names that train.SettingError has for them.
func flagsOf() map[string]string {
	flags := map[string]string{
		"pixels": "pixels", "batch_size": "batch", "accumulate": "accumulate", "epochs": "epochs",
		"until_loss": "until-loss", "validation_fraction": "validation", "patience": "patience",
		"best": "best", "clip_norm": "clip-norm", "ema.decay": "ema", "ema.warmup": "ema-warmup",
		"sampling": "sampling", "decay": "decay", "engine": "engine",
		"precision":        "precision",
		"checkpoint_every": "checkpoint-every", "keep_checkpoints": "keep",
		"loss.name": "loss", "loss.smoothing": "label-smoothing", "loss.gamma": "focal-gamma",
		"loss.class_weights": "class-weights",
		"mix.mixup":          "mixup", "mix.cutmix": "cutmix", "mix.probability": "mix-probability",
		"mix.switch":           "mix-switch",
		"parameter_penalty.l1": "l1", "parameter_penalty.l2": "l2",
		"activation_penalties.l1": "activation-l1", "activation_penalties.l2": "activation-l2",
		"fine_tune.rates": "lr", "fine_tune.freeze_until": "freeze-until",
		"fine_tune.features": "features",
		"optimizer.name":     "optimizer", "optimizer.learning_rate": "lr",
		"optimizer.weight_decay": "weight-decay",
		"schedule.name":          "schedule", "schedule.first": "first-factor",
		"shards": "shards", "batch_norm": "batchnorm",
		"schedule.final": "final-factor", "schedule.epochs": "schedule-epochs",
	}
	for _, name := range []string{"first", "last", "steps"} {
		flags["sweep."+name] = "find-" + name
	}
	for _, name := range []string{"momentum", "nesterov", "beta1", "beta2", "alpha", "epsilon"} {
		flags["optimizer."+name] = name
	}
	for _, name := range []string{"warmup", "warmup_epochs", "milestones", "gamma",
		"restart_epochs", "restart_factor", "cooldown", "cooldown_shape", "plateau_patience",
		"plateau_threshold"} {
		flags["schedule."+name] = strings.ReplaceAll(name, "_", "-")
	}
	return flags
}

// checkSettings reports a value of a flag that no run can have, by the flag's name. Of a run that
// goes on the other settings are not known yet.
func (o *options) checkSettings() error {
	if o.resume {
		return nil
	}
	err := o.settings().CheckValues()
	if err == nil && o.find.on {
		err = o.find.sweep.CheckValues()
	}
	var wrong *train.SettingError
	if errors.As(err, &wrong) {
		// Also a flag that is missing is named.
		return fmt.Errorf("-%s: %w", flagsOf()[wrong.Setting], wrong)
	}
	return err
}

// byFlag is an error with the name of the flag in front that it is about, if it is about one that
// was given.
func (o *options) byFlag(err error) error {
	if wrong := o.wrongFlag(err); wrong != nil {
		return wrong
	}
	return err
}

// wrongFlag says by its name which flag of the command line has a value that the error, of the
// settings, is about; nil where it is about none.
func (o *options) wrongFlag(err error) error {
	var wrong *train.SettingError
	if !errors.As(err, &wrong) {
		return nil
	}
	flag := flagsOf()[wrong.Setting]
	if !o.given[flag] {
		return nil
	}
	return fmt.Errorf("-%s: %w", flag, wrong)
}
