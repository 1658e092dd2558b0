package train

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"slipway/builder"
)

// FineTune is how a network that has learned elsewhere is trained on, beside Config.Freeze. The
// zero value trains all that is not frozen from the first epoch on, at one learning rate.
//
// Its patterns are those of Config.Freeze. The usual recipe, the classifier alone for 5 epochs and
// then everything, what lies below it at a tenth of the rate:
//
//	Freeze:    []string{"trunk"},
//	Optimizer: OptimizerConfig{LearningRate: 1e-4},
//	FineTune:  FineTune{FreezeUntil: 6, Rates: []Rate{{"head", 1e-3}}},
type FineTune struct {
	// Head names the layer that the words head and trunk of patterns are about; if it is empty, it
	// is the one that builder.Network.Head finds.
	Head string `json:"head,omitempty"`
	// Rates are the learning rates of groups of parameters. The first that matches a parameter is
	// its rate, and of one that none matches it is Optimizer.LearningRate. The schedule's factor is
	// of all of them.
	Rates []Rate `json:"rates,omitempty"`
	// FreezeUntil is the epoch, counted from 1, from which on everything is trained that
	// Config.Freeze names; 0 keeps it frozen. The optimizer begins with those parameters there,
	// as PyTorch's does when they are added to it: their moments are zero, and Adam counts their
	// steps from 1.
	FreezeUntil int `json:"freeze_until,omitempty"`
	// Features says when the output of layers that do not change is computed once for each image
	// (Trainer.Features): FeaturesAuto if empty, FeaturesOnce or FeaturesNever.
	Features string `json:"features,omitempty"`
	// FeatureBytes is the most memory that they may take, DefaultFeatureBytes if zero. It changes
	// no result.
	FeatureBytes int64 `json:"-"`
}

// IsZero reports whether nothing is said that changes results.
func (f FineTune) IsZero() bool {
	return f.Head == "" && len(f.Rates) == 0 && f.FreezeUntil == 0 && f.Features == ""
}

// withDefaults fills in what is not said, and reports what is out of range.
func (f FineTune) withDefaults() (FineTune, error) {
	setDefault(&f.FeatureBytes, DefaultFeatureBytes)
	for _, rate := range f.Rates {
		if err := rate.check(); err != nil {
			return f, &SettingError{"fine_tune.rates", err}
		}
	}
	switch {
	case f.FreezeUntil < 0 || f.FreezeUntil == 1:
		return f, wrongSetting("fine_tune.freeze_until",
			"frozen until epoch %d; epochs count from 1, and from the second on "+
				"is the first that something can be frozen until", f.FreezeUntil)
	case f.Features != "" && !slices.Contains(FeatureModes(), f.Features):
		return f, wrongSetting("fine_tune.features", "features %q; there are %s", f.Features,
			strings.Join(FeatureModes(), ", "))
	case f.FeatureBytes < 0:
		return f, fmt.Errorf("%d bytes of features", f.FeatureBytes)
	}
	if f.Features == FeaturesAuto {
		f.Features = ""
	}
	return f, nil
}

// checkFineTune reports what of FineTune does not fit the network and the rest.
func (c Config) checkFineTune(network *builder.Network) error {
	if c.FineTune.Head != "" {
		if _, err := network.Head(c.FineTune.Head); err != nil {
			return fmt.Errorf("head: %w", err)
		}
	}
	if err := c.checkRates(network); err != nil {
		return err
	}
	if c.FineTune.Features != FeaturesOnce {
		return nil
	}
	cut, why := c.cut(network)
	if cut == "" {
		return fmt.Errorf("features cannot be computed once: %s", why)
	}
	return nil
}

// checkFreezing reports what of FineTune does not go with the rest, for any network.
func (c Config) checkFreezing() error {
	switch {
	case c.FineTune.FreezeUntil > 0 && len(c.Freeze) == 0:
		return wrongSetting("fine_tune.freeze_until",
			"nothing is frozen, and is to be until epoch %d; say what with freeze", c.FineTune.FreezeUntil)
	case c.FineTune.Features == FeaturesOnce && !c.Mix.IsZero():
		return wrongSetting("fine_tune.features",
			"features cannot be computed once of images that are mixed anew in each "+
				"step; leave out one of them")
	}
	return nil
}

// inEpoch returns the configuration as it holds in the epoch after so many finished ones: from
// FreezeUntil on nothing is frozen.
func (c Config) inEpoch(finished int) Config {
	if until := c.FineTune.FreezeUntil; until > 0 && finished+1 >= until {
		c.Freeze = nil
	}
	return c
}

// enter prepares the trainer for the epoch that comes: which parameters are trained decides its
// graphs, its sums and its optimizer, whose state is zero.
func (t *Trainer) enter() error {
	t.phase = t.config.inEpoch(t.progress.Epochs)
	clear(t.programs)
	var err error
	if t.sum, err = newSum(t.network, t.phase, t.engine, t.variables); err != nil {
		return err
	}
	if t.phase.Shards > 1 && t.phase.Device == nil {
		t.shards, err = newShards(t.network, t.phase, t.engine, t.variables, t.together)
		if err != nil {
			return err
		}
	}
	parameters := t.phase.updated(t.network)
	first := t.config.inEpoch(0).updated(t.network)
	for i, parameter := range parameters {
		if !slices.ContainsFunc(first, func(u updated) bool { return u.at == parameter.at }) {
			parameters[i].since = t.progress.ThawStep
		}
		if parameter.rows > 0 && t.variables.FiltersLast(parameter.at) {
			// The matrix lies transposed, which is the same to Muon.
			parameters[i].rows = parameter.spec.Shape.Elements() / parameter.rows
		}
	}
	if t.optimizer, err = newOptimizer(t.config.Optimizer, parameters, t.engine,
		t.shards.keeper()); err != nil {
		return err
	}
	t.features, err = newFeatures(t)
	return err
}

// thaw prepares the trainer for FreezeUntil's epoch where that comes next, and keeps the
// optimizer's state of what was trained before.
func (t *Trainer) thaw() error {
	if t.progress.Epochs+1 != t.config.FineTune.FreezeUntil {
		return nil
	}
	t.progress.ThawStep = t.progress.Step
	before, shards := t.optimizer, t.shards
	defer runtime.KeepAlive(shards) // which the state may lie with
	if err := t.enter(); err != nil {
		return fmt.Errorf("train all parameters from epoch %d on: %w",
			t.config.FineTune.FreezeUntil, err)
	}
	shards.fetch()
	t.optimizer.takeOver(before)
	return t.leaveDevice()
}
