package train

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"strconv"

	"slipway/builder"
	"slipway/dataset"
)

// RateSweep is a test of learning rates (Smith 2017): a network is trained for some steps, each
// at a higher rate than the one before, until the loss rises. The rates at which it falls fast
// are those to train with.
type RateSweep struct {
	// First and Last are the rates of the first step and of the last, 1e-7 and 10 if zero. Those
	// in between are a constant factor apart.
	First, Last float64
	// Steps is how many there are at most, 100 if zero.
	Steps int
}

// withDefaults fills in what is zero and reports what is out of range.
func (s RateSweep) withDefaults() (RateSweep, error) {
	setDefault(&s.First, 1e-7)
	setDefault(&s.Last, 10)
	setDefault(&s.Steps, 100)
	switch {
	case !(s.First > 0) || math.IsInf(s.First, 0):
		return s, wrongSetting("sweep.first", "the first learning rate is %v; it is a number above 0",
			s.First)
	case !(s.First < s.Last) || math.IsInf(s.Last, 0):
		return s, wrongSetting("sweep.last",
			"learning rates from %v to %v; the first is above 0 and below the last", s.First, s.Last)
	case s.Steps < 2:
		return s, wrongSetting("sweep.steps", "learning rates in %d steps; at least 2 are needed",
			s.Steps)
	}
	return s, nil
}

// CheckValues reports the first setting, as a *SettingError, that is out of range.
func (s RateSweep) CheckValues() error {
	_, err := s.withDefaults()
	return err
}

// rate is that of a step, counted from 0.
func (s RateSweep) rate(step int) float64 {
	return s.First * math.Pow(s.Last/s.First, float64(step)/float64(s.Steps-1))
}

// RatePoint is one step of a sweep.
type RatePoint struct {
	// Step counts from 1; Rate is its learning rate.
	Step int
	Rate float64
	// Loss is that of the step's images before the step, penalties included. Smoothed is its
	// mean over the steps so far, of which each weighs 0.98 times as much as the one after it.
	Loss, Smoothed float64
}

// RateCurve is what a sweep came to: at least one point.
type RateCurve []RatePoint

const (
	// rateSmoothing is fast.ai's.
	rateSmoothing = 0.98
	// rateRise ends a sweep where the smoothed loss is so many times the lowest.
	rateRise = 4
)

// FindRate sweeps the learning rate over a network that begins with the weights, or with those
// of the seed if they are nil; neither is changed. Each step is one of a training with that
// configuration, so that its images are augmented and mixed, its gradients clipped and summed as
// they will be; its schedule, its rate, its average and its stop rules play no part. The curve
// is a function of the seed, on any number of threads. It ends before its last rate where the
// loss is four times its lowest value, or no longer finite.
//
// It is computed on the CPU by this process alone: a Device and a Communicator are passed over.
func FindRate(ctx context.Context, network *builder.Network, source dataset.Source, config Config,
	weights builder.Weights, sweep RateSweep) (RateCurve, error) {
	sweep, err := sweep.withDefaults()
	if err != nil {
		return nil, err
	}
	config.Device, config.Communicator = nil, nil
	config.Schedule, config.EMA = Schedule{}, EMA{}
	config.Patience, config.Best = 0, ""
	t, err := New(network, source, config, weights)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	if err := t.CheckSteps(); err != nil {
		return nil, fmt.Errorf("find the learning rate: %w", err)
	}
	t.sweep = &sweep
	return t.sweepRates(ctx)
}

// sweepRates trains until the sweep is over.
func (t *Trainer) sweepRates(ctx context.Context) (RateCurve, error) {
	var curve RateCurve
	average, lowest := 0.0, math.Inf(1)
	for {
		for _, indices := range t.batches.Epoch(t.progress.Epochs, 0) {
			step := t.progress.Step
			if step == t.sweep.Steps {
				return curve, nil
			}
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("find the learning rate: %w", err)
			}
			err := t.step(ctx, indices)
			var diverged *DivergedError
			switch {
			case errors.As(err, &diverged) && len(curve) > 0:
				return curve, nil
			case err != nil:
				return nil, fmt.Errorf("find the learning rate, step %d: %w", step+1, err)
			}
			loss := t.progress.LastLoss
			average = rateSmoothing*average + (1-rateSmoothing)*loss
			smoothed := average / (1 - math.Pow(rateSmoothing, float64(step+1)))
			curve = append(curve, RatePoint{step + 1, t.sweep.rate(step), loss, smoothed})
			if lowest = min(lowest, smoothed); smoothed > rateRise*lowest {
				return curve, nil
			}
		}
		t.progress.Epochs++
		t.progress.EpochStep = 0
	}
}

// Lowest returns the point with the lowest smoothed loss.
func (c RateCurve) Lowest() RatePoint {
	lowest := c[0]
	for _, point := range c[1:] {
		if point.Smoothed < lowest.Smoothed {
			lowest = point
		}
	}
	return lowest
}

// Steepest returns the point at which the smoothed loss falls fastest by the logarithm of the
// rate, before the lowest one. The first tenth is passed over, where the mean is of few steps.
// It is false where the loss does not fall.
func (c RateCurve) Steepest() (point RatePoint, falls bool) {
	slope := 0.0
	for i := max(len(c)/10, 1); i < c.Lowest().Step; i++ {
		fall := (c[i].Smoothed - c[i-1].Smoothed) / math.Log(c[i].Rate/c[i-1].Rate)
		if fall < slope {
			slope, point, falls = fall, c[i], true
		}
	}
	return point, falls
}

// CSV returns the points as a table with a header line.
func (c RateCurve) CSV() ([]byte, error) {
	var text bytes.Buffer
	table := csv.NewWriter(&text)
	rows := [][]string{{"step", "rate", "loss", "smoothed"}}
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', 7, 64) }
	for _, point := range c {
		rows = append(rows, []string{strconv.Itoa(point.Step), number(point.Rate), number(point.Loss),
			number(point.Smoothed)})
	}
	if err := table.WriteAll(rows); err != nil {
		return nil, fmt.Errorf("learning rates: %w", err)
	}
	return text.Bytes(), nil
}
