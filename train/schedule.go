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
	// Warmup is the share of the steps over which one-cycle's rate rises, between
	// 0 and 1, 0.3 if zero.
	Warmup float64 `json:"warmup,omitempty"`
	// First is one-cycle's factor at the first step, 1/25 if zero.
	First float64 `json:"first,omitempty"`
	// Final is the factor that linear and cosine fall to, 0 unless given, and
	// one-cycle, 4e-6 if zero.
	Final float64 `json:"final,omitempty"`
	// Epochs is the schedule's length, Config.Epochs if zero. A run of more epochs
	// keeps the final factor after it, which must not be 0 then.
	Epochs int `json:"epochs,omitempty"`
}

// ScheduleNames lists the schedules there are.
func ScheduleNames() []string {
	return []string{ScheduleConstant, ScheduleLinear, ScheduleCosine, ScheduleOneCycle}
}

// IsZero reports whether the rate is constant.
func (s Schedule) IsZero() bool { return s == Schedule{} }

// withDefaults fills in PyTorch's defaults for a run of that many epochs, and
// reports what is out of range or does not belong to the schedule.
func (s Schedule) withDefaults(epochs int) (Schedule, error) {
	setDefault(&s.Name, ScheduleConstant)
	if !slices.Contains(ScheduleNames(), s.Name) {
		return s, fmt.Errorf("unknown schedule %q; there are %v", s.Name, ScheduleNames())
	}
	constant, oneCycle := s.Name == ScheduleConstant, s.Name == ScheduleOneCycle
	for _, option := range []struct {
		name    string
		value   *float64
		applies bool
		initial float64 // of one-cycle
		below   float64
	}{
		{"warm-up", &s.Warmup, oneCycle, 0.3, 1},
		{"first factor", &s.First, oneCycle, 1.0 / 25, math.Nextafter(1, 2)},
		{"final factor", &s.Final, !constant, 1.0 / 25 / 1e4, math.Nextafter(1, 2)},
	} {
		if !option.applies && *option.value != 0 {
			return s, fmt.Errorf("schedule %s has no %s", s.Name, option.name)
		}
		if oneCycle && *option.value == 0 {
			*option.value = option.initial
		}
		if !(*option.value >= 0 && *option.value < option.below) {
			return s, fmt.Errorf("schedule %s: %s %v is out of range; it is between 0 and 1", s.Name, option.name, *option.value)
		}
	}
	switch {
	case s.Epochs < 0:
		return s, fmt.Errorf("schedule %s: %d epochs; at least 1 is needed", s.Name, s.Epochs)
	case constant && s.Epochs != 0:
		return s, fmt.Errorf("schedule %s has no length", s.Name)
	case constant:
		return Schedule{}, nil
	}
	setDefault(&s.Epochs, epochs)
	return s, nil
}

// Factor returns what the learning rate is multiplied by at a step, counted from
// 0, of a schedule of that many steps, at least 1. With f = Final and n = steps, and
// PyTorch's class for the same:
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
func (s Schedule) Factor(step, steps int) float64 {
	t, n := float64(step), float64(steps)
	switch {
	case s.IsZero() || s.Name == ScheduleConstant:
		return 1
	case step >= steps:
		return s.Final
	case s.Name == ScheduleLinear:
		return 1 - (1-s.Final)*t/n
	case s.Name == ScheduleCosine:
		return halfCosine(1, s.Final, t/n)
	}
	top := s.Warmup*n - 1 // below 0 where the warm-up has no step
	switch {
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
	case s.IsZero() || s.Name == ScheduleConstant:
		return ScheduleConstant
	case s.Name == ScheduleOneCycle:
		return fmt.Sprintf("%s over %s, from %.3g of the rate up over %.3g of the steps and down to %.3g",
			s.Name, display.Count(s.Epochs, "epoch"), s.First, s.Warmup, s.Final)
	}
	return fmt.Sprintf("%s over %s, down to %.3g of the rate", s.Name, display.Count(s.Epochs, "epoch"), s.Final)
}
