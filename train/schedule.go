package train

import (
	"fmt"
	"math"
	"reflect"
	"strings"

	"slipway/internal/display"
)

// Names of schedules. Constant is what a schedule without a name is.
const (
	ScheduleConstant       = "constant"
	ScheduleLinear         = "linear"
	ScheduleCosine         = "cosine"
	ScheduleOneCycle       = "one-cycle"
	ScheduleStep           = "step"
	ScheduleCosineRestarts = "cosine-restarts"
	ScheduleWSD            = "wsd" // warm-up, stable, decay
	SchedulePlateau        = "plateau"
)

// Shapes of the fall at the end of ScheduleWSD.
const (
	CooldownRoot   = "1-sqrt"
	CooldownLinear = "linear"
)

// Schedule says how the learning rate goes over the steps of a run: each step's
// rate is Optimizer.LearningRate, the highest there is, times Factor of that step.
// It is a function of the step alone, and that of SchedulePlateau of the run's History,
// so that a resumed run goes on exactly. Steps are the optimizer's. The zero value keeps
// the rate constant.
type Schedule struct {
	// Name is one of ScheduleNames.
	Name string `json:"name"`
	// Warmup is the share of the schedule's steps over which the rate rises at first,
	// between 0 and 1: by half a cosine in one-cycle, 0.3 if zero, and linearly in the
	// others, none if zero. A schedule without Epochs has no steps that it is a share of.
	Warmup float64 `json:"warmup,omitempty"`
	// WarmupEpochs says the same in epochs, which may be a fraction. One of both is given.
	WarmupEpochs float64 `json:"warmup_epochs,omitempty"`
	// First is the factor at the first step of the rise: 1/25 in one-cycle if zero, and
	// 1/100 in the others, as in torchvision's training of its own weights.
	First float64 `json:"first,omitempty"`
	// Final is the factor that linear, cosine, cosine-restarts, wsd and plateau fall to, 0
	// unless given, and one-cycle, 4e-6 if zero.
	Final float64 `json:"final,omitempty"`
	// Epochs is the schedule's length, warm-up included, Config.Epochs if zero. A run of
	// more epochs keeps the final factor after it, which must not be 0 then. Constant,
	// step, cosine-restarts and plateau have no length.
	Epochs int `json:"epochs,omitempty"`
	// Milestones are the numbers of epochs of the run, in order, after each of which step
	// multiplies the rate by Gamma.
	Milestones []int `json:"milestones,omitempty"`
	// Gamma is what step and plateau multiply the rate by, 0.1 if zero.
	Gamma float64 `json:"gamma,omitempty"`
	// RestartEpochs is the length of the first fall of cosine-restarts, and RestartFactor
	// how many times as long each is as the one before, 1 if zero.
	RestartEpochs int `json:"restart_epochs,omitempty"`
	RestartFactor int `json:"restart_factor,omitempty"`
	// Cooldown is the share of the steps over which wsd falls at the end, 0.2 if zero, and
	// CooldownShape how: CooldownRoot, used if empty, or CooldownLinear.
	Cooldown      float64 `json:"cooldown,omitempty"`
	CooldownShape string  `json:"cooldown_shape,omitempty"`
	// PlateauPatience is for how many epochs plateau bears with a measure (Config.Best, the
	// validation loss if that is empty) that is not better by PlateauThreshold of its best
	// value, before it multiplies the rate by Gamma; 10 and 1e-4 if nil and zero.
	PlateauPatience  *int    `json:"plateau_patience,omitempty"`
	PlateauThreshold float64 `json:"plateau_threshold,omitempty"`
}

// ScheduleNames lists the schedules there are.
func ScheduleNames() []string {
	return []string{ScheduleConstant, ScheduleLinear, ScheduleCosine, ScheduleOneCycle,
		ScheduleStep, ScheduleCosineRestarts, ScheduleWSD, SchedulePlateau}
}

// IsZero reports whether the rate is constant.
func (s Schedule) IsZero() bool { return reflect.ValueOf(s).IsZero() }

// varies reports whether the rate is not the same at every step.
func (s Schedule) varies() bool {
	return s.Warmup != 0 || s.WarmupEpochs != 0 || s.Name != "" && s.Name != ScheduleConstant
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
//	step       Gamma to the number of Milestones that are over; MultiStepLR
//	cosine-restarts  cosine over RestartEpochs, again and again, each RestartFactor times
//	           as long as the one before; CosineAnnealingWarmRestarts
//	wsd        1, and over the last d steps, Cooldown of all, with x from 0 to 1 in them,
//	           1 − (1−f)·√x or 1 − (1−f)·x
//	plateau    1: what it multiplies that by is a function of the run's history
//
// One-cycle is Smith and Topin's (2018), in the form of fast.ai; restarts are Loshchilov and
// Hutter's (2017), wsd is Hägele et al.'s (2024). From step n on the factor is f.
//
// A warm-up of w steps in front of the others is Goyal et al.'s (2017): the factor is
// First + (1−First)·t/w at step t < w, and what is above at step t − w of n − w after it,
// where Milestones are still epochs of the run, and Cooldown is still of all steps.
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
	switch s.Name {
	case "", ScheduleConstant, SchedulePlateau:
		return 1
	case ScheduleStep:
		return math.Pow(s.Gamma, float64(s.milestonesBefore(step, stepsPerEpoch)))
	case ScheduleCosineRestarts:
		return s.restarts(t-w, stepsPerEpoch)
	case ScheduleWSD:
		return s.cooldown(t, n)
	}
	t, n = t-w, n-w
	switch {
	case t >= n:
		return s.Final
	case s.Name == ScheduleLinear:
		return 1 - (1-s.Final)*t/n
	}
	return halfCosine(1, s.Final, t/n)
}

// warmupSteps is how many steps the linear rise takes, a whole number.
func (s Schedule) warmupSteps(stepsPerEpoch int) float64 {
	return math.Round(s.warmupEpochs() * float64(stepsPerEpoch))
}

// warmupEpochs is how many epochs the rise takes, whichever way it is said.
func (s Schedule) warmupEpochs() float64 {
	if s.Warmup != 0 {
		return s.Warmup * float64(s.Epochs)
	}
	return s.WarmupEpochs
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

// milestonesBefore counts those that are over at a step.
func (s Schedule) milestonesBefore(step, stepsPerEpoch int) int {
	count := 0
	for _, epochs := range s.Milestones {
		if step/stepsPerEpoch >= epochs {
			count++
		}
	}
	return count
}

// restarts is the factor of falls that begin again, at step t.
func (s Schedule) restarts(t float64, stepsPerEpoch int) float64 {
	length := float64(s.RestartEpochs) * float64(stepsPerEpoch)
	if s.RestartFactor == 1 {
		return halfCosine(1, s.Final, math.Mod(t, length)/length)
	}
	for t >= length {
		t -= length
		length *= float64(s.RestartFactor)
	}
	return halfCosine(1, s.Final, t/length)
}

// cooldown is the factor of wsd at step t of n.
func (s Schedule) cooldown(t, n float64) float64 {
	d := math.Round(s.Cooldown * n)
	x := (t - (n - d)) / d
	switch {
	case t >= n:
		return s.Final
	case !(x > 0):
		return 1
	case s.CooldownShape == CooldownRoot:
		x = math.Sqrt(x)
	}
	return 1 - (1-s.Final)*x
}

// plateauFactor is what the rate is multiplied by after the epochs of a history:
//
//	an epoch is good where its measure is better than the best one before by more than
//	PlateauThreshold of that; after more than PlateauPatience others in a row the factor
//	becomes max(factor·Gamma, Final), and they are counted anew
//
// That is PyTorch's ReduceLROnPlateau(factor=Gamma, patience=PlateauPatience,
// threshold=PlateauThreshold, min_lr=Final·lr, eps=0).
func (s Schedule) plateauFactor(history History, by measure) float64 {
	factor := 1.0
	threshold := 1 - s.PlateauThreshold
	if by.highest {
		threshold = 1 + s.PlateauThreshold
	}
	var best *float64
	bad := 0
	for _, epoch := range history {
		value := by.value(epoch)
		if value == nil {
			continue
		}
		if best == nil || by.better(*value, *best*threshold) {
			best, bad = value, 0
		} else {
			bad++
		}
		if bad > s.patience() {
			factor, bad = max(factor*s.Gamma, s.Final), 0
		}
	}
	return factor
}

// patience is PlateauPatience, or what it is where nothing is said.
func (s Schedule) patience() int {
	if s.PlateauPatience == nil {
		return plateauPatience
	}
	return *s.PlateauPatience
}

// halfCosine goes from one value to another as x goes from 0 to 1.
func halfCosine(from, to, x float64) float64 {
	return to + (from-to)*(1+math.Cos(math.Pi*x))/2
}

// String says what the schedule is, for people.
func (s Schedule) String() string {
	over := fmt.Sprintf("%s over %s", s.Name, display.Count(s.Epochs, "epoch"))
	switch s.Name {
	case ScheduleOneCycle:
		return fmt.Sprintf("%s, from %.3g of the rate up over %s and down to %.3g", over, s.First,
			s.warmupLength(), s.Final)
	case "", ScheduleConstant:
		return ScheduleConstant + s.warmupText()
	case ScheduleStep:
		epochs := strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Milestones), " ", ", "), "[]")
		return fmt.Sprintf("%s, times %.3g after epochs %s", s.Name, s.Gamma, epochs) + s.warmupText()
	case ScheduleCosineRestarts:
		text := fmt.Sprintf("%s after %s, down to %.3g of the rate", s.Name,
			display.Count(s.RestartEpochs, "epoch"), s.Final)
		if s.RestartFactor > 1 {
			text += fmt.Sprintf(", each %d times as long as the one before", s.RestartFactor)
		}
		return text + s.warmupText()
	case ScheduleWSD:
		return fmt.Sprintf("%s, down to %.3g of the rate over the last %.3g of the steps (%s)", over,
			s.Final, s.Cooldown, s.CooldownShape) + s.warmupText()
	case SchedulePlateau:
		return fmt.Sprintf("%s, times %.3g after %s that are no better, down to %.3g of the rate",
			s.Name, s.Gamma, display.Count(s.patience()+1, "epoch"), s.Final) + s.warmupText()
	}
	return fmt.Sprintf("%s, down to %.3g of the rate", over, s.Final) + s.warmupText()
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
