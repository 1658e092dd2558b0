package train

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"slipway/internal/display"
)

// resumable reports the settings that differ between the checkpoint's
// configuration and the one asked for, beyond those that say when to stop, what to
// keep and where the data is: with others the run would not go on, it would be
// another one.
func resumable(saved, asked Config) error {
	if err := scheduleGoesOn(saved, asked); err != nil {
		return err
	}
	if asked.Pixels == PixelsMeasured {
		asked.Pixels = saved.Pixels // goesOnWith compares them once they are measured
	}
	if asked.Loss.ClassWeights.Balanced {
		asked.Loss.ClassWeights = saved.Loss.ClassWeights // likewise
	}
	savedFields, err := fixedFields(saved)
	if err != nil {
		return err
	}
	askedFields, err := fixedFields(asked)
	if err != nil {
		return err
	}
	var differ []string
	for name, value := range askedFields {
		if was := savedFields[name]; was != value {
			differ = append(differ, fmt.Sprintf("%s was %s and is now %s", name, orNone(was), orNone(value)))
		}
	}
	for name, was := range savedFields {
		if _, ok := askedFields[name]; !ok {
			differ = append(differ, fmt.Sprintf("%s was %s and is now none", name, was))
		}
	}
	if len(differ) > 0 {
		slices.Sort(differ)
		return fmt.Errorf(
			"cannot resume with other settings: %s; start a new run from these weights with -init instead",
			strings.Join(differ, "; "))
	}
	return nil
}

func orNone(value string) string {
	if value == "" {
		return "none"
	}
	return value
}

// fixedFields returns the settings that a resumed run may not change. Data only names
// where the set is; that it is the same one is looked at elsewhere.
func fixedFields(c Config) (map[string]string, error) {
	c.Data = ""
	c.Schedule.Epochs = 0 // scheduleGoesOn's matter
	if c.Decay == DecayAll {
		c.Decay = ""
	}
	c.Freeze = slices.Compact(slices.Sorted(slices.Values(c.Freeze))) // their order changes nothing
	if c.FineTune.Features == FeaturesNever {
		c.FineTune.Features = "" // which changes no bit
	}
	c.Epochs, c.UntilLoss, c.Patience, c.CheckpointEvery, c.KeepCheckpoints = 0, 0, 0, 0, 0
	if c.Schedule.Name != SchedulePlateau {
		c.Best = ""
	} else {
		c.Best = c.best().name // the rate depends on it
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	fields := make(map[string]string)
	for name, value := range parts {
		fields[name] = string(value)
	}
	return fields, nil
}

// scheduleGoesOn reports epochs beyond the end of the checkpoint's schedule, unless they
// were asked for from the start or a longer schedule is, and a change of its length where
// there are none.
func scheduleGoesOn(saved, asked Config) error {
	was, is := saved.Schedule.Epochs, asked.Schedule.Epochs
	if was == 0 || asked.Schedule.Name != saved.Schedule.Name {
		return nil // a constant rate, or another fault
	}
	beyond := asked.Epochs > was
	switch {
	case is == was && beyond && asked.Epochs > saved.Epochs:
		return fmt.Errorf(
			"the %s schedule ends after %s, and with it the learning rate at %.3g of its height; for %d epochs lengthen it with -schedule-epochs %d",
			saved.Schedule.Name, display.Count(was, "epoch"), saved.Schedule.Final, asked.Epochs,
			asked.Epochs)
	case is != was && !beyond:
		return fmt.Errorf(
			"the %s schedule takes %s, and %s are asked for: it keeps its length; -schedule-epochs is for more epochs than it has",
			saved.Schedule.Name, display.Count(was, "epoch"), display.Count(asked.Epochs, "epoch"))
	case is < was:
		return fmt.Errorf("the %s schedule takes %s, and cannot be cut to %s", saved.Schedule.Name,
			display.Count(was, "epoch"), display.Count(is, "epoch"))
	}
	return asked.restsAtZero()
}

// restsAtZero reports epochs after the end of a schedule that falls to a rate of 0: no
// weight would change in them.
func (c Config) restsAtZero() error {
	if s := c.Schedule; s.Epochs > 0 && s.Final == 0 && c.Epochs > s.Epochs {
		return wrongSetting("schedule.epochs",
			"the %s schedule is at a learning rate of 0 after %s, and %s are asked for; lengthen it with -schedule-epochs %d, or give a -final-factor",
			s.Name, display.Count(s.Epochs, "epoch"), display.Count(c.Epochs, "epoch"), c.Epochs)
	}
	return nil
}
