package train

import (
	"fmt"
	"math"
	"slices"

	"slipway/internal/display"
)

// Names of schedules. Constant is what a schedule without a name is.
const (
	ScheduleConstant = "constant"
	ScheduleLinear   = "linear"
	ScheduleCosine   = "cosine"
	ScheduleOneCycle = "one-cycle"
)

// Schedule says how the learning rate goes over the steps of a run: each step's
// rate is Optimizer.LearningRate, the highest there is, times Factor of that step.
// It is a function of the step alone, so that a resumed run goes on exactly. The
// zero value keeps the rate constant.
type Schedule struct {
	// Name is constant, linear, cosine or one-cycle.
	Name string `json:"name"`
	// Warmup is the share of the schedule's steps over which the rate rises at first,
	// between 0 and 1: by half a cosine in one-cycle, 0.3 if zero, and linearly in the
	// others, none if zero. A constant rate has no steps that it is a share of.
	Warmup float64 `json:"warmup,omitempty"`
	// WarmupEpochs says the same in epochs, which may be a fraction. One of both is given.
	WarmupEpochs float64 `json:"warmup_epochs,omitempty"`
	// First is the factor at the first step of the rise: 1/25 in one-cycle if zero, and
	// 1/100 in the others, as in torchvision's training of its own weights.
	First float64 `json:"first,omitempty"`
	// Final is the factor that linear and cosine fall to, 0 unless given, and
	// one-cycle, 4e-6 if zero.
	Final float64 `json:"final,omitempty"`
	// Epochs is the schedule's length, warm-up included, Config.Epochs if zero. A run of
	// more epochs keeps the final factor after it, which must not be 0 then.
	Epochs int `json:"epochs,omitempty"`
}

// ScheduleNames lists the schedules there are.
func ScheduleNames() []string {
	return []string{ScheduleConstant, ScheduleLinear, ScheduleCosine, ScheduleOneCycle}
}

// IsZero reports whether the rate is constant.
func (s Schedule) IsZero() bool { return s == Schedule{} }

// varies reports whether the rate is not the same at every step.
func (s Schedule) varies() bool {
	return s.Warmup != 0 || s.WarmupEpochs != 0 || s.Name != "" && s.Name != ScheduleConstant
}

// linearFirst is First of a linear rise where nothing is said.
const linearFirst = 0.01

// withDefaults fills in PyTorch's defaults for a run of that many epochs, and
// reports what is out of range or does not belong to the schedule.
func (s Schedule) withDefaults(epochs int) (Schedule, error) {
	setDefault(&s.Name, ScheduleConstant)
	if !slices.Contains(ScheduleNames(), s.Name) {
		return s, fmt.Errorf("unknown schedule %q; there are %v", s.Name, ScheduleNames())
	}
	constant, oneCycle := s.Name == ScheduleConstant, s.Name == ScheduleOneCycle
	switch {
	case s.Epochs < 0:
		return s, fmt.Errorf("schedule %s: %d epochs; at least 1 is needed", s.Name, s.Epochs)
	case constant && s.Epochs != 0:
		return s, fmt.Errorf("schedule %s has no length", s.Name)
	case constant && s.Warmup != 0:
		return s, fmt.Errorf("schedule %s has no length that a warm-up is a share of; say in epochs how long it is", s.Name)
	case s.Warmup != 0 && s.WarmupEpochs != 0:
		return s, fmt.Errorf("schedule %s: a warm-up of a share of the steps and of a number of epochs; give one of them", s.Name)
	case !(s.WarmupEpochs >= 0) || math.IsInf(s.WarmupEpochs, 0):
		return s, fmt.Errorf("schedule %s: a warm-up of %v epochs; it is at least 0", s.Name, s.WarmupEpochs)
	}
	if !constant {
		setDefault(&s.Epochs, epochs)
	}
	if oneCycle && s.WarmupEpochs == 0 {
		setDefault(&s.Warmup, 0.3)
	}
	first := linearFirst
	if oneCycle {
		first = 1.0 / 25
		setDefault(&s.Final, 1.0/25/1e4)
	}
	for _, option := range []struct {
		name    string
		value   *float64
		applies bool
		initial float64
		below   float64
	}{
		{"warm-up", &s.Warmup, !constant, 0, 1},
		{"first factor", &s.First, s.Warmup != 0 || s.WarmupEpochs != 0, first, math.Nextafter(1, 2)},
		{"final factor", &s.Final, !constant, 0, math.Nextafter(1, 2)},
	} {
		if !option.applies && *option.value != 0 {
			return s, fmt.Errorf("schedule %s has no %s", s.Name, option.name)
		}
		if option.applies {
			setDefault(option.value, option.initial)
		}
		if !(*option.value >= 0 && *option.value < option.below) {
			return s, fmt.Errorf("schedule %s: %s %v is out of range; it is between 0 and 1", s.Name, option.name, *option.value)
		}
	}
	switch {
	case !constant && s.WarmupEpochs >= float64(s.Epochs):
		return s, fmt.Errorf("schedule %s: a warm-up of %v epochs is no part of %s", s.Name, s.WarmupEpochs, display.Count(s.Epochs, "epoch"))
	case !s.varies():
		return Schedule{}, nil
	}
	return s, nil
}

// Factor returns what the learning rate is multiplied by at a step, counted from 0, of a run
// with that many steps in an epoch, at least 1. With f = Final, and n for the steps of all
// Epochs, and PyTorch's class for the same:
//
//	constant   1
//	linear     1 − (1−f)·t/n                 LinearLR(start_factor=1, end_factor=f, total_iters=n)
//	cosine     f + (1−f)·(1+cos(π·t/n))/2    CosineAnnealingLR(T_max=n, eta_min=f·lr)
//	one-cycle  by half a cosine from First to 1, which it reaches at step Warmup·n − 1,
//	           and by another to f at step n − 1
//	           OneCycleLR(total_steps=n, pct_start=Warmup, div_factor=1/First,
//	           final_div_factor=First/f, cycle_momentum=False)
//
// One-cycle is Smith and Topin's (2018), in the form of fast.ai. From step n on the
// factor is f.
//
// A warm-up of w steps in front of the others is Goyal et al.'s (2017): the factor is
// First + (1−First)·t/w at step t < w, and what is above at step t − w of n − w after it.
// That is SequentialLR of LinearLR(start_factor=First, total_iters=w) and the schedule,
// with milestones=[w].
func (s Schedule) Factor(step, stepsPerEpoch int) float64 {
	t, n := float64(step), float64(s.Epochs*stepsPerEpoch)
	if s.Name == ScheduleOneCycle {
		return s.oneCycle(t, n)
	}
	w := s.warmupSteps(stepsPerEpoch)
	if t < w {
		return s.First + (1-s.First)*t/w
	}
	t, n = t-w, n-w
	switch {
	case s.Name == "" || s.Name == ScheduleConstant:
		return 1
	case t >= n:
		return s.Final
	case s.Name == ScheduleLinear:
		return 1 - (1-s.Final)*t/n
	}
	return halfCosine(1, s.Final, t/n)
}

// warmupSteps is how many steps the linear rise takes, a whole number.
func (s Schedule) warmupSteps(stepsPerEpoch int) float64 {
	epochs := s.WarmupEpochs
	if s.Warmup != 0 {
		epochs = s.Warmup * float64(s.Epochs)
	}
	return math.Round(epochs * float64(stepsPerEpoch))
}

// oneCycle is the factor at step t of n.
func (s Schedule) oneCycle(t, n float64) float64 {
	warmup := s.Warmup
	if s.WarmupEpochs != 0 {
		warmup = s.WarmupEpochs / float64(s.Epochs)
	}
	top := warmup*n - 1 // below 0 where the warm-up has no step
	switch {
	case t >= n:
		return s.Final
	case t < top:
		return halfCosine(s.First, 1, t/top)
	case t == top:
		return 1
	}
	return halfCosine(1, s.Final, (t-top)/(n-1-top))
}

// halfCosine goes from one value to another as x goes from 0 to 1.
func halfCosine(from, to, x float64) float64 {
	return to + (from-to)*(1+math.Cos(math.Pi*x))/2
}

// String says what the schedule is, for people.
func (s Schedule) String() string {
	switch {
	case s.Name == ScheduleOneCycle:
		return fmt.Sprintf("%s over %s, from %.3g of the rate up over %s and down to %.3g",
			s.Name, display.Count(s.Epochs, "epoch"), s.First, s.warmupLength(), s.Final)
	case s.Name == "" || s.Name == ScheduleConstant:
		return ScheduleConstant + s.warmupText()
	}
	return fmt.Sprintf("%s over %s, down to %.3g of the rate", s.Name, display.Count(s.Epochs, "epoch"), s.Final) + s.warmupText()
}

// warmupText says what the linear rise is, and is empty where there is none.
func (s Schedule) warmupText() string {
	if s.Warmup == 0 && s.WarmupEpochs == 0 {
		return ""
	}
	return fmt.Sprintf(" after a warm-up over %s from %.3g of the rate", s.warmupLength(), s.First)
}

func (s Schedule) warmupLength() string {
	switch s.WarmupEpochs {
	case 0:
		return fmt.Sprintf("%.3g of the steps", s.Warmup)
	case 1:
		return "1 epoch"
	}
	return fmt.Sprintf("%g epochs", s.WarmupEpochs)
}
