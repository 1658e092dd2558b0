package train_test

import (
	"context"
	"fmt"
	"log"

	"slipway/builder"
	"slipway/dataset"
	"slipway/train"
)

// A rate that rises for an epoch, stays, and falls over the last fifth of the steps.
func ExampleSchedule() {
	schedule := train.Schedule{
		Name: train.ScheduleWSD, Epochs: 10, WarmupEpochs: 1, First: 0.1,
		Cooldown: 0.2, CooldownShape: train.CooldownLinear,
	}
	fmt.Println(schedule)
	const stepsPerEpoch = 100
	for _, epoch := range []int{0, 1, 5, 8, 9, 10} {
		fmt.Printf("after %2d epochs: %.2f of the rate\n", epoch,
			schedule.Factor(epoch*stepsPerEpoch, stepsPerEpoch))
	}
	// Output:
	// wsd over 10 epochs, down to 0 of the rate over the last 0.2 of the steps (linear) after a warm-up over 1 epoch from 0.1 of the rate
	// after  0 epochs: 0.10 of the rate
	// after  1 epochs: 1.00 of the rate
	// after  5 epochs: 1.00 of the rate
	// after  8 epochs: 1.00 of the rate
	// after  9 epochs: 0.50 of the rate
	// after 10 epochs: 0.00 of the rate
}

// A sweep tells at which rates the loss falls, before anything is trained.
func ExampleFindRate() {
	ctx := context.Background()
	network, err := builder.E1(10)
	if err != nil {
		log.Fatal(err)
	}
	set, err := dataset.Open(ctx, "t10k", dataset.Options{})
	if err != nil {
		log.Fatal(err)
	}
	config := train.Config{Pixels: train.PixelsUnit, Seed: 1}
	curve, err := train.FindRate(ctx, network, set, config, nil,
		train.RateSweep{First: 1e-6, Last: 1, Steps: 60})
	if err != nil {
		log.Fatal(err)
	}
	steepest, falls := curve.Steepest()
	fmt.Println(falls, steepest.Rate > 1e-4 && steepest.Rate < 1e-1,
		curve.Lowest().Rate > steepest.Rate)
	// Output: true true true
}
