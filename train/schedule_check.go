package train

import (
	"math"
	"slices"

	"slipway/internal/display"
)

// linearFirst is First of a linear rise where nothing is said.
const linearFirst = 0.01

// plateauPatience is Schedule.PlateauPatience where nothing is said, as in PyTorch.
const plateauPatience = 10

// has reports whether the schedule is one of those.
func (s Schedule) has(names ...string) bool { return slices.Contains(names, s.Name) }

// ends reports whether the schedule has a length.
func (s Schedule) ends() bool {
	return s.has(ScheduleLinear, ScheduleCosine, ScheduleOneCycle, ScheduleWSD)
}

// withDefaults fills in PyTorch's defaults for a run of that many epochs, and
// reports what is out of range or does not belong to the schedule.
func (s Schedule) withDefaults(epochs int) (Schedule, error) {
	setDefault(&s.Name, ScheduleConstant)
	if !slices.Contains(ScheduleNames(), s.Name) {
		return s, wrongSetting("schedule.name", "unknown schedule %q; there are %v", s.Name,
			ScheduleNames())
	}
	if err := s.checkLengths(); err != nil {
		return s, err
	}
	if s.ends() {
		setDefault(&s.Epochs, epochs)
	}
	if err := s.setFactors(); err != nil {
		return s, err
	}
	if err := s.setCounts(); err != nil {
		return s, err
	}
	switch warmup := s.warmupEpochs(); {
	case s.ends() && s.WarmupEpochs >= float64(s.Epochs):
		return s, wrongSetting("schedule.warmup_epochs",
			"schedule %s: a warm-up of %v epochs is no part of %s", s.Name, s.WarmupEpochs,
			display.Count(s.Epochs, "epoch"))
	case s.Name == ScheduleWSD && warmup+s.Cooldown*float64(s.Epochs) > float64(s.Epochs):
		return s, wrongSetting("schedule.cooldown",
			"schedule %s: a warm-up over %s and a fall over %.3g of the steps are more than there are",
			s.Name, s.warmupLength(), s.Cooldown)
	case s.Name == ScheduleStep && warmup > float64(s.Milestones[0]):
		return s, wrongSetting("schedule.milestones",
			"schedule %s: the rate still rises at the milestone %d; the warm-up takes %s", s.Name,
			s.Milestones[0], s.warmupLength())
	case !s.varies():
		return Schedule{}, nil
	}
	return s, nil
}

// checkLengths reports a length or a warm-up that the schedule does not take.
func (s Schedule) checkLengths() error {
	switch {
	case s.Epochs < 0:
		return wrongSetting("schedule.epochs", "schedule %s: %d epochs; at least 1 is needed", s.Name,
			s.Epochs)
	case !s.ends() && s.Epochs != 0:
		return wrongSetting("schedule.epochs", "schedule %s has no length", s.Name)
	case !s.ends() && s.Warmup != 0:
		return wrongSetting("schedule.warmup",
			"schedule %s has no length that a warm-up is a share of; say in epochs how long it is", s.Name)
	case s.Warmup != 0 && s.WarmupEpochs != 0:
		return wrongSetting("schedule.warmup",
			"schedule %s: a warm-up of a share of the steps and of a number of epochs; give one of them",
			s.Name)
	case !(s.WarmupEpochs >= 0) || math.IsInf(s.WarmupEpochs, 0):
		return wrongSetting("schedule.warmup_epochs",
			"schedule %s: a warm-up of %v epochs; it is at least 0", s.Name, s.WarmupEpochs)
	}
	return nil
}

// setFactors fills in what is a share or a factor.
func (s *Schedule) setFactors() error {
	oneCycle := s.Name == ScheduleOneCycle
	if oneCycle && s.WarmupEpochs == 0 {
		setDefault(&s.Warmup, 0.3)
	}
	first, final := linearFirst, 0.0
	if oneCycle {
		first, final = 1.0/25, 1.0/25/1e4
	}
	toOne := math.Nextafter(1, 2)
	for _, option := range []struct {
		name    string
		setting string
		value   *float64
		applies bool
		initial float64
		below   float64
	}{
		{"warm-up", "warmup", &s.Warmup, s.ends(), 0, 1},
		{"first factor", "first", &s.First, s.Warmup != 0 || s.WarmupEpochs != 0, first, toOne},
		{"final factor", "final", &s.Final, s.ends() || s.has(ScheduleCosineRestarts, SchedulePlateau),
			final, toOne},
		{"gamma", "gamma", &s.Gamma, s.has(ScheduleStep, SchedulePlateau), 0.1, 1},
		{"cooldown", "cooldown", &s.Cooldown, s.Name == ScheduleWSD, 0.2, toOne},
		{"threshold", "plateau_threshold", &s.PlateauThreshold, s.Name == SchedulePlateau, 1e-4, 1},
	} {
		if !option.applies && *option.value != 0 {
			return wrongSetting("schedule."+option.setting, "schedule %s has no %s", s.Name, option.name)
		}
		if option.applies {
			setDefault(option.value, option.initial)
		}
		if !(*option.value >= 0 && *option.value < option.below) {
			return wrongSetting("schedule."+option.setting,
				"schedule %s: %s %v is out of range; it is between 0 and 1", s.Name, option.name, *option.value)
		}
	}
	return nil
}

// setCounts fills in what is a number of epochs, and the shape of the fall.
func (s *Schedule) setCounts() error {
	for _, option := range []struct {
		name    string
		setting string
		value   *int
		initial int
	}{
		{"epochs to a restart", "restart_epochs", &s.RestartEpochs, 0},
		{"factor from restart to restart", "restart_factor", &s.RestartFactor, 1},
	} {
		if s.Name != ScheduleCosineRestarts {
			if *option.value != 0 {
				return wrongSetting("schedule."+option.setting, "schedule %s has no %s", s.Name, option.name)
			}
			continue
		}
		setDefault(option.value, option.initial)
		if *option.value < 1 {
			return wrongSetting("schedule."+option.setting, "schedule %s: %s %d; at least 1 is needed",
				s.Name, option.name, *option.value)
		}
	}
	if err := s.setPatience(); err != nil {
		return err
	}
	if s.Name == ScheduleWSD {
		setDefault(&s.CooldownShape, CooldownRoot)
		if shapes := CooldownShapes(); !slices.Contains(shapes, s.CooldownShape) {
			return wrongSetting("schedule.cooldown_shape",
				"schedule %s: unknown shape %q of the fall; there are %v", s.Name, s.CooldownShape, shapes)
		}
	} else if s.CooldownShape != "" {
		return wrongSetting("schedule.cooldown_shape", "schedule %s has no shape of its fall", s.Name)
	}
	return s.checkMilestones()
}

// setPatience fills in how long plateau bears, where 0 is a number of its own.
func (s *Schedule) setPatience() error {
	switch {
	case s.Name != SchedulePlateau && s.PlateauPatience != nil:
		return wrongSetting("schedule.plateau_patience", "schedule %s has no patience", s.Name)
	case s.Name != SchedulePlateau:
	case s.PlateauPatience == nil:
		s.PlateauPatience = new(plateauPatience)
	case *s.PlateauPatience < 0:
		return wrongSetting("schedule.plateau_patience", "schedule %s: patience %d; at least 0 is needed",
			s.Name, *s.PlateauPatience)
	}
	return nil
}

// CooldownShapes lists what Schedule.CooldownShape may be.
func CooldownShapes() []string { return []string{CooldownRoot, CooldownLinear} }

// checkMilestones reports milestones that are out of order, or none.
func (s Schedule) checkMilestones() error {
	switch {
	case s.Name != ScheduleStep && len(s.Milestones) > 0:
		return wrongSetting("schedule.milestones", "schedule %s has no milestones", s.Name)
	case s.Name == ScheduleStep && len(s.Milestones) == 0:
		return wrongSetting("schedule.milestones",
			"schedule %s needs milestones: the numbers of epochs after which the rate falls", s.Name)
	}
	last := 0
	for _, epochs := range s.Milestones {
		if epochs <= last {
			return wrongSetting("schedule.milestones",
				"schedule %s: milestones %v; they are numbers of epochs, each above the one before", s.Name,
				s.Milestones)
		}
		last = epochs
	}
	return nil
}
