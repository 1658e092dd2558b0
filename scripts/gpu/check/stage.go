package main

import (
	"context"
	"time"
)

// A stage is a part of the check, with a limit of its own beside the budget of all.
type stage struct {
	// rows are the lines of the report that it fills; those that it leaves say why.
	rows  []string
	limit time.Duration
	run   func(context.Context, *checker)
}

// checker is what the stages share.
type checker struct {
	*bundle
	*report
	epochs int
}

// stages are in the order of their worth: where the time ends, the rest is not measured. Figures
// come before what only looks for faults.
func stages() []stage {
	return []stage{
		{[]string{rowMachine}, time.Minute, checkMachine},
		{[]string{rowContact, rowSteps}, 2 * time.Minute, checkSteps},
		{[]string{rowNative}, time.Minute, checkNative},
		{[]string{rowSingle}, time.Minute, checkSingleLaunches},
		{[]string{rowLaunch}, time.Minute, checkLaunches},
		{[]string{rowFind}, time.Minute, checkAlgorithms},
		{[]string{rowPyTorch}, 3 * time.Minute, checkPyTorch},
		{[]string{rowJAX}, 90 * time.Second, checkJAX},
		{[]string{rowTests}, 3 * time.Minute, checkTests},
		{[]string{rowE1, rowE2}, 3 * time.Minute, checkTraining},
		{[]string{rowInferE1, rowInferE2}, 2 * time.Minute, checkInference},
		{[]string{rowProfile}, time.Minute, checkProfile},
		{[]string{rowMemcheck}, 2 * time.Minute, checkMemory},
	}
}

// check makes the stages one after another within the budget. Each row has its verdict in the
// report as soon as it is known.
func (c *checker) check(ctx context.Context, all []stage, budget time.Duration) {
	for _, s := range all {
		c.expect(s.rows...)
	}
	whole, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	for _, s := range all {
		if whole.Err() == nil {
			part, done := context.WithTimeout(whole, s.limit)
			s.run(part, c)
			done()
		}
		why := "its part ended without it"
		switch {
		case ctx.Err() != nil:
			why = "stopped: " + context.Cause(ctx).Error()
		case whole.Err() != nil:
			why = "stopped: the budget was spent"
		}
		for _, row := range s.rows {
			c.leave(row, why)
		}
	}
}
